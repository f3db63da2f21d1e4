"""How files, secrets, permission bits and commands are written.

Secrets are never written into the configuration: it names a file, or a credential that systemd
hands over (``LoadCredential=``, systemd.exec(5)). Commands are argument lists, never shell text.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema

from gatecert.config.values import AsText, BadValueError, quoted, text, text_schema
from gatecert.errors import clean

CREDENTIAL: Final = "credential:"
IN_FULL: Final = "write the path in full"
SERVICE_CREDENTIALS: Final = "/run/credentials/gatecert.service"


def file_path(value: object, information: ValidationInfo) -> Path:
    """A path; a relative one starts at the directory of the configuration file."""
    path = value if isinstance(value, Path) else Path(text(value))
    if str(path).startswith("~"):
        raise BadValueError(f"{quoted(value)}: ~ is not expanded; {IN_FULL}")
    directory = (information.context or {}).get("directory")
    return Path(directory, path) if directory is not None else path


def secret_file(value: object, information: ValidationInfo) -> Path:
    """The file that holds a secret, or ``credential:NAME`` for one that systemd hands over.

    A command beside the service has no ``$CREDENTIALS_DIRECTORY``, so it looks where systemd puts
    the service's. What was written is never repeated, lest somebody wrote the secret itself.
    """
    if not isinstance(value, str | Path) or not str(value).strip() or "\n" in str(value):
        raise BadValueError(
            "is not the name of a file; secrets are read from files, never from here"
        )
    if str(value).strip().startswith("~"):
        raise BadValueError(f"begins with ~, which is not expanded; {IN_FULL}")
    if not str(value).startswith(CREDENTIAL):
        return file_path(value, information)
    name = str(value).removeprefix(CREDENTIAL)
    if not re.fullmatch(r"(?!\.)[A-Za-z0-9._-]{1,255}", name):
        raise BadValueError(
            "names no systemd credential; write credential:NAME as in LoadCredential="
        )
    return Path(os.environ.get("CREDENTIALS_DIRECTORY") or SERVICE_CREDENTIALS, name)


def command(value: object) -> tuple[str, ...]:
    """A command as a list of arguments, run as it stands: no shell ever reads it."""
    if isinstance(value, str):
        words = ", ".join(value.split())
        raise BadValueError(
            f"is one text, but commands never go through a shell; write a list: [{clean(words)}]"
        )
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise BadValueError("is not a list of arguments, such as [systemctl, reload, ocserv]")
    if value and ("/" in value[0] and not value[0].startswith("/")):
        raise BadValueError(
            f"{quoted(value[0])} is a relative path; write the absolute path or a name on PATH"
        )
    if any("\0" in word for word in value) or (value and not value[0].strip()):
        raise BadValueError("contains an argument that no program can be given")
    return tuple(value)


def permissions(value: object) -> int:
    """Permission bits in octal; never writable for all, as the file decides what is trusted."""
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
            f"mode {bits:04o} is not possible: the owner reads, others never write; like 0640"
        )
    return bits


def octal(bits: int) -> str:
    """Permission bits as they are written."""
    return f"{bits:04o}"


AnyFile = Annotated[Path, PlainValidator(file_path), AsText, text_schema("path")]
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
