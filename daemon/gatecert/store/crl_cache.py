"""Revocation lists that were fetched: ``revocation-lists/<digest of the URL>.{crl,json}``.

The list is written first, then the record beside it, which names the list it is about: after a
crash in between, or a damage to either, there counts as being none. Anybody may fetch these lists,
so nothing here is secret; nor is anything here believed, as every list is checked when it is used.
Lists that nobody has asked for in a long time go.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.model import StoredList
from gatecert.store import durable
from gatecert.store.json_record import read_record, write_record
from gatecert.store.layout import PRIVATE_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.store.layout import Layout

KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What stands in the record beside a list.

    Attributes:
        sha256: Digest of the list.
    """

    url: str
    sha256: str
    fetched: datetime
    etag: str
    last_modified: str


class RevocationListFiles:
    """The lists below one state directory."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def revocation_list(self, url: str) -> StoredList | None:
        """The list that was kept last; None where there is none that is whole."""
        path = self._path(url)
        entry = read_record(path.with_suffix(".json"), _Entry)
        if entry is None or entry.url != url:
            return None
        with durable.step("read", path):
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                return None
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            return None
        return StoredList(data, entry.fetched, entry.etag, entry.last_modified)

    def save_revocation_list(self, url: str, fresh: StoredList) -> None:
        """Keep a list in place of the one before."""
        path = self._path(url)
        self._layout.make(path.parent)
        known = self.revocation_list(url)
        if known is None or known.data != fresh.data:
            durable.write_file(path, fresh.data, mode=PRIVATE_FILE)
        digest = hashlib.sha256(fresh.data).hexdigest()
        entry = _Entry(url, digest, fresh.fetched, fresh.etag, fresh.last_modified)
        write_record(path.with_suffix(".json"), entry, mode=PRIVATE_FILE)
        self._remove_old(fresh.fetched)

    def sweep(self) -> None:
        """Remove files that a crash left half written."""
        durable.sweep(self._layout.revocation_lists)

    def _remove_old(self, now: datetime) -> None:
        for path in self._layout.revocation_lists.glob("*.json"):
            entry = read_record(path, _Entry)
            if entry is not None and entry.fetched < now - KEPT:
                durable.remove_file(path.with_suffix(".crl"))
                durable.remove_file(path)

    def _path(self, url: str) -> Path:
        digest = hashlib.sha256(url.encode()).hexdigest()
        return self._layout.revocation_lists / f"{digest[:32]}.crl"
