"""Reading of another client's files: never written, limited in size, errors in words.

Files are opened for reading only. Messages name the file and never repeat its content, which may be
a key or a token.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

from gatecert import regular_files
from gatecert.certificate import key
from gatecert.errors import CertificateError, GatecertError, clean

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST: Final = 1 << 20  # bytes


class UnreadableError(GatecertError):
    """A file of another client cannot be used."""

    code = "adoption"


def read(path: Path) -> bytes:
    """Return the contents of a regular file.

    Raises:
        UnreadableError: It is missing, unreadable, no file, empty or too large.
    """
    try:
        data = regular_files.read(path, LARGEST)
    except FileNotFoundError as error:
        broken = "is a symbolic link to a missing file" if path.is_symlink() else "is missing"
        raise UnreadableError(f"{path} {broken}") from error
    except PermissionError as error:
        fix = "run the command as root" if os.geteuid() else "check the permissions of the file"
        raise UnreadableError(f"{path} cannot be read: permission denied", fix=fix) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableError(f"{path} cannot be read: {clean(reason).lower()}") from error
    if not data.strip(b"\0 \t\r\n"):
        raise UnreadableError(f"{path} is empty")
    return data


def read_text(path: Path) -> str:
    """Return the contents of a text file.

    Raises:
        UnreadableError: It cannot be used, or is not UTF-8.
    """
    try:
        return read(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableError(f"{path} is not a text file") from None


def read_object(path: Path) -> dict[str, object]:
    """Return the object in a JSON file.

    Raises:
        UnreadableError: It cannot be used, or is not a JSON object.
    """
    try:
        value = json.loads(read_text(path))
    except (ValueError, RecursionError):  # without its cause, which would show the content
        raise UnreadableError(f"{path} is damaged: it is not JSON") from None
    if not isinstance(value, dict):
        raise UnreadableError(f"{path} is damaged: it is not a JSON object")
    return value


def read_key(path: Path) -> bytes:
    """Return a private key in PEM as PKCS #8.

    Raises:
        UnreadableError: The file cannot be used, or holds no RSA or ECDSA key.
    """
    data = read(path)
    try:
        return key.to_pem(key.load(data))
    except CertificateError as error:
        raise UnreadableError(f"{path}: {error.message}") from error


def subdirectories(directory: Path) -> Iterator[Path]:
    """Yield the directories in a directory, in order; none if it cannot be read."""
    try:
        entries = sorted(directory.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.is_dir():
            yield entry


def text_of(value: object) -> str:
    """Return a string of a JSON file, cleaned; empty for anything else."""
    return clean(value) if isinstance(value, str) else ""


def mail_addresses(contact: object) -> tuple[str, ...]:
    """Return the mail addresses of an account's contact list."""
    found = contact if isinstance(contact, list) else []
    return tuple(
        each.removeprefix("mailto:") for each in map(text_of, found) if each.startswith("mailto:")
    )
