"""Files with one JSON record; a damaged one is set aside and counts as missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from gatecert.store import durable
from gatecert.store.codec import decode, encode
from gatecert.store.damaged_files import LARGEST, DamagedRecordError, quarantine, read_file

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)


def read_record(path: Path, kind: type[Record], *, largest: int = LARGEST) -> Record | None:
    """Return a record; None if it is missing, or damaged and now set aside.

    Args:
        path: The file.
        kind: The class of the record.
        largest: As for `read_file`.

    Raises:
        StorageError: It exists but cannot be read.
    """
    try:
        data = read_file(path, largest=largest)
        return None if data is None else decode(kind, data)
    except DamagedRecordError as error:
        quarantine(path, str(error))
        return None


def write_record(
    path: Path, record: DataclassInstance, *, mode: int = 0o600, indent: int | None = 2
) -> None:
    """Write a record.

    Args:
        path: The file.
        record: The record.
        mode: Permission bits of the file.
        indent: As for `encode`.

    Raises:
        StorageError: It cannot be written.
    """
    if path.is_dir() and not path.is_symlink():
        quarantine(path, "it is a directory")
    durable.write_file(path, encode(record, indent=indent), mode=mode)
