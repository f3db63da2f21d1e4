"""Look now and then whether the gateway's certificate is revoked.

The certificate itself names the CRLs (``revocation.crl_lookup``), whichever CA issued it.
``revocation.check_schedule`` decides when to look and ``schedule.due`` what follows. The look comes
last in a pass, so that a CRL host that is down delays nothing else. Only before the key is reused
for a certificate that the authority wants replaced at once, the CRLs are checked first for a
compromised key.
"""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatecert.certificate.pem import find_readable
from gatecert.certificate.trust import load_trusted_roots
from gatecert.model import Mode, RevocationReason, RevocationState
from gatecert.revocation.check_schedule import first_check, is_due, next_check
from gatecert.revocation.crl_lookup import RevocationLookup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from cryptography.x509 import Certificate

    from gatecert.deploy.parsed_versions import StoredCertificate
    from gatecert.lifecycle.gateway_pass import Pass
    from gatecert.model import EnrolmentState, Target
    from gatecert.revocation.crl_lookup import RevocationReport
    from gatecert.store.protocol import Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RevocationWatch:
    """Checks certificates against CRLs.

    Attributes:
        lists: Looks a certificate up; None checks nothing.
        cancelled: Set when gatecert stops.
    """

    lists: RevocationLookup | None
    random: random.Random
    cancelled: threading.Event

    def look(self, current: Pass) -> bool:
        """Check the certificate in use, if it is time to.

        Returns:
            Whether it was found to be revoked and was not known to be.
        """
        return self._look(current, at_once=current.occasion.look_now)

    def look_before_reuse(self, current: Pass) -> None:
        """Check for a compromised key before it is reused at the authority's request."""
        if not current.target.key.reuse:
            return
        renewal, stored = current.state.enrolment.renewal, self._watched(current)
        if renewal is None or renewal.renew_at is None or renewal.renew_at > current.now():
            return
        if stored is None or stored.summary.certificate_id != renewal.certificate_id:
            return
        known = current.state.enrolment.revocation_of(stored.summary)
        if known is None or known.checked is None or is_due(known, current.now()):
            self._look(current, at_once=True)

    def _look(self, current: Pass, *, at_once: bool) -> bool:
        stored = self._watched(current)
        if stored is None or self.cancelled.is_set():
            return False
        known = current.state.enrolment.revocation_of(stored.summary)
        if known is not None and known.is_final:
            return False
        if not at_once and known is None:
            self._schedule_first(current, stored)
            return False
        if not at_once and known is not None and not is_due(known, current.now()):
            return False
        report = self._ask(current.store, stored)
        if report is None:
            return False
        fresh = self._after(report, known, stored, current.now())
        _log(current, known, fresh)
        _save(current, fresh)
        return fresh.revoked is not None and (known is None or known.revoked is None)

    def _watched(self, current: Pass) -> StoredCertificate | None:
        """Return the version whose certificate may be revoked."""
        if self.lists is None or not current.target.renewal.revocation_lists:
            return None
        stored = current.wanted
        if stored is None or stored.summary.is_bootstrap:
            return None
        return stored if stored.summary.not_after > current.now() else None

    def _schedule_first(self, current: Pass, stored: StoredCertificate) -> None:
        """Set the instant of the first look; no CRL lists a certificate that was just issued."""
        if _names_crls(stored):
            at = first_check(current.now(), self.random)
            _save(current, RevocationState(stored.summary.fingerprint, at))

    def _ask(self, store: Store, stored: StoredCertificate) -> RevocationReport | None:
        """Look up a version, of which one certificate or two may be revoked."""
        combined: RevocationReport | None = None
        for certificate in _certificates(stored):
            if self.lists is None:
                return None
            issuers = _issuers(store, stored)
            report = self.lists.look_up(certificate, issuers, self.cancelled)
            if report is not None and report.entry is not None:
                return report
            combined = _combine(combined, report)
        return combined

    def _after(
        self,
        report: RevocationReport,
        known: RevocationState | None,
        stored: StoredCertificate,
        now: datetime,
    ) -> RevocationState:
        before = known or RevocationState(stored.summary.fingerprint, now)
        if report.entry is not None:
            return replace(
                before,
                next_look=next_check(now, self.random),
                checked=now,
                revoked=report.entry.revoked,
                reason=report.entry.reason,
                source=report.source,
                new_key=report.entry.reason is RevocationReason.KEY_COMPROMISE,
                failures=0,
                problem="",
                fix="",
            )
        if report.problem:
            failures = before.failures + 1
            at = next_check(now, self.random, failures=failures)
            return replace(
                before, next_look=at, failures=failures, problem=report.problem, fix=report.fix
            )
        at = next_check(now, self.random, ends=report.ends)
        return RevocationState(stored.summary.fingerprint, at, checked=now, source=report.source)


def with_revocation_state(
    enrolment: EnrolmentState, target: Target, fresh: RevocationState
) -> EnrolmentState:
    """Return the state of enrolment with what is known of the revocation.

    An order in progress is dropped if it may use a compromised key.
    """
    enrolment = replace(enrolment, revocation=fresh)
    if fresh.revoked is not None and fresh.new_key and target.key.reuse:
        enrolment = replace(enrolment, order=None, second_order=None)
    return enrolment


def _save(current: Pass, fresh: RevocationState) -> None:
    enrolment = with_revocation_state(current.state.enrolment, current.target, fresh)
    current.save_enrolment(enrolment)


def not_replaced(target: Target, region: str) -> str:
    """Return why gatecert does not replace a revoked certificate, and the fix; empty if it does."""
    bring = (
        f"it stays in place until you import another one: gatecert csr {target.name} --renew, then"
        f" gatecert import {target.name}"
    )
    if target.mode is Mode.CUSTOM:
        return f"gatecert does not replace the revoked certificate (mode: custom); {bring}"
    if region:
        return (
            f"gatecert does not replace the revoked certificate: region {region} is excluded;"
            f" set mode: custom: {bring}"
        )
    return ""


def _log(current: Pass, known: RevocationState | None, fresh: RevocationState) -> None:
    name = current.target.name
    if fresh.revoked is not None and (known is None or known.revoked is None):
        stays = not_replaced(current.target, current.excluded_region)
        logger.error(
            "certificate revoked gateway=%s since=%s reason=%s list=%s%s",
            name,
            fresh.revoked.isoformat(timespec="seconds"),
            fresh.reason,
            fresh.source,
            f" fix={stays}" if stays else "",
        )
    elif fresh.problem and (known is None or known.problem != fresh.problem):
        logger.warning(
            "revocation not known gateway=%s %s, next look %s",
            name,
            fresh.problem,
            fresh.next_look.isoformat(timespec="seconds"),
        )
    elif known is not None and known.problem and not fresh.problem:
        logger.info("revocation known again gateway=%s revoked=no", name)


def _names_crls(stored: StoredCertificate) -> bool:
    from gatecert.revocation.crl import distribution_points  # noqa: PLC0415 - once a certificate

    return any(distribution_points(each) for each in _certificates(stored))


def _certificates(stored: StoredCertificate) -> Iterator[Certificate]:
    """Yield the version's certificates: one, or two with keys of different types."""
    version = stored.version
    for text in (version.certificate, version.second_certificate):
        yield from find_readable([text])[:1]


def _combine(
    one: RevocationReport | None, other: RevocationReport | None
) -> RevocationReport | None:
    """Combine the reports on two certificates that are not known to be revoked."""
    if one is None or other is None:
        return one or other
    ends = min(filter(None, (one.ends, other.ends)), default=None)
    return replace(one, ends=ends, problem=one.problem or other.problem)


def _issuers(store: Store, stored: StoredCertificate) -> Sequence[Certificate]:
    """Return candidates for the issuer of the certificate."""
    version = stored.version
    roots = [store.stored_root(version), store.stored_root(version, second=True)]
    texts = [version.chain, version.second_chain, *roots]
    return (*find_readable(texts), *load_trusted_roots())
