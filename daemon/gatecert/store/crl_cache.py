"""Downloaded CRLs: ``revocation-lists/<digest of the URL>.{crl,json}``.

The CRL is written first, then the record with its digest. After a crash in between, or if either is
damaged, the CRL counts as missing. CRLs are public, and each is verified when it is used, so the
cache needs neither secrecy nor trust. CRLs that were not downloaded for 30 days are removed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.model import StoredList
from gatecert.store import durable
from gatecert.store.damaged_files import DamagedRecordError, quarantine, read_file
from gatecert.store.json_record import read_record, write_record
from gatecert.store.layout import PRIVATE_FILE, StateFiles

if TYPE_CHECKING:
    from pathlib import Path

RETENTION = timedelta(days=30)
LARGEST_CRL = 64 << 20  # bytes


@dataclass(frozen=True, slots=True)
class _CrlRecord:
    """The record beside a CRL.

    Attributes:
        sha256: Digest of the CRL.
    """

    url: str
    sha256: str
    fetched: datetime
    etag: str
    last_modified: str


class CrlFiles(StateFiles):
    """The CRL cache; see ``ListStore``."""

    def revocation_list(self, url: str) -> StoredList | None:
        """Return the CRL that was stored last; None where none is intact."""
        path = self._crl_path(url)
        record = read_record(path.with_suffix(".json"), _CrlRecord)
        if record is None or record.url != url:
            return None
        try:
            data = read_file(path, largest=LARGEST_CRL)
        except DamagedRecordError as error:
            quarantine(path, str(error))
            return None
        if data is None or hashlib.sha256(data).hexdigest() != record.sha256:
            return None
        return StoredList(data, record.fetched, record.etag, record.last_modified)

    def save_revocation_list(self, url: str, fresh: StoredList) -> None:
        """Store a CRL in place of the previous one."""
        path = self._crl_path(url)
        self._layout.make(path.parent)
        stored = self.revocation_list(url)
        if stored is None or stored.data != fresh.data:
            durable.write_file(path, fresh.data, mode=PRIVATE_FILE)
        digest = hashlib.sha256(fresh.data).hexdigest()
        record = _CrlRecord(url, digest, fresh.fetched, fresh.etag, fresh.last_modified)
        write_record(path.with_suffix(".json"), record, mode=PRIVATE_FILE)
        self._remove_old_crls(fresh.fetched)

    def _remove_old_crls(self, now: datetime) -> None:
        for path in self._layout.revocation_lists.glob("*.json"):
            record = read_record(path, _CrlRecord)
            if record is not None and record.fetched < now - RETENTION:
                durable.remove_file(path.with_suffix(".crl"))
                durable.remove_file(path)

    def _crl_path(self, url: str) -> Path:
        digest = hashlib.sha256(url.encode()).hexdigest()
        return self._layout.revocation_lists / f"{digest[:32]}.crl"
