"""Keys that wait for their certificates: ``requests/<id>/{privkey.pem,request.pem,meta.json}``.

A key is durable before anything is ordered for it, so that a certificate that was paid for with an
order always finds its key again. Requests are never changed, and nobody but gatecert reads them.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatecert.errors import StorageError
from gatecert.model import KeyRequest
from gatecert.store import durable, json_record, pem_files
from gatecert.store.codec import DamagedRecordError, encode
from gatecert.store.layout import PRIVATE_DIRECTORY, PRIVATE_FILE, is_safe_name, safe_name

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.store.layout import Layout

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _RequestRecord:
    """What stands in a request's ``meta.json``."""

    created: datetime


class Requests:
    """The waiting keys of every gateway below one state directory."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._said: set[Path] = set()

    def add_request(self, gateway: str, request: KeyRequest) -> None:
        """Keep a key; keeping the same one twice is no error, another one under its id is."""
        parent = self._layout.requests(gateway)
        directory = parent / safe_name(request.id)
        if durable.is_directory(directory):
            known = self._read(directory)
            if known and (known.private_key, known.csr) == (request.private_key, request.csr):
                return
            raise StorageError(
                f"request {request.id} of gateway {gateway} already exists with another key",
                fix="nothing: the next attempt uses a new id",
            )
        self._layout.make(parent)
        durable.write_directory(
            directory,
            {
                "privkey.pem": request.private_key,
                "request.pem": request.csr,
                "meta.json": encode(_RequestRecord(request.created)),
            },
            file_mode=PRIVATE_FILE,
            mode=PRIVATE_DIRECTORY,
        )

    def requests(self, gateway: str) -> tuple[KeyRequest, ...]:
        """All keys that wait, newest first."""
        parent = self._layout.requests(gateway)
        found = [
            request
            for directory in durable.subdirectories(parent)
            if is_safe_name(directory.name) and (request := self._read(directory)) is not None
        ]
        return tuple(sorted(found, key=lambda each: (each.created, each.id), reverse=True))

    def remove_request(self, gateway: str, request_id: str) -> None:
        """Forget a key request; unknown ones are no error."""
        if is_safe_name(request_id):
            durable.remove_tree(self._layout.requests(gateway) / request_id)

    def _read(self, directory: Path) -> KeyRequest | None:
        try:
            private_key = json_record.read_file(directory / "privkey.pem") or b""
            csr = json_record.read_file(directory / "request.pem") or b""
            whole, why = (
                pem_files.has_private_key(private_key) and pem_files.has_request(csr),
                "torn or empty",
            )
        except DamagedRecordError as error:
            whole, why = False, str(error)
        if not whole:
            if directory not in self._said:
                self._said.add(directory)
                logger.warning("damaged request=%s why=%r read=skipped", directory, why)
            return None
        about = json_record.read_record(directory / "meta.json", _RequestRecord)
        created = about.created if about else _changed(directory)
        return KeyRequest(directory.name, created, private_key, csr)


def _changed(directory: Path) -> datetime:
    """When something in a directory last changed, as the next best thing to its creation."""
    with durable.step("read", directory):
        return datetime.fromtimestamp(directory.stat().st_mtime, UTC)
