"""TXT records that may stand in the DNS: ``records/<id>.json``, one file each.

A file is written durably before its record is published and removed after the record is withdrawn,
so there may be a file without a record, never a record without a file. It carries the mark of the
process that published it: once that is gone, whoever comes next withdraws the record. A process
number may come again, so a file of a certain age counts as abandoned whoever has its number.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.model import PublishedRecord, TextRecord
from gatecert.store import durable
from gatecert.store.json_record import read_record, write_record
from gatecert.store.layout import PRIVATE_FILE
from gatecert.store.temporary_names import is_abandoned, process_mark

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.store.layout import Layout

ABANDONED_AFTER = timedelta(days=1)  # no validation takes as long
NO_OWNER = ""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A file.

    Attributes:
        owner: Mark of the process that works with the record.
    """

    record: TextRecord
    at: datetime
    owner: str


class PublishedRecordFiles:
    """The TXT records that any process on one state directory has published."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def add_record(self, record: TextRecord, *, now: datetime) -> PublishedRecord:
        """Remember that a record is about to be published."""
        published = PublishedRecord(secrets.token_hex(8), record, now)
        self._layout.make(self._layout.records)
        self._write(published, process_mark())
        return published

    def records(self) -> tuple[PublishedRecord, ...]:
        """All that is remembered, oldest first; a damaged file is set aside and said in the log."""
        directory = self._layout.records
        if not directory.is_dir():
            return ()
        with durable.step("read", directory):
            paths = [path for path in directory.iterdir() if path.suffix == ".json"]
        found = [(path.stem, read_record(path, _Entry)) for path in paths]
        return tuple(
            sorted(
                (_published(name, entry) for name, entry in found if entry is not None),
                key=lambda published: (published.at, published.id),
            )
        )

    def abandon_record(self, published: PublishedRecord) -> None:
        """Leave the record to whoever comes next."""
        self._write(published, NO_OWNER)

    def remove_record(self, published: PublishedRecord) -> None:
        """Forget a record that was withdrawn; unknown ones are no error."""
        durable.remove_file(self._path(published))

    def sweep(self) -> None:
        """Remove files that a crash left half written."""
        durable.sweep(self._layout.records)

    def _write(self, published: PublishedRecord, owner: str) -> None:
        entry = _Entry(published.record, published.at, owner)
        write_record(self._path(published), entry, mode=PRIVATE_FILE)

    def _path(self, published: PublishedRecord) -> Path:
        return self._layout.records / f"{published.id}.json"


def _published(name: str, entry: _Entry) -> PublishedRecord:
    old = abs(datetime.now(UTC) - entry.at) > ABANDONED_AFTER
    return PublishedRecord(name, entry.record, entry.at, old or is_abandoned(entry.owner))
