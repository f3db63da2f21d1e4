"""The inventory of a gateway's versions: the certificates decide, not the state files.

Only versions that can be served count (``deploy.parsed_versions``). So a damaged or lost
``state.json``, ``meta.json`` or ``live`` never makes gatecert discard a good certificate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gatecert.certificate.comparison import ENOUGH_TIME
from gatecert.deploy.parsed_versions import ParsedVersions, StoredCertificate
from gatecert.model import EnrolmentState, Target, Version

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cryptography.x509 import Certificate

    from gatecert.store.protocol import HostStore

A_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The versions of a gateway.

    Attributes:
        stored: Those that can be served, newest first.
        live: The one that ``live`` leads to; None if it leads to no usable one.
        target: The gateway.
        versions: Every version on the disk, usable or not, newest first.
    """

    stored: tuple[StoredCertificate, ...]
    live: StoredCertificate | None
    target: Target
    versions: tuple[Version, ...] = ()

    def wanted(self, now: datetime) -> StoredCertificate | None:
        """Return the version that ought to be served; None if there is none.

        That is the best one (``certificate.comparison``), the newest of equals, that is not
        self-signed and has not expired; else the live one; else the newest of all.
        """
        valid = self._valid(now)
        if valid:
            return max(valid, key=lambda each: each.rank(self.target, now))
        return self.live or next(iter(self.stored), None)

    def in_turn(self, now: datetime, waiting: int) -> StoredCertificate | None:
        """Return the version that ought to be served while a generation waits for its turn.

        It does not wait where it is live, and not where nothing else is valid, unrevoked and as
        good as it for clients.

        Args:
            now: Aware UTC.
            waiting: The generation; zero if none waits.
        """
        wanted = self.wanted(now)
        if wanted is None or not waiting or wanted.version.generation != waiting:
            return wanted
        if self.live is not None and self.live.version.generation == waiting:
            return wanted
        others = [
            each
            for each in self._valid(now)
            if each.version.generation != waiting and not each.revoked
        ]
        best = max(others, key=lambda each: each.rank(self.target, now), default=None)
        accepted = wanted.rank(self.target, now).accepted
        return wanted if best is None or best.rank(self.target, now).accepted < accepted else best

    def lasting(self, now: datetime) -> StoredCertificate | None:
        """Return the best valid version, of equals the one that expires last; None if none."""
        return max(
            self._valid(now),
            key=lambda each: (each.rank(self.target, now), each.summary.not_after),
            default=None,
        )

    def next_change(self, now: datetime) -> datetime | None:
        """Return when time alone makes another version wanted; None if not within a day."""
        ends = [each.summary.not_after for each in self.stored if not each.summary.is_bootstrap]
        instants = {at + A_MOMENT for end in ends for at in (end - ENOUGH_TIME, end)}
        soon = sorted(at for at in instants if now < at <= now + ENOUGH_TIME)
        wanted = self.wanted(now) if soon else None
        return next((at for at in soon if self.wanted(at) != wanted), None)

    def _valid(self, now: datetime) -> list[StoredCertificate]:
        return [
            each
            for each in self.stored
            if not each.summary.is_bootstrap and each.summary.not_after > now
        ]

    def find(self, version_id: str) -> StoredCertificate | None:
        """Return the usable version of that id; None if there is none."""
        return next((each for each in self.stored if each.version.id == version_id), None)

    def with_enrolment(self, enrolment: EnrolmentState) -> Inventory:
        """Apply the state: which roots are accepted, which certificates are revoked."""
        accepted = [
            replace(
                each,
                accepted=each.trust.chain_complete and each.trust.root in enrolment.accepted_roots,
            )
            for each in self.stored
        ]
        stored = tuple(
            replace(each, revoked=_is_revoked(each, accepted, enrolment)) for each in accepted
        )
        inventory = replace(self, stored=stored)
        return replace(inventory, live=inventory.find(self.live.version.id) if self.live else None)


def take_inventory(  # noqa: PLR0913 - everything that decides how good a version is
    store: HostStore,
    target: Target,
    live: str | None,
    *,
    enrolment: EnrolmentState,
    roots: tuple[Certificate, ...],
    now: datetime,
    parsed: ParsedVersions | None = None,
) -> Inventory:
    """Read every version of a gateway.

    Args:
        store: Where the versions are.
        target: The gateway.
        live: The id that the ``live`` link leads to.
        enrolment: The gateway's state: revocation, and untrusted roots that were accepted.
        roots: The trusted roots.
        now: Aware UTC.
        parsed: What was parsed before; None parses everything.
    """
    versions = store.versions(target.name)
    usable = (parsed or ParsedVersions()).usable(store, target, versions, roots, now)
    inventory = Inventory(usable, None, target, versions).with_enrolment(enrolment)
    return replace(inventory, live=inventory.find(live or ""))


def _is_revoked(
    stored: StoredCertificate, every: Iterable[StoredCertificate], enrolment: EnrolmentState
) -> bool:
    """Tell whether a version is revoked, or has the key of one revoked for its key."""
    known = enrolment.revocation
    if known is None or known.revoked is None:
        return False
    if stored.summary.fingerprint == known.fingerprint:
        return True
    return known.new_key and any(
        each.summary.fingerprint == known.fingerprint
        and each.summary.key_fingerprint == stored.summary.key_fingerprint
        for each in every
    )
