"""Syntax of files, secrets, permission bits and commands.

Secrets are not part of the configuration: it names a file, or a systemd credential
(``LoadCredential=``, systemd.exec(5)). Commands are argument lists, never shell text.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from gatecert.config.values import AsText, BadValueError, quoted, text, text_schema
from gatecert.config.written import Written
from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

_OF_A_SHELL: Final = re.compile(r"[|&;<>$`]")
_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9_/.][A-Za-z0-9_/.@:+-]*[A-Za-z0-9_/.]|-?[A-Za-z]+")
CREDENTIAL: Final = "credential:"
FULL_PATH: Final = "write the path in full"
SERVICE_CREDENTIALS: Final = "/run/credentials/gatecert.service"


def file_path(value: object) -> Path:
    """Parse a path; relative ones start at the directory of the file in which they stand."""
    path = value if isinstance(value, Path) else Path(text(value))
    if str(path).startswith("~"):
        raise BadValueError(f"{quoted(value)}: ~ is not expanded; {FULL_PATH}")
    return Path(value.directory, path) if isinstance(value, Written) else path


def file_pattern(value: object) -> str:
    """Parse the path of a file to include, or a shell pattern of such paths."""
    written = text(value)
    if written.startswith("~"):
        raise BadValueError(f"{quoted(value)}: ~ is not expanded; {FULL_PATH}")
    return written


def secret_file(value: object) -> Path:
    """Parse the path of a secret file, or ``credential:NAME`` for a systemd credential.

    Commands beside the service have no ``$CREDENTIALS_DIRECTORY``, so they use the service's
    directory. The value is never repeated, since it may be the secret itself.
    """
    if not isinstance(value, str | Path) or not str(value).strip() or "\n" in str(value):
        raise BadValueError(
            "is not a path; secrets are read from files, never from the configuration"
        )
    if str(value).strip().startswith("~"):
        raise BadValueError(f"starts with ~, which is not expanded; {FULL_PATH}")
    if not str(value).startswith(CREDENTIAL):
        return file_path(value)
    name = str(value).removeprefix(CREDENTIAL)
    if not re.fullmatch(r"(?!\.)[A-Za-z0-9._-]{1,255}", name):
        raise BadValueError(
            "is not a systemd credential; write credential:NAME as in LoadCredential="
        )
    return credentials_directory() / name


def credentials_directory() -> Path:
    """Return the directory in which systemd provides the credentials of the service."""
    return Path(os.environ.get("CREDENTIALS_DIRECTORY") or SERVICE_CREDENTIALS)


def command(value: object) -> tuple[str, ...]:
    """Parse a command as a list of arguments, run without a shell."""
    if isinstance(value, str):
        raise BadValueError(f"is a string, but commands run without a shell; {_as_list(value)}")
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise BadValueError("is not a list of arguments, such as [systemctl, reload, ocserv]")
    if value and ("/" in value[0] and not value[0].startswith("/")):
        raise BadValueError(
            as_one_string(value)
            or f"{quoted(value[0])} is a relative path; write the absolute path or a name on PATH"
        )
    if any("\0" in word for word in value) or (value and not value[0].strip()):
        raise BadValueError("contains an empty program name or a NUL character")
    return tuple(str(word) for word in value)


def as_one_string(command: Sequence[str]) -> str:
    """Return how to write a command whose arguments are in the string of its program.

    Args:
        command: A command whose program does not exist.

    Returns:
        Empty if its program is one word.
    """
    if len(command[0].split()) < 2:  # noqa: PLR2004 - a program and an argument
        return ""
    what = "the program and its arguments are one string, but commands run without a shell"
    return f"{what}; {_as_list(command[0], command[1:])}"


def _as_list(line: str, more: Sequence[str] = ()) -> str:
    """Return what to write instead of the line of a shell."""
    if _OF_A_SHELL.search(line):
        return "put it into a script with #!/bin/sh, and write a list with its path"
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    written = (word if _PLAIN_WORD.fullmatch(word) else json.dumps(word) for word in words)
    return f"write a list: [{clean(', '.join((*written, *more)))}]"


def permissions(value: object) -> int:
    """Parse permission bits in octal; never world-writable, since servers trust the file."""
    if isinstance(value, int) and not isinstance(value, bool):
        bits = value
    elif re.fullmatch(r"0?o?[0-7]{3}", str(value)):
        bits = int(str(value).replace("o", ""), 8)
    else:
        raise BadValueError(
            f"{quoted(value)} is not a file mode; write three octal digits like 0640"
        )
    if bits & ~0o775 or not bits & 0o400:
        raise BadValueError(
            f"mode {bits:04o} is not allowed: the owner must read, others must not write; like 0640"
        )
    return bits


def octal(bits: int) -> str:
    """Format permission bits as they are written."""
    return f"{bits:04o}"


AnyFile = Annotated[Path, PlainValidator(file_path), AsText, text_schema("path")]
FilePattern = Annotated[str, PlainValidator(file_pattern), text_schema("path or pattern")]
SecretFile = Annotated[
    Path,
    PlainValidator(secret_file),
    AsText,
    text_schema("path or credential:NAME", examples=["/etc/gatecert/secret", "credential:NAME"]),
]
Command = Annotated[
    tuple[str, ...],
    PlainValidator(command),
    PlainSerializer(list, return_type=list[str]),
    WithJsonSchema({"type": "array", "title": "command", "items": {"type": "string"}}),
]
Permissions = Annotated[
    int,
    PlainValidator(permissions),
    PlainSerializer(octal, return_type=str),
    text_schema("file mode", type=["string", "integer"], pattern="^0?o?[0-7]{3}$"),
]
