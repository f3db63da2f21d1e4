"""A lease that another host may take over, and a store of which another host has the leases."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from gatecert.errors import DatabaseAwayError, LeaseLostError, LoginRefusedError
from gatecert.model import DeploymentOutcome, Origin, RollOut
from gatecert.model.fleet import FleetHalt
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from gatecert.errors import EnrolmentDamagedError, StorageError
    from gatecert.model import HostReport, IssuedChain, Version
    from gatecert.model.fleet import Replacement, Urgency
    from gatecert.store.protocol import Lease


class PlayedLease:
    """A lease that is lost after some looks.

    Attributes:
        looks: How often it was looked at.
    """

    def __init__(self, lost_after: int | None = None) -> None:
        self.looks = 0
        self._lost_after = lost_after

    def check(self) -> None:
        self.looks += 1
        if self._lost_after is not None and self.looks > self._lost_after:
            raise LeaseLostError("gw-b orders for this gateway")


class SharedStore(FileStore):
    """A store of which other hosts hold leases too.

    Attributes:
        elsewhere: Gateways that another host orders for.
        held: The leases that this host holds.
        is_away: Whether what hosts share cannot be reached.
        newest: What another host has obtained, with its generation, until it is copied.
        refusal: Why it cannot be copied.
        damage: Why the state cannot be shared; None if it can.
        reports: What was told to other hosts, by gateway and generation.
        others: What other hosts have reported of any generation.
        ring: That of this host.
        halt: Whether the fleet has stopped.
        written: When each generation was written; None if none is known.
        generation_of_orders: What this host obtains gets this generation.
        schedules: What they were told of orders: the gateway, its urgency, and when it is due.
        refuses: Whether a database that is away answers that this host is not let in.
        reserved: What is reserved for this host; None for nothing.
        lease_of_reserve: The right to place it; None if this host does not have it.
        asked_for: CertIDs of the certificates for which that right was wanted.
    """

    elsewhere: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    is_away = False
    newest: tuple[IssuedChain, int] | None = None
    refusal: StorageError | None = None
    damage: EnrolmentDamagedError | None = None
    others: tuple[HostReport, ...] = ()
    ring = 1
    halt = FleetHalt()
    written: datetime | None = None
    generation_of_orders = 0
    refuses = False
    reserved: Replacement | None = None
    lease_of_reserve: PlayedLease | None = None

    def __init__(self, state_directory: Path) -> None:
        super().__init__(state_directory)
        self.reports: dict[tuple[str, int], tuple[DeploymentOutcome, str]] = {}
        self.schedules: list[tuple[str, Urgency, datetime | None]] = []
        self.asked_for: list[str] = []

    def copy_version(
        self, gateway: str, *, now: datetime, key_group: str | None = None
    ) -> Version | None:
        self._check_reachable()
        if self.refusal is not None:
            raise self.refusal
        if self.newest is None:
            return None
        (issued, generation), self.newest = self.newest, None
        return self.add_generation(gateway, issued, generation, now=now, key_group=key_group)

    def report_deployment(
        self, gateway: str, generation: int, outcome: DeploymentOutcome, reason: str = ""
    ) -> None:
        self._check_reachable()
        before, _ = self.reports.get((gateway, generation), (None, ""))
        if (before, outcome) != (DeploymentOutcome.ROLLED_BACK, DeploymentOutcome.PENDING):
            self.reports[gateway, generation] = outcome, reason

    def add_version(
        self, gateway: str, issued: IssuedChain, *, now: datetime, key_group: str | None = None
    ) -> Version:
        generation = self.generation_of_orders if issued.origin is Origin.AUTHORITY else 0
        return self.add_generation(gateway, issued, generation, now=now, key_group=key_group)

    def roll_out(self, gateway: str, generation: int) -> RollOut | None:
        del gateway
        self._check_reachable()
        if self.written is None:
            return None
        return RollOut(
            generation,
            self.written,
            is_urgent=False,
            ring=self.ring,
            others=self.others,
            halt=self.halt,
        )

    def check_enrolment(self, gateway: str) -> None:
        del gateway
        if self.damage is not None:
            raise self.damage

    def schedule(self, gateway: str, urgency: Urgency, due: datetime | None) -> None:
        self._check_reachable()
        self.schedules.append((gateway, urgency, due))

    @contextmanager
    def lease(self, gateway: str) -> Iterator[Lease]:
        self._check_reachable()
        if gateway in self.elsewhere:
            raise LeaseLostError("gw-b orders for this gateway")
        assert gateway not in self.held
        self.held |= {gateway}
        try:
            yield PlayedLease()
        finally:
            self.held -= {gateway}

    def reserve_order(self, gateway: str, replacement: Replacement | None) -> None:
        del gateway
        self._check_reachable()
        self.reserved = replacement

    def reserved_lease(
        self, gateway: str, certificate_id: str
    ) -> AbstractContextManager[Lease] | None:
        del gateway
        self.asked_for.append(certificate_id)
        return None if self.lease_of_reserve is None else nullcontext(self.lease_of_reserve)

    def _check_reachable(self) -> None:
        if self.refuses:
            raise LoginRefusedError("this host is not let in", fix="let it in")
        if self.is_away:
            raise DatabaseAwayError("no server answers", fix="start it")
