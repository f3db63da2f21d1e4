"""The versions that can be served, parsed once for as long as the process lives.

A version counts only if its certificate can be read and matches its key. A store returns the same
`Version` while its files are unchanged, key included, so what was parsed of it stays valid. The
trust of a chain is found again each day, and when the trusted roots change.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from cryptography.x509 import Certificate

from gatecert.certificate import key
from gatecert.certificate.comparison import UNKNOWN, CertificateRank, Trust, rank
from gatecert.certificate.summary import summarize
from gatecert.certificate.trust import trust_of
from gatecert.errors import GatecertError
from gatecert.model import CertificateSummary, Target, Version

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from gatecert.store.protocol import HostStore, Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredCertificate:
    """A version that can be served, with a summary of its certificate.

    Attributes:
        trust: The root that its chain ends in.
        accepted: Whether the operator accepted that root although it is not trusted.
        revoked: Whether the CA is known to have revoked it.
    """

    version: Version
    summary: CertificateSummary
    trust: Trust = field(default=UNKNOWN, compare=False)
    accepted: bool = field(default=False, compare=False)
    revoked: bool = field(default=False, compare=False)

    def rank(self, target: Target, now: datetime) -> CertificateRank:
        """Rank the version against others of the gateway."""
        trust = replace(self.trust, trusted=self.trust.trusted or self.accepted)
        return rank(self.summary, trust, revoked=self.revoked, target=target, now=now)


@dataclass(frozen=True, slots=True)
class _Parsed:
    """The result of parsing a version.

    Attributes:
        version: The version, by its identity.
        pair: Whether its second certificate was read as well.
        stored: None where key and certificate do not match.
        roots: The trusted roots, by their identity.
        day: When the trust was found.
    """

    version: Version
    pair: bool
    stored: StoredCertificate | None
    roots: tuple[Certificate, ...]
    day: date


class ParsedVersions:
    """The parsed versions of every gateway; threads may share it, one gateway a thread."""

    def __init__(self) -> None:
        self._parsed: dict[str, dict[str, _Parsed]] = {}

    def usable(
        self,
        store: HostStore,
        target: Target,
        versions: Iterable[Version],
        roots: tuple[Certificate, ...],
        now: datetime,
    ) -> tuple[StoredCertificate, ...]:
        """Return the versions that can be served, in the same order.

        Args:
            store: Where the keys are.
            target: The gateway.
            versions: All its versions; what was parsed of others is forgotten.
            roots: The trusted roots.
            now: Aware UTC.
        """
        known = self._parsed.get(target.name, {})
        pair = target.key.second is not None
        found: dict[str, _Parsed] = {}
        for version in versions:
            parsed = known.get(version.id)
            if parsed is None or parsed.version is not version or parsed.pair != pair:
                try:
                    stored = _read(store, version, pair=pair)
                except GatecertError as error:
                    path = store.version_directory(version)
                    logger.warning("version cannot be used path=%s error=%s", path, error)
                    continue
                parsed = _Parsed(version, pair, stored, (), now.date())
                if stored is None:
                    path = store.version_directory(version)
                    logger.warning("key and certificate do not match path=%s", path)
            found[version.id] = _with_trust(parsed, roots, now)
        self._parsed[target.name] = found
        return tuple(each.stored for each in found.values() if each.stored is not None)


def _read(store: Store, version: Version, *, pair: bool) -> StoredCertificate | None:
    """Parse a version; None where key and certificate do not match.

    Raises:
        GatecertError: A file of it cannot be read or parsed.
    """
    summary = summarize(version.certificate, version.chain)
    fits = _fits(store.private_key(version), summary)
    if pair and version.second_certificate:
        second = summarize(version.second_certificate, version.second_chain)
        fits = fits and _fits(store.private_key(version, second=True), second)
        summary = replace(summary, second=second)
    return StoredCertificate(version, summary) if fits else None


def _with_trust(parsed: _Parsed, roots: tuple[Certificate, ...], now: datetime) -> _Parsed:
    stored, day = parsed.stored, now.date()
    if stored is None or stored.summary.is_bootstrap:
        return parsed
    if parsed.roots is roots and parsed.day == day and stored.trust is not UNKNOWN:
        return parsed
    trust = trust_of(stored.version.certificate, stored.version.chain, roots, now=now)
    return replace(parsed, stored=replace(stored, trust=trust), roots=roots, day=day)


def _fits(private_key: bytes, summary: CertificateSummary) -> bool:
    return key.fingerprint(key.load(private_key).public_key()) == summary.key_fingerprint
