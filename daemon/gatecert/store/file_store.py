"""The store as a directory; see ``layout`` for its files.

``FileStore`` combines the classes that each store one kind of data, and adds the state of gateways,
locks and the write check. ``durable`` does all writing. Threads may share a FileStore. Changes to a
gateway require its lock (``lock_gateway``); reading requires none, because files appear complete.
"""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from gatecert.errors import StorageError
from gatecert.model import GatewayState
from gatecert.store import durable, json_record, lock
from gatecert.store.accounts import AccountFiles
from gatecert.store.crl_cache import CrlFiles
from gatecert.store.damaged_files import read_file
from gatecert.store.dns_records import TextRecordFiles
from gatecert.store.kept_files import KeptFiles
from gatecert.store.layout import PRIVATE_FILE
from gatecert.store.lock import LockLease
from gatecert.store.rate_limit_usage import RateLimitUsageFiles
from gatecert.store.request_files import RequestFiles
from gatecert.store.state_directory import sweep_shared
from gatecert.store.temporary_names import mark_abandoned, temporary_beside
from gatecert.store.tokens import TokenFiles
from gatecert.store.versions import VersionFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime, timedelta
    from pathlib import Path
    from threading import Event

    from gatecert.model import (
        DatabaseProblem,
        DeploymentOutcome,
        Expenses,
        KeyRequest,
        LimitReached,
        Limits,
        OrderHeld,
        RollOut,
        Version,
        Wait,
    )
    from gatecert.model.cluster_view import ClusterView
    from gatecert.model.fleet import Replacement, Urgency
    from gatecert.store.protocol import Lease

MINIMUM_SPACE = 1024 * 1024  # bytes; a renewal writes some 20 kB, plus copies and logs
TRIAL_SECONDS = 1.0
MINIMUM_INODES = 64  # a version has seven
PROBE_DATA = b"gatecert can write here\n" * 1366  # 32 KiB: small writes can pass a full quota


class FileStore(
    AccountFiles,
    RateLimitUsageFiles,
    TokenFiles,
    TextRecordFiles,
    CrlFiles,
    VersionFiles,
    RequestFiles,
):
    """All persistent state, below a state directory; see ``store.protocol.HostStore``."""

    def __init__(self, state_directory: Path) -> None:
        super().__init__(state_directory)
        self._trial_again_at = 0.0  # on ``time.monotonic()``
        self._states: KeptFiles[GatewayState] = KeptFiles()

    def gateway_directory(self, gateway: str) -> Path:
        """Return ``STATE/gateways/<name>``, which may not exist yet."""
        return self._layout.gateway(gateway)

    def state(self, gateway: str) -> GatewayState:
        """Return the gateway's state; a damaged file is logged, set aside and read as new."""
        path = self._layout.gateway_state(gateway)
        read = partial(json_record.read_record, path, GatewayState)
        return self._states.get(path, read) or GatewayState()

    def save_state(self, gateway: str, state: GatewayState) -> None:
        """Write the gateway's state."""
        self._layout.make(self._layout.gateway(gateway))
        json_record.write_record(self._layout.gateway_state(gateway), state)

    def open_order(  # noqa: PLR0913 - see Store
        self,
        gateway: str,
        intent: KeyRequest,
        directory_url: str,
        expenses: Expenses,
        within: Limits,
        *,
        lease: Lease,
    ) -> LimitReached | OrderHeld | None:
        """Store an order's key request, then count its requests, or remove it again.

        A crash in between leaves a key without an order, which the next pass removes.
        """
        lease.check()
        self.add_request(gateway, intent)
        reached = self.count_requests(directory_url, expenses, within)
        if reached is not None:
            self.remove_request(gateway, intent.id)
        return reached

    def cluster_view(self, gateways: Collection[str]) -> ClusterView | DatabaseProblem | None:
        """Return what this host sees of its cluster; None, since it is in none."""
        del gateways
        return None

    def spare_database(self, gateways: Collection[str]) -> None:
        """Answer from the files, as always."""

    def check_writable(self) -> None:
        """Check the free space, and write, fsync and read back a file.

        For a moment, a file that was written for one gateway tells it for all.

        Raises:
            StorageError: That fails, or too little space is left for a renewal.
        """
        self._layout.make(self.directory)
        self._check_free_space()
        if time.monotonic() >= self._trial_again_at:
            self._write_trial()
            self._trial_again_at = time.monotonic() + TRIAL_SECONDS

    def _write_trial(self) -> None:
        path = temporary_beside(self.directory / "trial")
        try:
            durable.write_file(path, PROBE_DATA, mode=PRIVATE_FILE)
            same = read_file(path) == PROBE_DATA
            durable.remove_file(path, sync=False)
        except StorageError:
            mark_abandoned(path)
            raise
        if not same:
            raise StorageError(
                f"{path} does not read back as it was written",
                fix="the disk may be failing: see the kernel's log (dmesg)",
            )

    def daemon_pid(self) -> int | None:
        """Return the process id of the running daemon; None if there is none."""
        return lock.daemon_pid(self._layout.lock)

    @contextmanager
    def lock_gateway(
        self,
        gateway: str,
        purpose: str,
        *,
        wait: float,
        tell: Callable[[Wait], None] | None = None,
        cancelled: Event | None = None,
    ) -> Iterator[None]:
        """Hold a gateway's lock while changing it, after removing its temporary files."""
        directory = self._layout.gateway(gateway)
        self._layout.make(directory)
        path = self._layout.gateway_lock(gateway)
        with lock.hold_lock_file(
            path, f"gateway {gateway}", purpose, wait=wait, tell=tell, cancelled=cancelled
        ):
            sweep_shared(self._layout)
            durable.sweep(directory)
            durable.sweep(self._layout.versions(gateway))
            durable.sweep(self._layout.requests(gateway))
            yield

    def copy_version(
        self, gateway: str, *, now: datetime, key_group: str | None = None
    ) -> Version | None:
        """Return None: no other host obtains versions."""
        del gateway, now, key_group
        return None

    def report_deployment(
        self, gateway: str, generation: int, outcome: DeploymentOutcome, reason: str = ""
    ) -> None:
        """Tell nobody: there is no other host."""

    def roll_out(self, gateway: str, generation: int) -> RollOut | None:
        """Return None: no other host installs versions."""
        del gateway, generation
        return None

    def check_enrolment(self, gateway: str) -> None:
        """Accept it: nothing is shared, and a damaged file is read as new."""

    def schedule(self, gateway: str, urgency: Urgency, due: datetime | None) -> None:
        """Tell nobody: there is no other host."""

    def pause_orders(self, directory_url: str, pause: timedelta) -> None:
        """Tell nobody: there is no other host."""

    def lease(self, gateway: str) -> AbstractContextManager[Lease]:
        """Hold the right to order, which the holder of the gateway's lock has."""
        del gateway
        return nullcontext(LockLease())

    def reserve_order(self, gateway: str, replacement: Replacement | None) -> None:
        """Reserve nothing: there is no database to be without."""

    def reserved_lease(
        self, gateway: str, certificate_id: str
    ) -> AbstractContextManager[Lease] | None:
        """Return None: nothing is reserved."""
        del gateway, certificate_id
        return None

    def _check_free_space(self) -> None:
        with durable.step("look at", self.directory):
            free = os.statvfs(self.directory)
        space = free.f_bavail * free.f_frsize
        if space < MINIMUM_SPACE:
            raise StorageError(
                f"disk full: only {space // 1024} KiB are left for {self.directory},"
                f" too few to keep a new certificate",
                fix="free some space before the next renewal",
            )
        # Some file systems (btrfs) have no fixed number of inodes and report zero.
        if free.f_files and free.f_favail < MINIMUM_INODES:
            raise StorageError(
                f"disk full: only {free.f_favail} more files can be made for {self.directory},"
                f" too few to keep a new certificate",
                fix="remove some files there before the next renewal",
            )
