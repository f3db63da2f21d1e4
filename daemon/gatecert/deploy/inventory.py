"""What is really on the disk: the certificates themselves decide, whatever state files say.

A version counts only if its certificate can be read and belongs to its key. So a damaged or lost
``state.json``, ``meta.json`` or ``live`` never makes gatecert throw away a good certificate.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gatecert.certificate import chain, key
from gatecert.certificate.comparison import UNKNOWN, CertificateRank, Trust, rank
from gatecert.certificate.trust import trust_of
from gatecert.errors import GatecertError
from gatecert.model import CertificateSummary, GatewayState, Target, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from cryptography.x509 import Certificate

    from gatecert.store.protocol import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A version that can be served, with what its certificate says.

    Attributes:
        trust: Where its chain leads.
        accepted: Whether the operator has accepted its root although it is not trusted.
        revoked: Whether the CA has revoked it, as far as is known.
    """

    version: Version
    summary: CertificateSummary
    trust: Trust = field(default=UNKNOWN, compare=False)
    accepted: bool = field(default=False, compare=False)
    revoked: bool = field(default=False, compare=False)

    def rank(self, target: Target, now: datetime) -> CertificateRank:
        """What the version is worth to the gateway."""
        trust = replace(self.trust, trusted=self.trust.trusted or self.accepted)
        return rank(self.summary, trust, revoked=self.revoked, target=target, now=now)


@dataclass(frozen=True, slots=True)
class Inventory:
    """Every version that can be served, newest first.

    Attributes:
        live: The one that ``live`` leads to; None when it leads nowhere or to nothing usable.
        target: The gateway.
    """

    held: tuple[StoredCertificate, ...]
    live: StoredCertificate | None
    target: Target

    def wanted(self, now: datetime) -> StoredCertificate | None:
        """The version that ought to be served.

        That is the best one (``certificate.comparison``), the newest of equals, that a CA issued or
        an administrator imported and that has not ended; else what is live already; else the
        newest of all.
        """
        valid = self._valid(now)
        if valid:
            return max(valid, key=lambda held: held.rank(self.target, now))
        return self.live or next(iter(self.held), None)

    def lasting(self, now: datetime) -> StoredCertificate | None:
        """The best version that is still valid, the one that ends last of equals; None if none."""
        return max(
            self._valid(now),
            key=lambda held: (held.rank(self.target, now), held.summary.not_after),
            default=None,
        )

    def _valid(self, now: datetime) -> list[StoredCertificate]:
        return [
            held
            for held in self.held
            if not held.summary.is_bootstrap and held.summary.not_after > now
        ]

    def find(self, version_id: str) -> StoredCertificate | None:
        """The version of that id."""
        return next((held for held in self.held if held.version.id == version_id), None)


def take_inventory(  # noqa: PLR0913 - everything that a version is judged by
    store: Store,
    target: Target,
    live: str | None,
    *,
    state: GatewayState,
    roots: tuple[Certificate, ...],
    now: datetime,
) -> Inventory:
    """Look at every version of a gateway.

    Args:
        store: Where the versions are.
        target: The gateway.
        live: The id that the ``live`` link leads to.
        state: What is remembered of the gateway: revocation, and roots that were accepted.
        roots: What is trusted.
        now: Aware UTC.
    """
    usable = _usable(store, store.versions(target.name), pair=target.key.second is not None)
    held = judged(usable, state=state, roots=roots, now=now)
    return Inventory(held, next((one for one in held if one.version.id == live), None), target)


def judged(
    usable: Iterable[StoredCertificate],
    *,
    state: GatewayState,
    roots: tuple[Certificate, ...],
    now: datetime,
) -> tuple[StoredCertificate, ...]:
    """Say of versions whether they are trusted, accepted and revoked; see `take_inventory`."""
    found = [_with_trust(held, state.accepted_roots, roots, now) for held in usable]
    return tuple(replace(one, revoked=_is_revoked(one, found, state)) for one in found)


def _with_trust(
    held: StoredCertificate, accepted: Sequence[str], roots: tuple[Certificate, ...], now: datetime
) -> StoredCertificate:
    if held.summary.is_bootstrap:
        return held
    trust = trust_of(held.version.certificate, held.version.chain, roots, now=now)
    return replace(held, trust=trust, accepted=trust.chain_complete and trust.root in accepted)


def _is_revoked(
    held: StoredCertificate, every: Iterable[StoredCertificate], state: GatewayState
) -> bool:
    """Whether a version was revoked, or has the key of one that was revoked for its key."""
    known = state.revocation
    if known is None or known.revoked is None:
        return False
    if held.summary.fingerprint == known.fingerprint:
        return True
    return known.new_key and any(
        one.summary.fingerprint == known.fingerprint
        and one.summary.key_fingerprint == held.summary.key_fingerprint
        for one in every
    )


def _usable(
    store: Store, versions: Iterable[Version], *, pair: bool
) -> Iterable[StoredCertificate]:
    for version in versions:
        try:
            summary = chain.summarize(version.certificate, version.chain)
            fits = _fits(store.private_key(version), summary)
            if pair and version.second_certificate:
                second = chain.summarize(version.second_certificate, version.second_chain)
                fits = fits and _fits(store.private_key(version, second=True), second)
                summary = replace(summary, second=second)
        except GatecertError as error:
            logger.warning("version cannot be used path=%s error=%s", version.directory, error)
            continue
        if fits:
            yield StoredCertificate(version, summary)
        else:
            logger.warning("key and certificate do not belong together path=%s", version.directory)


def _fits(private_key: bytes, summary: CertificateSummary) -> bool:
    """Whether a certificate is for a key."""
    return key.fingerprint(key.load(private_key).public_key()) == summary.key_fingerprint
