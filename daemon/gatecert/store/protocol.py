"""What a pair of gateways could one day share, behind one Protocol.

The first implementation is ``store.file_store``: a directory with the layout that administrators
know from other clients. What belongs to this host alone (``live``, copies, the deployment) is in
``deploy``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from gatecert.model import (
        Account,
        GatewayState,
        IssuedChain,
        KeyRequest,
        PublishedRecord,
        RateLimitUsage,
        StoredList,
        TextRecord,
        Version,
    )


class TokenStore(Protocol):
    """Challenge tokens that any responder on this state directory may answer with."""

    def put_token(self, token: str, key_authorization: str) -> None:
        """Keep a key authorization under its token.

        Raises:
            ValueError: The token has characters outside base64url (CVE-2026-40611).
            StorageError: It cannot be written.
        """
        ...

    def token(self, token: str) -> str | None:
        """The key authorization of a token; None for unknown or ill-formed tokens."""
        ...

    def remove_token(self, token: str) -> None:
        """Forget a token; unknown ones are no error."""
        ...

    def abandoned_tokens(self) -> tuple[str, ...]:
        """Tokens of processes that are gone: what was put up for them can be taken down.

        Raises:
            StorageError: It cannot be known.
        """
        ...


class RecordJournal(Protocol):
    """TXT records that were published, so that each is withdrawn even after a crash."""

    def add_record(self, record: TextRecord, *, now: datetime) -> PublishedRecord:
        """Remember that a record is about to be published; durable before this returns.

        Raises:
            StorageError: It cannot be written.
        """
        ...

    def records(self) -> tuple[PublishedRecord, ...]:
        """All that is remembered, of every process, oldest first."""
        ...

    def abandon_record(self, published: PublishedRecord) -> None:
        """Leave it to whoever comes next to withdraw the record.

        Raises:
            StorageError: It cannot be written.
        """
        ...

    def remove_record(self, published: PublishedRecord) -> None:
        """Forget a record that was withdrawn; unknown ones are no error.

        Raises:
            StorageError: It cannot be removed.
        """
        ...


class ListStore(Protocol):
    """Revocation lists that were fetched, by URL; for all gateways."""

    def revocation_list(self, url: str) -> StoredList | None:
        """The list that was kept last; None where there is none that is whole.

        Raises:
            StorageError: It is there but cannot be read.
        """
        ...

    def save_revocation_list(self, url: str, fresh: StoredList) -> None:
        """Keep a list in place of the one before.

        Raises:
            StorageError: It cannot be written.
        """
        ...


class AccountStore(Protocol):
    """ACME accounts, by the authority's name in the configuration."""

    def account(self, authority: str) -> Account | None:
        """The account, as far as it is known; a damaged ``account.json`` leaves the key."""
        ...

    def save_account(self, authority: str, account: Account) -> None:
        """Keep an account; the key is durable before its URL is written.

        Raises:
            StorageError: It cannot be written.
        """
        ...

    def next_key(self, authority: str) -> bytes | None:
        """The key (PEM) that may have taken the place of the account's; None if there is none."""
        ...

    def save_next_key(self, authority: str, private_key: bytes) -> None:
        """Keep a key that is about to take the place of the account's; durable on return.

        Raises:
            StorageError: It cannot be written.
        """
        ...

    def remove_next_key(self, authority: str) -> None:
        """Forget the key beside the account's; none is no error."""
        ...

    def retire_account(self, authority: str) -> None:
        """Put an account that was given up out of the way; none is no error."""
        ...


class RateLimitUsageStore(Protocol):
    """What was asked of each authority, shared by every process on this state directory."""

    def rate_limit_usage(self, directory_url: str) -> RateLimitUsage:
        """What was asked of the authority with this directory."""
        ...

    def update_rate_limit_usage(
        self, directory_url: str, change: Callable[[RateLimitUsage], RateLimitUsage]
    ) -> None:
        """Change it while nobody else does; durable before this returns.

        Args:
            directory_url: The authority's directory.
            change: Makes the new value of the old; what it raises leaves all as it was.

        Raises:
            LockTimeoutError: Another process took too long.
            StorageError: It cannot be written.
        """
        ...


class IssuerStore(AccountStore, RateLimitUsageStore, Protocol):
    """What has to be remembered of an authority."""


class Store(TokenStore, IssuerStore, ListStore, Protocol):
    """Everything that outlives a pass.

    Every method that writes raises StorageError when it cannot, and leaves the old or the new
    value behind, never a mixture, whenever the process dies.
    """

    def gateway_directory(self, gateway: str) -> Path:
        """``STATE/gateways/<name>``."""
        ...

    def state(self, gateway: str) -> GatewayState:
        """What is remembered; a damaged file is set aside, said in the log, and read as new."""
        ...

    def save_state(self, gateway: str, state: GatewayState) -> None:
        """Remember."""
        ...

    def add_version(
        self, gateway: str, issued: IssuedChain, *, now: datetime, key_group: str | None = None
    ) -> Version:
        """Write ``versions/<id>`` in full and durably; it appears under its name only then."""
        ...

    def versions(self, gateway: str) -> tuple[Version, ...]:
        """All readable versions, newest first."""
        ...

    def private_key(self, version: Version, *, second: bool = False) -> bytes:
        """The private key of a version, PEM."""
        ...

    def remove_version(self, version: Version) -> None:
        """Delete a version for good."""
        ...

    def add_request(self, gateway: str, request: KeyRequest) -> None:
        """Keep a key that waits for its certificate, below ``requests/<id>``."""
        ...

    def requests(self, gateway: str) -> tuple[KeyRequest, ...]:
        """All keys that wait, newest first."""
        ...

    def remove_request(self, gateway: str, request_id: str) -> None:
        """Forget a key request; unknown ones are no error."""
        ...

    def check_writable(self) -> None:
        """Write, fsync and read back a small file.

        Raises:
            StorageError: That does not work, or too little space is left for a renewal.
        """
        ...

    def hold_state_directory(self) -> AbstractContextManager[None]:
        """Hold the state directory as its one daemon.

        Raises:
            DaemonRunningError: Another daemon does.
        """
        ...

    def daemon_pid(self) -> int | None:
        """Process id of the daemon that holds the state directory; None when there is none."""
        ...

    def lock_gateway(
        self, gateway: str, purpose: str, *, wait: float
    ) -> AbstractContextManager[None]:
        """Hold a gateway's own lock while changing it.

        Args:
            gateway: Its name.
            purpose: What is being done, in words, shown to others who wait.
            wait: Seconds to wait for another holder.

        Raises:
            LockTimeoutError: The other holder took longer; says what it was doing.
        """
        ...
