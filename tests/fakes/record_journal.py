"""A journal of published DNS records in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatecert.model import PublishedRecord, TextRecord

if TYPE_CHECKING:
    from datetime import datetime

    from gatecert.errors import StorageError


class Journal:
    """Published records in memory.

    Attributes:
        steps: What was done, in order.
        broken: What to raise from the named methods.
    """

    def __init__(self) -> None:
        self.entries: dict[str, PublishedRecord] = {}
        self.steps: list[str] = []
        self.broken: dict[str, StorageError] = {}

    def add_record(self, record: TextRecord, *, now: datetime) -> PublishedRecord:
        self._step("add", record)
        published = PublishedRecord(f"id{len(self.steps)}", record, now)
        self.entries[published.id] = published
        return published

    def records(self) -> tuple[PublishedRecord, ...]:
        if "records" in self.broken:
            raise self.broken["records"]
        return tuple(self.entries.values())

    def abandon_record(self, published: PublishedRecord) -> None:
        self._step("abandon", published.record)
        self.entries[published.id] = replace(published, abandoned=True)

    def remove_record(self, published: PublishedRecord) -> None:
        self._step("remove", published.record)
        self.entries.pop(published.id, None)

    def _step(self, name: str, record: TextRecord) -> None:
        if name in self.broken:
            raise self.broken[name]
        self.steps.append(f"{name} {record.name}")
