"""Keys that wait for their certificates: ``requests/<id>/{privkey.pem,request.pem,meta.json}``.

A key is durable before an order uses it, so that a crash never separates an issued certificate from
its key. Key and CSR never change, and only gatecert reads it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatecert.errors import StorageError
from gatecert.model import KeyRequest
from gatecert.store import damaged_files, durable, json_record, pem_files
from gatecert.store.codec import encode
from gatecert.store.damaged_files import DamagedRecordError
from gatecert.store.layout import (
    PRIVATE_DIRECTORY,
    PRIVATE_FILE,
    StateFiles,
    is_safe_name,
    safe_name,
)

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _RequestRecord:
    """The contents of a request's ``meta.json``."""

    created: datetime
    generation: int = 0
    directory_url: str = ""


class RequestFiles(StateFiles):
    """The store of keys that wait for their certificates."""

    def add_request(self, gateway: str, request: KeyRequest) -> None:
        """Store a key request; a repeated one is no error, another key under its id is."""
        parent = self._layout.requests(gateway)
        directory = parent / safe_name(request.id)
        if durable.is_directory(directory):
            stored = self._read_request(directory)
            if stored and (stored.private_key, stored.csr) == (request.private_key, request.csr):
                return
            raise StorageError(
                f"request {request.id} of gateway {gateway} already exists with another key",
                fix="no action needed: the next attempt uses a new id",
            )
        self._layout.make(parent)
        durable.write_directory(
            directory,
            {
                "privkey.pem": request.private_key,
                "request.pem": request.csr,
                "meta.json": encode(
                    _RequestRecord(request.created, request.generation, request.directory_url)
                ),
            },
            file_mode=PRIVATE_FILE,
            mode=PRIVATE_DIRECTORY,
        )

    def requests(self, gateway: str) -> tuple[KeyRequest, ...]:
        """Return the key requests of a gateway, newest first."""
        parent = self._layout.requests(gateway)
        found = [
            request
            for directory in durable.subdirectories(parent)
            if is_safe_name(directory.name)
            and (request := self._read_request(directory)) is not None
        ]
        return tuple(sorted(found, key=lambda each: (each.created, each.id), reverse=True))

    def number_request(self, gateway: str, request: KeyRequest) -> None:
        """Note the generation of a stored request that hosts share from now on."""
        path = self._layout.requests(gateway) / safe_name(request.id) / "meta.json"
        record = _RequestRecord(request.created, request.generation, request.directory_url)
        json_record.write_record(path, record)

    def remove_request(self, gateway: str, request_id: str) -> None:
        """Remove a key request; unknown ones are no error."""
        if is_safe_name(request_id):
            durable.remove_tree(self._layout.requests(gateway) / request_id)

    def _read_request(self, directory: Path) -> KeyRequest | None:
        try:
            private_key = damaged_files.read_file(directory / "privkey.pem") or b""
            csr = damaged_files.read_file(directory / "request.pem") or b""
            intact = pem_files.has_private_key(private_key) and pem_files.has_request(csr)
            reason = "truncated or empty"
        except DamagedRecordError as error:
            intact, reason = False, str(error)
        if not intact:
            if directory not in self._reported:
                self._reported.add(directory)
                logger.warning("damaged request=%s why=%r read=skipped", directory, reason)
            return None
        record = json_record.read_record(directory / "meta.json", _RequestRecord)
        created = record.created if record else _modified(directory)
        return KeyRequest(
            directory.name,
            created,
            private_key,
            csr,
            record.generation if record else 0,
            record.directory_url if record else "",
        )


def _modified(directory: Path) -> datetime:
    """Return when a directory last changed, to approximate its creation."""
    with durable.step("read", directory):
        return datetime.fromtimestamp(directory.stat().st_mtime, UTC)
