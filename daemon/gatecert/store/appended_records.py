"""Files of records, one JSON object a line, to which records are appended.

Writers hold a lock of their own choice; readers need none.

- The file appears with its first lines by a rename. Later lines are appended and synced. A process
  syncs the directory before its first line: the one that renamed the file may have crashed.
- A last line without an end is the leftover of a crash. It is not a record: its writer did not
  continue. The next writer cuts it off.
- A damaged line is logged and skipped. A file without any intact line is damaged as a whole.
- Reading continues where it stopped. The whole file is read only if it is another one: another
  inode, or other bytes before that position (inodes are reused, backups are copied over files).
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Generic, TypeVar

from gatecert.store import durable
from gatecert.store.codec import decode, encode
from gatecert.store.damaged_files import DamagedRecordError, open_file, read_all
from gatecert.store.layout import PRIVATE_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)
else:
    Record = TypeVar("Record")

logger = logging.getLogger(__name__)

REMEMBERED = 256  # bytes before the position, to recognize the file


class AppendedRecords(Generic[Record]):
    """One file, and the position up to which it was read; not safe for threads.

    Args:
        path: The file.
        kind: The class of the records.
        largest: In bytes; a larger file counts as damaged.

    Attributes:
        lines: How many lines were read, damaged ones too.
    """

    def __init__(self, path: Path, kind: type[Record], *, largest: int) -> None:
        self.path = path
        self.lines = 0
        self._kind = kind
        self._largest = largest
        self._inode: tuple[int, int] | None = None
        self._end = 0
        self._last = b""
        self._linked: tuple[int, int] | None = None  # the inode whose name is durable

    def forget(self) -> None:
        """Read the whole file next time; appending before that writes a new file."""
        self.lines, self._inode, self._end, self._last = 0, None, 0, b""
        self._linked = None

    def read(self) -> tuple[bool, list[Record]]:
        """Read the records that were appended since the last call.

        Returns:
            Whether these are all records of the file and replace earlier ones; the records.

        Raises:
            DamagedRecordError: Something else has the name, or no line is intact.
            StorageError: The file exists but cannot be read.
        """
        with durable.step("read", self.path), open_file(self.path) as descriptor:
            if descriptor is None:
                self.forget()
                return True, []
            status = os.fstat(descriptor)
            if status.st_size > self._largest:
                raise DamagedRecordError(f"it has more than {self._largest} bytes")
            inode = (status.st_dev, status.st_ino)
            data = None
            if inode == self._inode:
                data = self._read_on(descriptor)
            whole = data is None
            if data is None:
                self.forget()
                os.lseek(descriptor, 0, os.SEEK_SET)
                data = read_all(descriptor, self._largest)
        complete = data[: data.rfind(b"\n") + 1]
        records = self._decode(complete, whole=whole)
        self._inode = inode
        self._end += len(complete)
        self._last = (self._last + complete)[-REMEMBERED:]
        return whole, records

    def append(self, records: Iterable[Record]) -> None:
        """Append records after everything was read; durable on return.

        Raises:
            StorageError: It failed; nothing was appended.
        """
        data = b"".join(encode(record, indent=None) for record in records)
        if self._inode is None:
            durable.write_file(self.path, data, mode=PRIVATE_FILE)
            return
        if self._inode != self._linked:
            durable.sync_directory(self.path.parent)
            self._linked = self._inode
        durable.append_file(self.path, data, end=self._end)

    def rewrite(self, records: Iterable[Record]) -> None:
        """Write a new file in place of the old one.

        Raises:
            StorageError: It could not be written; the old file is unchanged.
        """
        data = b"".join(encode(record, indent=None) for record in records)
        durable.write_file(self.path, data, mode=PRIVATE_FILE)

    def _read_on(self, descriptor: int) -> bytes | None:
        """Return what follows the position; None if this is another file."""
        os.lseek(descriptor, self._end - len(self._last), os.SEEK_SET)
        data = read_all(descriptor, self._largest)
        return data[len(self._last) :] if data.startswith(self._last) else None

    def _decode(self, data: bytes, *, whole: bool) -> list[Record]:
        records, damage = [], []
        lines = data.split(b"\n")[:-1]
        for number, line in enumerate(lines, start=self.lines + 1):
            try:
                records.append(decode(self._kind, line))
            except DamagedRecordError as error:
                damage.append(f"line {number}: {error}")
        if whole and not records:
            raise DamagedRecordError(damage[0] if damage else "it has no complete line")
        if damage:
            logger.warning(
                "damaged path=%s lines=%d why=%r read=without-them",
                self.path,
                len(damage),
                damage[0],
            )
        self.lines += len(lines)
        return records
