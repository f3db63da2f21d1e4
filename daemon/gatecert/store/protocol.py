"""The interface of the store.

``store.file_store`` implements it as a directory; a database shared by several hosts can implement
it as well. State that belongs to a single host (``live``, copies, the deployment) is in ``deploy``.

Every method that writes raises StorageError if it fails. It leaves the old or the new value, never
a mixture, even if the process is killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path
    from threading import Event

    from gatecert.model import (
        Account,
        CountedRequest,
        GatewayState,
        IssuedChain,
        KeyRequest,
        PublishedRecord,
        StoredList,
        TextRecord,
        UsageChange,
        Version,
        Wait,
    )
    from gatecert.store.usage_index import UsageIndex

Result = TypeVar("Result")


class TokenStore(Protocol):
    """Challenge tokens that every responder of the state directory answers.

    ``kind`` is the challenge type: a responder finds the tokens of its own type only.
    """

    def put_token(self, kind: str, token: str, key_authorization: str) -> None:
        """Store the key authorization of a token.

        Raises:
            ValueError: The token has characters outside base64url (CVE-2026-40611).
        """
        ...

    def token(self, kind: str, token: str) -> str | None:
        """Return the key authorization of a token; None for unknown or malformed tokens."""
        ...

    def remove_token(self, kind: str, token: str) -> None:
        """Remove a token; unknown ones are no error."""
        ...

    def abandoned_tokens(self, kind: str) -> tuple[str, ...]:
        """Return the tokens of processes that have ended, whose responses can be cleaned up."""
        ...


class RecordJournal(Protocol):
    """Published TXT records, so that each is withdrawn even after a crash."""

    def add_record(self, record: TextRecord, *, now: datetime) -> PublishedRecord:
        """Store a record that is about to be published; durable on return."""
        ...

    def records(self) -> tuple[PublishedRecord, ...]:
        """Return the stored records of all processes, oldest first."""
        ...

    def abandon_record(self, published: PublishedRecord) -> None:
        """Leave the withdrawal of a record to the next process."""
        ...

    def remove_record(self, published: PublishedRecord) -> None:
        """Remove a withdrawn record; unknown ones are no error."""
        ...


class ListStore(Protocol):
    """Downloaded CRLs by URL, shared by all gateways."""

    def revocation_list(self, url: str) -> StoredList | None:
        """Return the CRL that was stored last; None where none is intact.

        Raises:
            StorageError: It exists but cannot be read.
        """
        ...

    def save_revocation_list(self, url: str, fresh: StoredList) -> None:
        """Store a CRL in place of the previous one."""
        ...


class AccountStore(Protocol):
    """ACME accounts, by the CA's name in the configuration."""

    def account(self, authority: str) -> Account | None:
        """Return the account; without its URL if ``account.json`` is missing or damaged."""
        ...

    def save_account(self, authority: str, account: Account) -> None:
        """Write an account; its key is durable before its URL is written."""
        ...

    def next_key(self, authority: str) -> bytes | None:
        """Return the new key (PEM) of an unfinished rollover, which the CA may already know."""
        ...

    def save_next_key(self, authority: str, private_key: bytes) -> None:
        """Write the new key of a rollover; durable on return."""
        ...

    def remove_next_key(self, authority: str) -> None:
        """Remove the new key of a rollover; none is no error."""
        ...

    def retire_account(self, authority: str) -> None:
        """Move a deactivated account aside; none is no error."""
        ...


class RateLimitUsageStore(Protocol):
    """Requests counted towards each CA's rate limits, shared by all processes."""

    def rate_limit_usage(self, directory_url: str, read: Callable[[UsageIndex], Result]) -> Result:
        """Return what ``read`` returns for the requests counted for an ACME directory.

        Raises:
            StorageError: They cannot be read.
        """
        ...

    def update_rate_limit_usage(
        self,
        directory_url: str,
        change: Callable[[UsageIndex], UsageChange | None],
        needed: Callable[[UsageIndex], Sequence[CountedRequest]],
    ) -> None:
        """Make a change under a lock; durable on return.

        Args:
            directory_url: The CA's directory.
            change: Returns the change; None for none. If it raises, nothing changes.
            needed: Returns the requests that must be kept, in their order; called now and then.

        Raises:
            LockTimeoutError: Another process held the lock for too long.
        """
        ...


class IssuerStore(AccountStore, RateLimitUsageStore, Protocol):
    """The state kept for each CA."""


class Store(TokenStore, IssuerStore, ListStore, Protocol):
    """All persistent state."""

    def gateway_directory(self, gateway: str) -> Path:
        """Return ``STATE/gateways/<name>``."""
        ...

    def state(self, gateway: str) -> GatewayState:
        """Return the gateway's state; a damaged file is logged, set aside and read as new."""
        ...

    def save_state(self, gateway: str, state: GatewayState) -> None:
        """Write the gateway's state."""
        ...

    def add_version(
        self, gateway: str, issued: IssuedChain, *, now: datetime, key_group: str | None = None
    ) -> Version:
        """Write ``versions/<id>`` durably; it appears when it is complete."""
        ...

    def versions(self, gateway: str) -> tuple[Version, ...]:
        """Return the intact versions, newest first."""
        ...

    def private_key(self, version: Version, *, second: bool = False) -> bytes:
        """Return the private key of a version, PEM."""
        ...

    def remove_version(self, version: Version) -> None:
        """Delete a version."""
        ...

    def add_request(self, gateway: str, request: KeyRequest) -> None:
        """Store a key that waits for its certificate, below ``requests/<id>``."""
        ...

    def requests(self, gateway: str) -> tuple[KeyRequest, ...]:
        """Return the key requests of a gateway, newest first."""
        ...

    def remove_request(self, gateway: str, request_id: str) -> None:
        """Remove a key request; unknown ones are no error."""
        ...

    def check_writable(self) -> None:
        """Write, fsync and read back a file, and check the free space.

        Raises:
            StorageError: That fails, or too little space is left for a renewal.
        """
        ...

    def hold_state_directory(self) -> AbstractContextManager[None]:
        """Hold the state directory as its only daemon.

        Raises:
            DaemonRunningError: Another daemon holds it.
        """
        ...

    def daemon_pid(self) -> int | None:
        """Return the process id of the running daemon; None if there is none."""
        ...

    def lock_gateway(
        self,
        gateway: str,
        purpose: str,
        *,
        wait: float,
        tell: Callable[[Wait], None] | None = None,
        cancelled: Event | None = None,
    ) -> AbstractContextManager[None]:
        """Hold a gateway's lock while changing it.

        Args:
            gateway: Its name.
            purpose: The change, shown to processes that wait.
            wait: Seconds to wait for another holder.
            tell: Called with the other holder before waiting for it.
            cancelled: Ends the wait when set: gatecert is stopping.

        Raises:
            LockTimeoutError: The other holder took longer; names its purpose.
        """
        ...
