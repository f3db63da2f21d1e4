"""Published TXT records: ``records/<id>.json``, one file each.

A file is durable before its record is published and removed after the record is withdrawn, so every
published record has a file. The file names the process that published the record; once that process
has ended, the next one withdraws the record. Process ids are reused, so a file older than a day
counts as abandoned in any case.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.model import PublishedRecord, TextRecord
from gatecert.store import durable
from gatecert.store.json_record import read_record, write_record
from gatecert.store.layout import PRIVATE_FILE, StateFiles
from gatecert.store.temporary_names import is_abandoned, process_mark

if TYPE_CHECKING:
    from pathlib import Path

ABANDONED_AFTER = timedelta(days=1)  # longer than any validation
NO_OWNER = ""


@dataclass(frozen=True, slots=True)
class _TextRecordFile:
    """The contents of a file.

    Attributes:
        owner: Mark of the process that works with the record.
    """

    record: TextRecord
    at: datetime
    owner: str


class TextRecordFiles(StateFiles):
    """The journal of published TXT records; see ``RecordJournal``."""

    def add_record(self, record: TextRecord, *, now: datetime) -> PublishedRecord:
        """Store a record that is about to be published."""
        published = PublishedRecord(secrets.token_hex(8), record, now)
        self._layout.make(self._layout.records)
        self._write_record(published, process_mark())
        return published

    def records(self) -> tuple[PublishedRecord, ...]:
        """Return the stored records, oldest first; a damaged file is logged and set aside."""
        directory = self._layout.records
        if not directory.is_dir():
            return ()
        with durable.step("read", directory):
            paths = [path for path in directory.iterdir() if path.suffix == ".json"]
        found = [(path.stem, read_record(path, _TextRecordFile)) for path in paths]
        return tuple(
            sorted(
                (_published(name, entry) for name, entry in found if entry is not None),
                key=lambda published: (published.at, published.id),
            )
        )

    def abandon_record(self, published: PublishedRecord) -> None:
        """Leave the withdrawal of a record to the next process."""
        self._write_record(published, NO_OWNER)

    def remove_record(self, published: PublishedRecord) -> None:
        """Remove a withdrawn record; unknown ones are no error."""
        durable.remove_file(self._record_path(published))

    def _write_record(self, published: PublishedRecord, owner: str) -> None:
        entry = _TextRecordFile(published.record, published.at, owner)
        write_record(self._record_path(published), entry, mode=PRIVATE_FILE)

    def _record_path(self, published: PublishedRecord) -> Path:
        return self._layout.records / f"{published.id}.json"


def _published(name: str, entry: _TextRecordFile) -> PublishedRecord:
    old = abs(datetime.now(UTC) - entry.at) > ABANDONED_AFTER
    return PublishedRecord(name, entry.record, entry.at, old or is_abandoned(entry.owner))
