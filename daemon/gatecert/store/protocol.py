"""The interfaces of the store.

`Store` is what hosts may share, and `HostFiles` what is one host's alone; a pass works with both
(`HostStore`). ``store.file_store`` implements them as a directory. What a server reads (``live``,
copies) and how far it was brought (the deployment) is in ``deploy``.

Every method that writes raises StorageError if it fails. It leaves the old or the new value, never
a mixture, even if the process is killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime, timedelta
    from pathlib import Path
    from threading import Event

    from gatecert.deadline import Deadline
    from gatecert.model import (
        Account,
        CountedBy,
        DeploymentOutcome,
        Expenses,
        GatewayState,
        GroupUse,
        IssuedChain,
        KeyRequest,
        LimitReached,
        Limits,
        OrderHeld,
        PublishedRecord,
        RequestGroup,
        RequestKind,
        RollOut,
        StoredList,
        TextRecord,
        Version,
        Wait,
    )
    from gatecert.model.fleet import Replacement, Urgency


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

    def wait_for_hosts(self, kind: str, token: str, deadline: Deadline) -> tuple[str, ...]:
        """Wait until the other hosts answer with a token, for ten seconds after it was stored.

        Returns:
            The live hosts that do not, in the order of their names.

        Raises:
            DatabaseError: It cannot be known.
        """
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
    """Requests counted towards each CA's rate limits, shared by all processes.

    ``store.counting_rules`` has the rules that every store applies.
    """

    def count_requests(
        self, directory_url: str, expenses: Expenses, within: Limits
    ) -> LimitReached | None:
        """Count requests if the limits allow them, in one step; durable on return.

        Args:
            directory_url: The CA's directory.
            expenses: The requests.
            within: The CA's limits. Requests that none of them counts any more may be forgotten.

        Returns:
            The limit that forbids the requests for the longest, and nothing was counted; None if
            they may be sent.

        Raises:
            LockTimeoutError: Another process held the lock for too long.
        """
        ...

    def instants(
        self,
        directory_url: str,
        group: RequestGroup,
        *,
        since: datetime,
        now: datetime,
        count: int,
    ) -> Sequence[datetime]:
        """Return the instants from which the newest requests of a group count, oldest first.

        A request counts from its own time; one in the future counts from when it was noticed.

        Args:
            directory_url: The CA's directory.
            group: The group.
            since: Requests up to here no longer count.
            now: The CA's time, aware UTC.
            count: How many at most.

        Raises:
            StorageError: They cannot be read.
        """
        ...

    def number_counted(self, directory_url: str, kind: RequestKind) -> int:
        """Return how many requests of a kind are counted, whether or not a limit still counts them.

        Raises:
            StorageError: They cannot be read.
        """
        ...

    def busiest_groups(  # noqa: PLR0913 - what, at whom, and from when to when
        self,
        directory_url: str,
        kind: RequestKind,
        by: CountedBy,
        *,
        since: datetime,
        now: datetime,
        full: int,
    ) -> Sequence[GroupUse]:
        """Return the group with the most requests that count, and all with ``full`` or more.

        Where fewer than half of ``full`` are counted, all may be taken for one group.

        Args:
            directory_url: The CA's directory.
            kind: The kind of the requests.
            by: What is counted together.
            since: Requests up to here no longer count.
            now: The CA's time, aware UTC.
            full: The allowance of a group.

        Raises:
            StorageError: They cannot be read.
        """
        ...


class IssuerStore(AccountStore, RateLimitUsageStore, Protocol):
    """The state kept for each CA."""

    def pause_orders(self, directory_url: str, pause: timedelta) -> None:
        """Tell the other hosts that a CA wants no requests for a while; never fail."""
        ...


class Lease(Protocol):
    """The right to order for a gateway, which one host at a time holds."""

    def check(self) -> None:
        """Look again, right before anything is sent to a CA for the gateway.

        Raises:
            LeaseLostError: Another host holds it, or may before the CA has the request.
        """
        ...


class Store(TokenStore, RecordJournal, IssuerStore, Protocol):
    """The state that hosts may share."""

    def state(self, gateway: str) -> GatewayState:
        """Return the gateway's state, of which a store may keep each part in a place of its own.

        A damaged file is logged, set aside and read as new.
        """
        ...

    def save_state(self, gateway: str, state: GatewayState) -> None:
        """Write the gateway's state.

        Without the lease, what hosts share of it is written only where it is still as it was read.
        """
        ...

    def add_version(
        self, gateway: str, issued: IssuedChain, *, now: datetime, key_group: str | None = None
    ) -> Version:
        """Write a version durably; it appears when it is complete."""
        ...

    def copy_version(
        self, gateway: str, *, now: datetime, key_group: str | None = None
    ) -> Version | None:
        """Write the newest version that another host obtained; None if this host has it.

        Raises:
            DatabaseError: What hosts share cannot be read.
            StorageError: The version is damaged, or cannot be written.
        """
        ...

    def report_deployment(
        self, gateway: str, generation: int, outcome: DeploymentOutcome, reason: str = ""
    ) -> None:
        """Tell the other hosts how this one fares with a version.

        A version that was rolled back stays so while it is pending.

        Args:
            gateway: The gateway's name.
            generation: That of the version.
            outcome: How it went.
            reason: Why it is not served, one line; empty if it is.

        Raises:
            DatabaseError: It cannot be told.
        """
        ...

    def roll_out(self, gateway: str, generation: int) -> RollOut | None:
        """Return how far a generation has come on the hosts of the cluster.

        Args:
            gateway: The gateway's name.
            generation: That of a version which this host has.

        Returns:
            None if no other host installs it.

        Raises:
            DatabaseError: It cannot be read.
        """
        ...

    def check_enrolment(self, gateway: str) -> None:
        """Check what `state` has read last of the part that hosts share.

        Raises:
            EnrolmentDamagedError: It was damaged, so nothing may be ordered.
        """
        ...

    def versions(self, gateway: str) -> tuple[Version, ...]:
        """Return the intact versions, newest first."""
        ...

    def private_key(self, version: Version, *, second: bool = False) -> bytes:
        """Return the private key of a version, PEM."""
        ...

    def stored_root(self, version: Version, *, second: bool = False) -> bytes:
        """Return the root stored with a version, PEM; empty if it is missing or damaged."""
        ...

    def remove_version(self, version: Version) -> None:
        """Delete a version."""
        ...

    def add_request(self, gateway: str, request: KeyRequest) -> None:
        """Store a key that waits for its certificate."""
        ...

    def requests(self, gateway: str) -> tuple[KeyRequest, ...]:
        """Return the key requests of a gateway, newest first."""
        ...

    def remove_request(self, gateway: str, request_id: str) -> None:
        """Remove a key request; unknown ones are no error."""
        ...

    def open_order(  # noqa: PLR0913 - the order, its cost, and the right to place it
        self,
        gateway: str,
        intent: KeyRequest,
        directory_url: str,
        expenses: Expenses,
        within: Limits,
        *,
        lease: Lease,
    ) -> LimitReached | OrderHeld | None:
        """Store an order's key request and count its requests in one step, before it is placed.

        No order is placed without it, so that every certificate that a CA issues has its key here
        and is counted (RFC 8555 section 7.4).

        Args:
            gateway: The gateway's name.
            intent: The key and the CSR with which the order will be finalized.
            directory_url: The CA's directory.
            expenses: The requests of the order; without any that are counted where the order is
                exempt because it replaces a certificate (RFC 9773 section 5).
            within: The CA's limits.
            lease: The right to order for the gateway.

        Returns:
            The limit that forbids the order for the longest, or what the fleet holds it back for,
            and neither is left; None if it may be placed.

        Raises:
            LeaseLostError: Another host may hold the lease; neither is left.
            LockTimeoutError: Another process held the lock for too long.
        """
        ...

    def schedule(self, gateway: str, urgency: Urgency, due: datetime | None) -> None:
        """Tell the other hosts how urgent the gateway's next order is.

        Args:
            gateway: The gateway's name.
            urgency: Of the next order.
            due: When it is due; None if none will be.

        Raises:
            DatabaseError: It cannot be told.
        """
        ...

    def lease(self, gateway: str) -> AbstractContextManager[Lease]:
        """Hold the right to order for a gateway; the caller holds the gateway's lock.

        Raises:
            LeaseLostError: Another host holds it, or has changed the state since it was read.
        """
        ...

    def reserve_order(self, gateway: str, replacement: Replacement | None) -> None:
        """Reserve the next order of a gateway for one host, for the time without the database.

        Args:
            gateway: The gateway's name.
            replacement: The order; None gives back what is reserved for this host.

        Raises:
            DatabaseError: It is not known whether this host has it.
            StorageError: It cannot be written.
        """
        ...

    def reserved_lease(
        self, gateway: str, certificate_id: str
    ) -> AbstractContextManager[Lease] | None:
        """Hold the right to place the reserved order; the caller holds the gateway's lock.

        Args:
            gateway: The gateway's name.
            certificate_id: CertID of the certificate to replace.

        Returns:
            None if that order is not reserved for this host, or was placed before.
        """
        ...


class HostFiles(ListStore, Protocol):
    """The state of one host: its files, its locks, and what it has downloaded."""

    def gateway_directory(self, gateway: str) -> Path:
        """Return ``STATE/gateways/<name>``."""
        ...

    def version_directory(self, version: Version) -> Path:
        """Return ``STATE/gateways/<name>/versions/<id>``, which servers read through ``live``."""
        ...

    def check_writable(self) -> None:
        """Write, fsync and read back a file, and check the free space.

        Raises:
            StorageError: That fails, or too little space is left for a renewal.
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


class HostStore(Store, HostFiles, Protocol):
    """The store of a pass over a gateway: what hosts may share, and what is this host's alone."""
