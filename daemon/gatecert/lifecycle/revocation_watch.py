"""Looking now and then whether the gateway's certificate was revoked, and remembering it.

Whoever issued the certificate, it names the lists to look into (``revocation.crl_lookup``).
When to look, and what follows, is decided in ``schedule``; a look is made after everything else in
a pass, since a host of lists that is down must hold up nothing. Only before a key is used again
that the authority wants replaced at once, the lists are asked first whether it has leaked.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from gatecert.certificate.pem import find_readable
from gatecert.certificate.trust import system_roots
from gatecert.lifecycle.gateway_state import GatewayStates
from gatecert.model import Mode, RevocationReason, RevocationState
from gatecert.revocation.check_schedule import (
    first_check,
    is_due,
    is_final,
    next_check,
    revocation_state_of,
)
from gatecert.revocation.crl_lookup import RevocationLookup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography.x509 import Certificate

    from gatecert.deploy.inventory import StoredCertificate
    from gatecert.model import GatewayState, Target
    from gatecert.revocation.crl_lookup import RevocationReport

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RevocationWatch:
    """Looks gateways' certificates up in revocation lists.

    Attributes:
        lists: Where to look; None looks nowhere.
        cancelled: Set when the process has to leave.
    """

    memory: GatewayStates
    lists: RevocationLookup | None
    now: Callable[[], datetime]
    random: random.Random
    cancelled: threading.Event

    def look(self, target: Target, *, at_once: bool) -> bool:
        """Look, if it is time to.

        Returns:
            Whether the certificate was found to be revoked that was not known to be before.
        """
        held = self._watched(target)
        if held is None or self.cancelled.is_set():
            return False
        state = self.memory.state(target)
        known = revocation_state_of(state, held.summary)
        if known is not None and is_final(known):
            return False
        if not at_once:
            if known is None:
                return self._begin(target, held)
            if not is_due(known, self.now()):
                return False
        report = self._ask(held)
        if report is None:
            return False
        fresh = self._revocation_state(held, known, report)
        self._say(target, known, fresh)
        self._remember(target, fresh)
        return fresh.revoked is not None and (known is None or known.revoked is None)

    def look_before_reuse(self, target: Target) -> None:
        """Look whether the key has leaked, where the authority wants it replaced, not renewed."""
        if not target.key.reuse:
            return
        renewal = self.memory.state(target).renewal
        if renewal is None or renewal.renew_at is None or renewal.renew_at > self.now():
            return
        held = self._watched(target)
        ours = held is not None and held.summary.certificate_id == renewal.certificate_id
        known = (
            revocation_state_of(self.memory.state(target), held.summary)
            if held is not None
            else None
        )
        if ours and (known is None or known.checked is None or is_due(known, self.now())):
            self.look(target, at_once=True)

    def _watched(self, target: Target) -> StoredCertificate | None:
        """The version whose certificate may have been revoked."""
        if self.lists is None or not target.renewal.revocation_lists:
            return None
        held = self.memory.deployer.inventory(target).wanted(self.now())
        if held is None or held.summary.is_bootstrap or held.summary.not_after <= self.now():
            return None
        return held

    def _begin(self, target: Target, held: StoredCertificate) -> bool:
        """Decide when to look first; lists tell nothing of a certificate just issued."""
        if _names_lists(held):
            at = first_check(self.now(), self.random)
            self._remember(target, RevocationState(held.summary.fingerprint, at))
        return False

    def _ask(self, held: StoredCertificate) -> RevocationReport | None:
        """What the lists say of a version, of which one certificate or two may be revoked."""
        whole: RevocationReport | None = None
        for certificate in _certificates(held):
            if self.lists is None:
                return None
            report = self.lists.look_up(certificate, _issuers(held), self.cancelled)
            if report is not None and report.entry is not None:
                return report
            whole = _both(whole, report)
        return whole

    def _revocation_state(
        self, held: StoredCertificate, known: RevocationState | None, report: RevocationReport
    ) -> RevocationState:
        now = self.now()
        revocation_state = known or RevocationState(held.summary.fingerprint, now)
        if report.entry is not None:
            return replace(
                revocation_state,
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
            failures = revocation_state.failures + 1
            at = next_check(now, self.random, failures=failures)
            return replace(
                revocation_state,
                next_look=at,
                failures=failures,
                problem=report.problem,
                fix=report.fix,
            )
        at = next_check(now, self.random, ends=report.ends)
        return RevocationState(held.summary.fingerprint, at, checked=now, source=report.source)

    def _say(self, target: Target, known: RevocationState | None, fresh: RevocationState) -> None:
        if fresh.revoked is not None and (known is None or known.revoked is None):
            stays = not_replaced(target, self.memory.excluded_region(target))
            logger.error(
                "certificate revoked gateway=%s since=%s reason=%s list=%s%s",
                target.name,
                fresh.revoked.isoformat(timespec="seconds"),
                fresh.reason,
                fresh.source,
                f" fix={stays}" if stays else "",
            )
        elif fresh.problem and (known is None or known.problem != fresh.problem):
            logger.warning(
                "revocation not known gateway=%s %s, looked at again %s",
                target.name,
                fresh.problem,
                fresh.next_look.isoformat(timespec="seconds"),
            )
        elif known is not None and known.problem and not fresh.problem:
            logger.info("revocation known again gateway=%s revoked=no", target.name)

    def _remember(self, target: Target, fresh: RevocationState) -> None:
        state = with_revocation_state(self.memory.state(target), target, fresh)
        self.memory.save(target, state)


def with_revocation_state(
    state: GatewayState, target: Target, fresh: RevocationState
) -> GatewayState:
    """What is to be remembered of a gateway whose certificate has that revocation state.

    An order under way is given up where it may be with a key that has leaked.
    """
    state = replace(state, revocation=fresh)
    if fresh.revoked is not None and fresh.new_key and target.key.reuse:
        state = replace(state, order=None, second_order=None)
    return state


def not_replaced(target: Target, region: str) -> str:
    """Why a revoked certificate is not replaced by gatecert, and what to do; empty where it is."""
    bring = (
        f"it stays in place until you bring another one: gatecert csr {target.name} --renew, then"
        f" gatecert import {target.name}"
    )
    if target.mode is Mode.CUSTOM:
        return f"the revoked certificate is not replaced by itself (mode: custom); {bring}"
    if region:
        return (
            f"the revoked certificate is not replaced, since region {region} is never enrolled;"
            f" set mode: custom: {bring}"
        )
    return ""


def _names_lists(held: StoredCertificate) -> bool:
    from gatecert.revocation.crl import distribution_points  # noqa: PLC0415 - once a certificate

    return any(distribution_points(each) for each in _certificates(held))


def _certificates(held: StoredCertificate) -> Iterator[Certificate]:
    """The gateway's certificates: one, or two with keys of different kinds."""
    version = held.version
    for text in (version.certificate, version.second_certificate):
        yield from find_readable([text])[:1]


def _both(one: RevocationReport | None, other: RevocationReport | None) -> RevocationReport | None:
    """What can be said of two certificates that are not known to be revoked."""
    if one is None or other is None:
        return one or other
    ends = min(filter(None, (one.ends, other.ends)), default=None)
    return replace(one, ends=ends, problem=one.problem or other.problem)


def _issuers(held: StoredCertificate) -> Sequence[Certificate]:
    """Among which the certificate's issuer is, as far as it is known."""
    version = held.version
    texts = [version.chain, version.second_chain]
    for name in ("root.pem", "second-root.pem"):
        with suppress(OSError):  # not every authority sends it
            texts.append((version.directory / name).read_bytes())
    return (*find_readable(texts), *system_roots())
