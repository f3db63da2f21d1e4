"""Decide what a gateway needs next, and when. Pure: reads no clock, file or socket.

The rules, in the order in which they apply:

- A gateway without a usable certificate gets a self-signed (bootstrap) certificate at once. It is
  replaced when a third of its lifetime is left.
- A gateway in an excluded region is never enrolled. A custom certificate is never renewed
  automatically; ``expiry_warnings`` warns of its end.
- A certificate from a CA is renewed in the renewal window of the CA (ARI, RFC 9773), else when a
  third of its lifetime is left, or half of it if the lifetime is under ten days.
- ARI can bring a renewal forward, but not delay it beyond the last twelfth of the lifetime: an
  error of the CA must not let a certificate expire.
- A revoked certificate is replaced at once.
- If two renewals came within a 24th of the lifetime (between 10 seconds and an hour), the next one
  waits that long, whatever the CA requests. This limits the orders at a CA that issues certificates
  of seconds or requests each replacement at once.
- A certificate worse than the one in use does not count as a renewal. The next order waits a day,
  or a quarter of the time that the one in use has left.
- After a failure the next attempts follow after 1 min, 10 min, 100 min and then a day (Let's
  Encrypt integration guide), less a random part, but no later than 1/24 of the remaining lifetime.
  An expired certificate is urgent: the next attempt follows within an hour, then less and less
  often, down to once a day.
- Retry-After of a CA is honoured, but not beyond the end of the certificate. Then an attempt comes
  before the end, each time after half the remaining time, and once a day without a valid
  certificate.
- An obstruction that makes an order certain to fail is not a failure; it is checked again after its
  own delay.
- A certificate that is installed but not proven is deployed again, without an order.
- A proven certificate is checked again at the interval ``install.watch``, at the instants of the
  gateway (``spread``).
- Instants stored under a clock that has since been set back are ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.model import (
    Action,
    CertificateSummary,
    Deployment,
    Due,
    GatewayState,
    HostState,
    Mode,
    Target,
)
from gatecert.revocation.check_schedule import revoked_state_of
from gatecert.schedule.expiry_warnings import next_expiry_warning
from gatecert.schedule.spread import next_instant

if TYPE_CHECKING:
    from random import Random

RETRY_DELAYS = (
    timedelta(minutes=1),
    timedelta(minutes=10),
    timedelta(minutes=100),
    timedelta(days=1),
)
RETRY_JITTER = 0.2
SHARE_OF_REMAINING_LIFE = 24
SHORTEST_RETRY = timedelta(seconds=1)
RETRY_AFTER_END = timedelta(hours=1)
LONGEST_RETRY = timedelta(days=1)
SHORTEST_RETRY_AFTER = timedelta(seconds=10)  # when Retry-After is cut short

DEPLOYMENT_DELAYS = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=1),
)

SHORTEST_RENEWAL = timedelta(seconds=10)
LONGEST_RENEWAL = timedelta(hours=1)
SHARE_OF_LIFETIME = 24
WORSE_CERTIFICATE_PAUSE = timedelta(days=1)

LONGEST_IDLE = timedelta(days=1)
SHORT_LIFETIME = timedelta(days=10)
SHARES = {1 / 2: "half", 1 / 3: "one third"}
LATEST_RENEWAL = 1 / 12
BOOTSTRAP_REMAINING = 1 / 3


@dataclass(frozen=True, slots=True)
class Situation:
    """The facts that decide what a gateway needs.

    Attributes:
        live: The certificate that ``live`` points to; None if it is unusable.
        newest: The newest usable certificate that is neither live nor proven, which a rolled-back
            deployment tries again.
        issued: The issue times of all stored certificates, newest first.
        excluded_region: The region because of which the gateway is never enrolled; empty without.
    """

    target: Target
    state: GatewayState
    live: CertificateSummary | None
    deployment: Deployment | None
    newest: CertificateSummary | None = None
    excluded_region: str = ""
    issued: tuple[datetime, ...] = ()


def next_due(situation: Situation, now: datetime) -> Due:
    """Return the next action of a gateway; an instant not after ``now`` means at once."""
    bootstrap = _bootstrap_due(situation, now)
    if bootstrap is not None and bootstrap.at <= now:
        return bootstrap
    candidates = [
        due
        for due in (
            bootstrap,
            _deployment_due(situation, now),
            _enrolment_due(situation, now),
            _notice_due(situation, now),
        )
        if due is not None
    ] or [Due(Action.NONE, now + LONGEST_IDLE, "nothing is due")]
    # Of several overdue actions, enrolment goes first: it ends in a better deployment.
    overdue = [due for due in candidates if due.at <= now]
    if overdue:
        return max(overdue, key=lambda due: due.action is Action.ENROL)
    return min(candidates, key=lambda due: due.at)


def renewal_instant(situation: Situation) -> tuple[datetime, str]:
    """Return when to replace the certificate in use, and the reason for that instant.

    Raises:
        ValueError: There is no certificate in use.
    """
    certificate = certificate_in_use(situation)
    if certificate is None:
        raise ValueError("no certificate is in use")
    remaining = _remaining(situation, certificate)
    fallback = certificate.not_after - certificate.lifetime * remaining
    renewal = situation.state.enrolment.renewal
    if (
        situation.target.renewal.renewal_info
        and renewal is not None
        and renewal.renew_at is not None
        and renewal.certificate_id == certificate.certificate_id
    ):
        latest = certificate.not_after - certificate.lifetime * LATEST_RENEWAL
        if renewal.renew_at <= latest:
            return renewal.renew_at, "renewal window of the CA (ARI)"
        return (
            latest,
            "renewal due at one twelfth of its lifetime, before the window of the CA (ARI)",
        )
    share = SHARES.get(remaining, f"{remaining:.0%}")
    return fallback, f"renewal due at {share} of its lifetime"


def usual_remaining(lifetime: timedelta) -> float:
    """Return the fraction of a lifetime left at which a certificate is renewed by default."""
    return 1 / 2 if lifetime < SHORT_LIFETIME else 1 / 3


def next_watch(situation: Situation, now: datetime) -> datetime | None:
    """Return when to check next that the listeners still serve the installed certificate.

    None while the deployment is not proven: the next deployment attempt proves it.
    """
    plan, deployment = situation.target.install, situation.deployment
    if deployment is None or deployment.confirmed is None or not plan.is_provable:
        return None
    silence = deployment.silence
    last = deployment.confirmed if silence is None else max(silence.at, deployment.confirmed)
    return now if last > now else next_instant(situation.target.name, last, plan.watch)


def certificate_in_use(situation: Situation) -> CertificateSummary | None:
    """Return the certificate that renewal replaces: the newest one from a CA."""
    for certificate in (situation.newest, situation.live):
        if certificate is not None and not certificate.is_bootstrap:
            return certificate
    return None


def is_urgent(situation: Situation, now: datetime) -> bool:
    """Tell whether the certificate in use is missing, revoked, incomplete or about to end."""
    certificate = certificate_in_use(situation)
    if certificate is None or revoked_state_of(situation.state.enrolment, certificate) is not None:
        return True
    urgent_from = certificate.not_after - certificate.lifetime * LATEST_RENEWAL
    return now >= urgent_from or not certificate.covers(situation.target.identifiers)


def is_renewal(situation: Situation) -> bool:
    """Tell whether the certificate in use covers the names, so that an order is a renewal."""
    certificate = certificate_in_use(situation)
    return certificate is not None and certificate.covers(situation.target.identifiers)


def next_order(situation: Situation, now: datetime) -> datetime | None:
    """Return when the next order is due by what hosts share; None if none will be.

    What keeps this host alone from ordering, such as a name that it looks up, does not count.
    """
    shared = replace(situation, state=replace(situation.state, host=HostState()))
    due = _enrolment_due(shared, now)
    return due.at if due is not None else None


def next_attempt(
    failures: int,
    *,
    now: datetime,
    random: Random,
    not_after: datetime | None = None,
    retry_after: datetime | None = None,
) -> datetime:
    """Return the earliest instant for another attempt to enrol.

    Args:
        failures: Consecutive failures, including the last one; at least 1.
        now: The instant of the failure.
        random: Source of jitter.
        not_after: End of the certificate in use, if a CA issued one; it may have passed.
        retry_after: The Retry-After of the CA.
    """
    delay = RETRY_DELAYS[min(failures, len(RETRY_DELAYS)) - 1]
    delay *= 1 - random.uniform(0, RETRY_JITTER)
    at = now + _shortened(delay, now, not_after)
    return (
        at if retry_after is None else max(at, effective_retry_after(retry_after, now, not_after))
    )


def effective_retry_after(
    retry_after: datetime, now: datetime, not_after: datetime | None
) -> datetime:
    """Return until when to honour a Retry-After.

    Normally to its end. If the certificate would expire before, an earlier attempt may help and
    costs the CA a refused request, a few times before the end and once a day after it.

    Args:
        retry_after: The Retry-After of the CA.
        now: Aware UTC.
        not_after: End of the certificate in use, if a CA issued one; it may have passed.
    """
    if not_after is None or not_after <= now:
        return min(retry_after, now + LONGEST_RETRY)
    left = not_after - now
    if retry_after <= not_after - left / SHARE_OF_REMAINING_LIFE:
        return retry_after
    return min(
        retry_after, max(not_after - min(left / 2, LONGEST_RETRY), now + SHORTEST_RETRY_AFTER)
    )


def next_obstruction_check(
    again: timedelta, *, now: datetime, not_after: datetime | None = None
) -> datetime:
    """Return when to check again whether an obstruction of orders persists.

    Args:
        again: The delay, unless the certificate in use ends soon.
        now: The time of the last check.
        not_after: End of the certificate in use, if a CA issued one.
    """
    return now + _shortened(again, now, not_after)


def next_deployment(failures: int, *, now: datetime, not_after: datetime | None = None) -> datetime:
    """Return the earliest instant for another attempt to deploy a certificate.

    Args:
        failures: Consecutive failures, including the last one; at least 1.
        now: The instant of the failure.
        not_after: End of the certificate that was restored; None without one.
    """
    delay = DEPLOYMENT_DELAYS[min(failures, len(DEPLOYMENT_DELAYS)) - 1]
    return now + max(_shortened(delay, now, not_after), DEPLOYMENT_DELAYS[0])


def next_listener_check(since: datetime, *, now: datetime) -> datetime:
    """Return when to check for a listener again; ``since`` is when it was first missing."""
    soon = now - since < timedelta(minutes=10)
    return now + (DEPLOYMENT_DELAYS[0] if soon else DEPLOYMENT_DELAYS[1])


def worse_certificate_pause(now: datetime, not_after: datetime | None) -> timedelta:
    """Return how long to wait after a certificate worse than the one in use.

    Args:
        now: The time of its issue.
        not_after: End of the certificate in use.
    """
    if not_after is None or not_after <= now:
        return timedelta(0)
    return min(WORSE_CERTIFICATE_PAUSE, (not_after - now) / 4)


def _shortened(delay: timedelta, now: datetime, not_after: datetime | None) -> timedelta:
    """Shorten a delay by the time to or since the end of a certificate."""
    if not_after is None:
        return delay
    share = abs(not_after - now) / SHARE_OF_REMAINING_LIFE
    shortest = SHORTEST_RETRY if not_after > now else RETRY_AFTER_END
    return min(delay, max(shortest, share))


def _remaining(situation: Situation, certificate: CertificateSummary) -> float:
    configured = situation.target.renewal.remaining
    return usual_remaining(certificate.lifetime) if configured is None else configured


def _bootstrap_due(situation: Situation, now: datetime) -> Due | None:
    live = situation.live
    if live is None:
        return Due(Action.BOOTSTRAP, now, "there is no usable certificate")
    if not live.is_bootstrap:
        return None
    if not live.covers(situation.target.identifiers):
        return Due(Action.BOOTSTRAP, now, "the self-signed certificate has other names")
    if not situation.target.key.is_satisfied_by(live):
        return Due(Action.BOOTSTRAP, now, "the self-signed certificate has other key types")
    at = live.not_after - live.lifetime * BOOTSTRAP_REMAINING
    return Due(Action.BOOTSTRAP, at, "self-signed certificate due at one third of its lifetime")


def _deployment_due(situation: Situation, now: datetime) -> Due | None:
    deployment = situation.deployment
    if deployment is None or deployment.confirmed is not None:
        return None
    at = deployment.next_attempt or now
    if at > now + DEPLOYMENT_DELAYS[-1]:
        at = now
    return Due(Action.DEPLOY, at, "the installed certificate is not yet verified on every listener")


def _enrolment_due(situation: Situation, now: datetime) -> Due | None:
    if situation.excluded_region or situation.target.mode is not Mode.AUTOMATIC:
        return None
    not_before = _no_attempt_before(situation, now)
    certificate = certificate_in_use(situation)
    if certificate is None:
        return Due(Action.ENROL, not_before, "only a self-signed certificate is in use")
    if not certificate.covers(situation.target.identifiers):
        return Due(Action.ENROL, not_before, "the configured names have changed")
    for each in (certificate, situation.live):
        revocation_state = revoked_state_of(situation.state.enrolment, each)
        if revocation_state is not None:
            return Due(Action.ENROL, not_before, f"the certificate was {revocation_state.words}")
    if not situation.target.key.is_satisfied_by(certificate):
        return Due(
            Action.ENROL,
            not_before,
            "a certificate for each of two key types is required",
        )
    at, reason = renewal_instant(situation)
    at = max(at, not_before, _no_renewal_before(situation, certificate, now))
    return Due(Action.ENROL, at, reason)


def _no_renewal_before(
    situation: Situation, certificate: CertificateSummary, now: datetime
) -> datetime:
    """Return the earliest renewal, which is later than ``now`` after two in quick succession."""
    if len(situation.issued) <= 1:
        return now
    last, before = situation.issued[:2]
    share = certificate.lifetime / SHARE_OF_LIFETIME
    pause = max(SHORTEST_RENEWAL, min(share, LONGEST_RENEWAL))
    return last + pause if before <= last <= now and last - before < pause else now


def _notice_due(situation: Situation, now: datetime) -> Due | None:
    notice = next_expiry_warning(situation.target, situation.live, now)
    return Due(Action.NONE, *notice) if notice is not None else None


def _no_attempt_before(situation: Situation, now: datetime) -> datetime:
    enrolment, host = situation.state.enrolment, situation.state.host
    instants = [now]
    if enrolment.next_attempt is not None and (enrolment.failed_at or now) <= now:
        instants.append(enrolment.next_attempt)
    obstruction = host.obstruction
    if obstruction is not None and obstruction.at <= now:
        instants.append(obstruction.until)
    look = host.resolution
    if (
        look is not None
        and look.at <= now
        and host.next_look is not None
        and not look.allows_order(renewing=is_renewal(situation))
    ):
        instants.append(host.next_look)
    return max(instants)
