"""The store as a directory, with the layout that administrators know from other clients.

``FileStore`` only puts the parts together: each of ``accounts``, ``versions``, ``requests``,
``tokens``, ``records``, ``revocation_lists``, ``spendings`` and ``lock`` keeps one kind of thing,
``layout`` knows where, ``durable`` knows how.

Threads may share one FileStore. Whoever changes a gateway holds its lock (``lock_gateway``);
reading needs none, because everything appears at once.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatecert.errors import StorageError
from gatecert.model import GatewayState
from gatecert.store import durable, json_record, lock
from gatecert.store.accounts import Accounts
from gatecert.store.crl_cache import RevocationListFiles
from gatecert.store.dns_records import PublishedRecordFiles
from gatecert.store.layout import PRIVATE_FILE, Layout
from gatecert.store.rate_limit_usage import RateLimitUsageFiles
from gatecert.store.request_files import Requests
from gatecert.store.temporary_names import mark_abandoned, temporary_beside
from gatecert.store.tokens import Tokens
from gatecert.store.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from gatecert.model import (
        Account,
        IssuedChain,
        KeyRequest,
        PublishedRecord,
        RateLimitUsage,
        StoredList,
        TextRecord,
        Version,
    )

MINIMUM_SPACE = 1024 * 1024  # bytes; a renewal writes some 20 kB, copies and logs come on top
MINIMUM_INODES = 64  # inodes; a version has seven
PROBE_DATA = b"gatecert can write here\n" * 1366  # 32 KiB: a quota shows only when it is used up


class FileStore:
    """Everything that outlives a pass, below one state directory; see ``store.protocol.Store``.

    Args:
        state_directory: Made when something is first written. Relative paths are made absolute.
    """

    def __init__(self, state_directory: Path) -> None:
        self._layout = Layout(state_directory.absolute())
        self._accounts = Accounts(self._layout)
        self._versions = Versions(self._layout)
        self._requests = Requests(self._layout)
        self._tokens = Tokens(self._layout)
        self._records = PublishedRecordFiles(self._layout)
        self._rate_limit_usage = RateLimitUsageFiles(self._layout)
        self._lists = RevocationListFiles(self._layout)

    @property
    def directory(self) -> Path:
        """The state directory, absolute."""
        return self._layout.state

    # ------------------------------------------------------------------ tokens

    def put_token(self, token: str, key_authorization: str) -> None:
        """Keep a key authorization under its token; ValueError for an ill-formed token."""
        self._tokens.put_token(token, key_authorization)

    def token(self, token: str) -> str | None:
        """The key authorization of a token; None for unknown or ill-formed tokens."""
        return self._tokens.token(token)

    def remove_token(self, token: str) -> None:
        """Forget a token; unknown ones are no error."""
        self._tokens.remove_token(token)

    def abandoned_tokens(self) -> tuple[str, ...]:
        """Tokens of processes that are gone, in no order."""
        return self._tokens.abandoned_tokens()

    # ------------------------------------------------------------------ records

    def add_record(self, record: TextRecord, *, now: datetime) -> PublishedRecord:
        """Remember that a TXT record is about to be published; durable before this returns."""
        return self._records.add_record(record, now=now)

    def records(self) -> tuple[PublishedRecord, ...]:
        """All TXT records that are remembered, of every process, oldest first."""
        return self._records.records()

    def abandon_record(self, published: PublishedRecord) -> None:
        """Leave it to whoever comes next to withdraw the record."""
        self._records.abandon_record(published)

    def remove_record(self, published: PublishedRecord) -> None:
        """Forget a record that was withdrawn; unknown ones are no error."""
        self._records.remove_record(published)

    # ------------------------------------------------------------------ accounts

    def account(self, authority: str) -> Account | None:
        """The account, as far as it is known; a damaged ``account.json`` leaves the key."""
        return self._accounts.account(authority)

    def save_account(self, authority: str, account: Account) -> None:
        """Keep an account; the key is durable before its URL is written."""
        self._accounts.save_account(authority, account)

    def next_key(self, authority: str) -> bytes | None:
        """The key that may have taken the place of the account's."""
        return self._accounts.next_key(authority)

    def save_next_key(self, authority: str, private_key: bytes) -> None:
        """Keep a key that is about to take the place of the account's."""
        self._accounts.save_next_key(authority, private_key)

    def remove_next_key(self, authority: str) -> None:
        """Forget the key beside the account's."""
        self._accounts.remove_next_key(authority)

    def retire_account(self, authority: str) -> None:
        """Put an account that was given up out of the way."""
        self._accounts.retire_account(authority)

    # ------------------------------------------------------------------ revocation lists

    def revocation_list(self, url: str) -> StoredList | None:
        """The list that was kept last."""
        return self._lists.revocation_list(url)

    def save_revocation_list(self, url: str, fresh: StoredList) -> None:
        """Keep a list in place of the one before."""
        self._lists.save_revocation_list(url, fresh)

    # ------------------------------------------------------------------ spending

    def rate_limit_usage(self, directory_url: str) -> RateLimitUsage:
        """What was asked of the authority with this directory."""
        return self._rate_limit_usage.rate_limit_usage(directory_url)

    def update_rate_limit_usage(
        self, directory_url: str, change: Callable[[RateLimitUsage], RateLimitUsage]
    ) -> None:
        """Change it while nobody else does; durable before this returns."""
        self._rate_limit_usage.update_rate_limit_usage(directory_url, change)

    # ------------------------------------------------------------------ state

    def gateway_directory(self, gateway: str) -> Path:
        """``STATE/gateways/<name>``, whether it exists or not."""
        return self._layout.gateway(gateway)

    def state(self, gateway: str) -> GatewayState:
        """What is remembered; a damaged file is set aside, said in the log, and read as new."""
        path = self._layout.gateway_state(gateway)
        return json_record.read_record(path, GatewayState) or GatewayState()

    def save_state(self, gateway: str, state: GatewayState) -> None:
        """Remember."""
        self._layout.make(self._layout.gateway(gateway))
        json_record.write_record(self._layout.gateway_state(gateway), state)

    # ------------------------------------------------------------------ versions

    def add_version(
        self, gateway: str, issued: IssuedChain, *, now: datetime, key_group: str | None = None
    ) -> Version:
        """Write ``versions/<id>`` in full and durably; it appears under its name only then."""
        return self._versions.add_version(gateway, issued, now=now, key_group=key_group)

    def versions(self, gateway: str) -> tuple[Version, ...]:
        """All readable versions, newest first."""
        return self._versions.versions(gateway)

    def private_key(self, version: Version, *, second: bool = False) -> bytes:
        """The private key of a version, PEM."""
        return self._versions.private_key(version, second=second)

    def remove_version(self, version: Version) -> None:
        """Delete a version for good."""
        self._versions.remove_version(version)

    # ------------------------------------------------------------------ requests

    def add_request(self, gateway: str, request: KeyRequest) -> None:
        """Keep a key that waits for its certificate, below ``requests/<id>``."""
        self._requests.add_request(gateway, request)

    def requests(self, gateway: str) -> tuple[KeyRequest, ...]:
        """All keys that wait, newest first."""
        return self._requests.requests(gateway)

    def remove_request(self, gateway: str, request_id: str) -> None:
        """Forget a key request; unknown ones are no error."""
        self._requests.remove_request(gateway, request_id)

    # ------------------------------------------------------------------ locks and health

    def check_writable(self) -> None:
        """Write, fsync and read back a small file; see that a renewal has room.

        Raises:
            StorageError: That does not work, or too little space is left.
        """
        self._layout.make(self.directory)
        self._check_room()
        path = temporary_beside(self.directory / "trial")
        try:
            durable.write_file(path, PROBE_DATA, mode=PRIVATE_FILE)
            with durable.step("read", path):
                same = path.read_bytes() == PROBE_DATA
            durable.remove_file(path, sync=False)
        except StorageError:
            mark_abandoned(path)
            raise
        if not same:
            raise StorageError(
                f"what was written to {path} does not read back the same",
                fix="the disk may be failing: see the kernel's log (dmesg)",
            )

    @contextmanager
    def hold_state_directory(self) -> Iterator[None]:
        """Hold the state directory as its one daemon, and clear what a crash left in it."""
        self._layout.make(self.directory)
        with lock.hold_state_directory(self._layout.lock, self.directory):
            self._records.sweep()
            self._lists.sweep()
            self._sweep()
            yield

    def daemon_pid(self) -> int | None:
        """Process id of the daemon that holds the state directory; None when there is none."""
        return lock.daemon_pid(self._layout.lock)

    @contextmanager
    def lock_gateway(self, gateway: str, purpose: str, *, wait: float) -> Iterator[None]:
        """Hold a gateway's own lock while changing it, and clear what a crash left there."""
        directory = self._layout.gateway(gateway)
        self._layout.make(directory)
        path = self._layout.gateway_lock(gateway)
        with lock.hold_gateway_lock(path, gateway, purpose, wait=wait):
            self._sweep()
            durable.sweep(directory)
            durable.sweep(self._layout.versions(gateway))
            durable.sweep(self._layout.requests(gateway))
            yield

    def _sweep(self) -> None:
        """Clear what all gateways share of what crashes and failing disks left."""
        durable.sweep(self.directory)
        self._tokens.sweep()
        self._rate_limit_usage.sweep()

    def _check_room(self) -> None:
        with durable.step("look at", self.directory):
            room = os.statvfs(self.directory)
        space = room.f_bavail * room.f_frsize
        if space < MINIMUM_SPACE:
            raise StorageError(
                f"disk full: only {space // 1024} KiB are left for {self.directory},"
                f" too few to keep a new certificate",
                fix="free some space before the next renewal",
            )
        # Some file systems (btrfs) have no fixed number of inodes and report none at all.
        if room.f_files and room.f_favail < MINIMUM_INODES:
            raise StorageError(
                f"disk full: only {room.f_favail} more files can be made for {self.directory},"
                f" too few to keep a new certificate",
                fix="remove some files there before the next renewal",
            )
