"""Sending again, after every connection, what this host has written lately.

A server that took over may have lost the end of it: the requests that a limit may count, open
intents and newest versions. A process that only reads leaves it to those that write.
"""

from __future__ import annotations

import logging
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from gatecert.errors import StateError
from gatecert.model.fleet import LONGEST_PERIOD
from gatecert.store import durable, json_record
from gatecert.store.layout import Layout
from gatecert.store.postgres import expense_rows, intent_rows, lease_rows, version_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from psycopg import Connection

    from gatecert.store.postgres.fleet_leases import FleetLeases

logger = logging.getLogger(__name__)

SENT_AGAIN: Final = timedelta(days=8)  # intents and versions; what a limit may count, for longer
SENT_LATER: Final = 60.0  # seconds until what could not be read is tried again


@dataclass(frozen=True, slots=True)
class _CountedDirectories:
    """The directory URLs of CAs at which this host has counted requests."""

    urls: tuple[str, ...] = ()


class SendingAgain:
    """Sends a host's files again, and later those that could not be read.

    Args:
        store: Its store.
    """

    def __init__(self, store: FleetLeases) -> None:
        self._store = store
        self._layout = Layout(store.directory)
        self._send_at = math.inf  # on ``time.monotonic()``: when to try again what failed

    def note_directory(self, directory_url: str) -> None:
        """Note where this host counts requests: a database may lose that."""
        known = self._counted_directories()
        if directory_url not in known:
            self._layout.make(self._layout.rate_limit_usage)
            record = _CountedDirectories((*known, directory_url))
            json_record.write_record(self._layout.counted_directories, record)

    def _counted_directories(self) -> tuple[str, ...]:
        path = self._layout.counted_directories
        record = json_record.read_record(path, _CountedDirectories)
        return record.urls if record is not None else ()

    def send(self, rows: Connection) -> None:
        """Write again what this host has written lately."""
        self._send_at = math.inf
        now = datetime.now(UTC)
        since = now - SENT_AGAIN
        directory_urls = set(expense_rows.directory_urls(rows))
        with self.or_later("the CAs with counted requests"):
            directory_urls.update(self._counted_directories())
        for directory_url in directory_urls:
            with self.or_later(f"the requests counted at {directory_url}"):
                requests = self._store.counted_requests(directory_url)
                recent = [each for each in requests if each.at > now - LONGEST_PERIOD]
                expense_rows.ExpenseRows(rows, directory_url).insert(
                    expense_rows.identified(rows, recent)
                )
        for gateway in self.shared_gateways():
            with self.or_later(f"gateway {gateway}"):
                if self._has_changed(gateway, since):
                    self._send_gateway(rows, gateway, since)

    @contextmanager
    def or_later(self, what: str) -> Iterator[None]:
        """Go on where a file cannot be read, and send everything again after a while."""
        try:
            yield
        except StateError as error:  # of a file, or its lock; the database is as good as before
            logger.warning("not sent again: %s error=%s", what, error)
            self._send_at = time.monotonic() + SENT_LATER

    def send_what_is_left(self) -> None:
        """Connect anew, which sends everything, once it is time to try again what failed."""
        if time.monotonic() >= self._send_at:
            self._send_at = math.inf
            self._store.database.close()

    def shared_gateways(self) -> list[str]:
        """Return the shared gateways of which this host has files."""
        with self.or_later("gateways"):
            entries = durable.subdirectories(self._layout.gateways)
            return [entry.name for entry in entries if not self._store.is_unshared(entry.name)]
        return []

    def _has_changed(self, gateway: str, since: datetime) -> bool:
        """Tell whether a request or version came or went since then."""
        parents = self._layout.requests(gateway), self._layout.versions(gateway)
        return any(_changed(parent) > since for parent in parents)

    def _send_gateway(self, rows: Connection, gateway: str, since: datetime) -> None:
        keys = self._store.sealing_keys
        lease_rows.enter(rows, gateway)
        known = lease_rows.generation(rows, gateway)
        for intent in self._store.own_requests(gateway):
            if intent.generation > known and intent.created > since:
                intent_rows.insert(rows, gateway, intent, keys)
        shared = [version for version in self._store.versions(gateway) if version.generation]
        newest = max(shared, key=lambda version: version.generation, default=None)
        if newest is None or newest.generation < known:
            return
        if newest.generation > known and not lease_rows.is_free(rows, gateway):
            return  # it would end the order of another host; a later pass sends it
        issued = self._store.issued(newest)
        version_rows.insert(rows, gateway, newest.generation, issued, keys)


def _changed(directory: Path) -> datetime:
    """Return when an entry of a directory was added or removed; long ago if there is none."""
    with durable.step("look at", directory):
        try:
            return datetime.fromtimestamp(directory.stat().st_mtime, UTC)
        except FileNotFoundError:
            return datetime.min.replace(tzinfo=UTC)
