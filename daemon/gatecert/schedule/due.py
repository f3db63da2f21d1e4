"""When is something due? Pure: nothing here reads a clock, a file or a socket.

Rules, in the order in which they are applied:

- A gateway without a usable certificate gets a bootstrap certificate at once; a bootstrap
  certificate is made anew when a third of its life is left.
- An excluded region is never enrolled, a custom gateway is never renewed by itself; the end of
  its certificate is warned of (``expiry``).
- A certificate from an authority is renewed when the authority says so (ARI, RFC 9773), else when
  a third of its lifetime is left, half where the lifetime is under ten days.
- ARI can bring a renewal forward, never push it past the last twelfth of the lifetime: an
  authority that errs must not let a certificate lapse.
- A certificate that was revoked is replaced at once.
- A renewal that came within a twenty-fourth of the lifetime, or an hour, is not followed by another
  one within that time, whatever the authority says: one that issues certificates of seconds, or
  wants each replaced at once, is not flooded with orders.
- A certificate that is worse than the one in use is no renewal: the next order waits a day, or a
  quarter of the time that is left of the one in use.
- After a failure the next attempt comes 1 min, 10 min, 100 min, then a day later (Let's Encrypt
  integration guide), or by chance a little sooner, and never later than 1/24 of the life that
  remains. A certificate that has ended is seen by everybody: then the next attempt comes after an
  hour at the latest, and more and more seldom as time goes by, down to once a day.
- What an authority asks for (Retry-After) is heeded, but not past the end of the certificate: then
  a try comes before it, each time half as long before, and once a day where there is none to end.
- What an order is certain to fail of is no failure: it is looked at again after a time of its own.
- A certificate that is installed and not proven to be served is deployed again, without an order.
- One that is proven is looked for again and again, as often as the operator wants it watched.
- Instants that were remembered under a clock that has since been set back count for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.model import (
    Action,
    CertificateSummary,
    Deployment,
    Due,
    GatewayState,
    Mode,
    Target,
)
from gatecert.revocation.check_schedule import revoked_state_of
from gatecert.schedule.expiry_warnings import next_expiry_warning

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
SHORTEST_RETRY_AFTER = timedelta(seconds=10)  # where an authority asked for a longer one

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
    """All that decides what a gateway needs.

    Attributes:
        live: The certificate that ``live`` leads to; None when there is none that can be used.
        newest: The newest usable certificate that has not been proven to be served, if it is not
            the live one: what a rolled-back deployment is to bring back.
        issued: When the certificates that are kept were issued, in use or not, the newest first.
        excluded_region: The region for which the gateway is never enrolled, empty otherwise.
    """

    target: Target
    state: GatewayState
    live: CertificateSummary | None
    deployment: Deployment | None
    newest: CertificateSummary | None = None
    excluded_region: str = ""
    issued: tuple[datetime, ...] = ()


def next_due(situation: Situation, now: datetime) -> Due:
    """What the gateway needs next, and when; an instant not after ``now`` means at once."""
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
    # Of what is due already, enrolment goes first: it ends in a deployment of something better.
    overdue = [due for due in candidates if due.at <= now]
    if overdue:
        return max(overdue, key=lambda due: due.action is Action.ENROL)
    return min(candidates, key=lambda due: due.at)


def renewal_instant(situation: Situation) -> tuple[datetime, str]:
    """When the certificate in use should be replaced, and why then.

    Raises:
        ValueError: There is no certificate in use.
    """
    certificate = certificate_in_use(situation)
    if certificate is None:
        raise ValueError("no certificate is in use")
    remaining = _remaining(situation, certificate)
    fallback = certificate.not_after - certificate.lifetime * remaining
    renewal = situation.state.renewal
    if (
        situation.target.renewal.renewal_info
        and renewal is not None
        and renewal.renew_at is not None
        and renewal.certificate_id == certificate.certificate_id
    ):
        latest = certificate.not_after - certificate.lifetime * LATEST_RENEWAL
        if renewal.renew_at <= latest:
            return renewal.renew_at, "the authority's renewal information (ARI) says so"
        return latest, "the end is near, whatever the authority's renewal information says"
    share = SHARES.get(remaining, f"{remaining:.0%}")
    return fallback, f"renewal due at {share} of its lifetime"


def next_watch(situation: Situation, now: datetime) -> datetime | None:
    """Return when to check next that the listeners still serve the installed certificate.

    None while the deployment is not proven: the next deployment attempt proves it.
    """
    plan, deployment = situation.target.install, situation.deployment
    if deployment is None or deployment.confirmed is None or not plan.is_provable:
        return None
    silence = deployment.silence
    last = deployment.confirmed if silence is None else max(silence.at, deployment.confirmed)
    return now if last > now else last + plan.watch


def certificate_in_use(situation: Situation) -> CertificateSummary | None:
    """The certificate that renewal is about: the newest that an authority has issued."""
    for certificate in (situation.newest, situation.live):
        if certificate is not None and not certificate.is_bootstrap:
            return certificate
    return None


def is_urgent(situation: Situation, now: datetime) -> bool:
    """Whether there is no certificate to go on with, or it is about to end."""
    certificate = certificate_in_use(situation)
    if certificate is None or revoked_state_of(situation.state, certificate) is not None:
        return True
    calm_until = certificate.not_after - certificate.lifetime * LATEST_RENEWAL
    return now >= calm_until or not certificate.covers(situation.target.identifiers)


def is_renewal(situation: Situation) -> bool:
    """Whether an order would be for the names of the certificate in use, validated before."""
    certificate = certificate_in_use(situation)
    return certificate is not None and certificate.covers(situation.target.identifiers)


def next_attempt(
    failures: int,
    *,
    now: datetime,
    random: Random,
    not_after: datetime | None = None,
    retry_after: datetime | None = None,
) -> datetime:
    """The earliest instant for another attempt to enrol.

    Args:
        failures: Consecutive failures, the last one included; at least 1.
        now: The instant of the failure.
        random: Source of jitter.
        not_after: End of the certificate in use, if an authority issued one; it may have passed.
        retry_after: What the authority asked for.
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
    """Until when an authority's Retry-After is waited for.

    To its end, unless the certificate would end meanwhile: then a try may help, and what it costs
    the authority is a refused request, a few times before the end and once a day after it.

    Args:
        retry_after: What the authority asked for.
        now: Aware UTC.
        not_after: End of the certificate in use, if an authority issued one; it may have passed.
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
    """When to see whether what stands in the way of an order is still there.

    Args:
        again: How long to wait, unless the certificate in use ends soon.
        now: When it was seen.
        not_after: End of the certificate in use, if an authority issued one.
    """
    return now + _shortened(again, now, not_after)


def next_deployment(failures: int, *, now: datetime, not_after: datetime | None = None) -> datetime:
    """The earliest instant for another attempt to bring a certificate onto the gateway.

    Args:
        failures: Consecutive failures, the last one included; at least 1.
        now: The instant of the failure.
        not_after: End of the certificate that was put back; None where none was.
    """
    delay = DEPLOYMENT_DELAYS[min(failures, len(DEPLOYMENT_DELAYS)) - 1]
    return now + max(_shortened(delay, now, not_after), DEPLOYMENT_DELAYS[0])


def next_listener_check(since: datetime, *, now: datetime) -> datetime:
    """When to look next whether something listens; ``since`` is when nothing did first."""
    soon = now - since < timedelta(minutes=10)
    return now + (DEPLOYMENT_DELAYS[0] if soon else DEPLOYMENT_DELAYS[1])


def worse_certificate_pause(now: datetime, not_after: datetime | None) -> timedelta:
    """How long no certificate is ordered after one that was worse than the one in use.

    Args:
        now: When it was issued.
        not_after: End of the certificate in use.
    """
    if not_after is None or not_after <= now:
        return timedelta(0)
    return min(WORSE_CERTIFICATE_PAUSE, (not_after - now) / 4)


def _shortened(delay: timedelta, now: datetime, not_after: datetime | None) -> timedelta:
    """A delay, cut by how close the end of a certificate is, or how long ago it was."""
    if not_after is None:
        return delay
    share = abs(not_after - now) / SHARE_OF_REMAINING_LIFE
    shortest = SHORTEST_RETRY if not_after > now else RETRY_AFTER_END
    return min(delay, max(shortest, share))


def _remaining(situation: Situation, certificate: CertificateSummary) -> float:
    configured = situation.target.renewal.remaining
    if configured is not None:
        return configured
    return 1 / 2 if certificate.lifetime < SHORT_LIFETIME else 1 / 3


def _bootstrap_due(situation: Situation, now: datetime) -> Due | None:
    live = situation.live
    if live is None:
        return Due(Action.BOOTSTRAP, now, "there is no usable certificate")
    if not live.is_bootstrap:
        return None
    if not live.covers(situation.target.identifiers):
        return Due(Action.BOOTSTRAP, now, "the bootstrap certificate has other names")
    if not situation.target.key.is_satisfied_by(live):
        return Due(Action.BOOTSTRAP, now, "the bootstrap certificate has other keys")
    at = live.not_after - live.lifetime * BOOTSTRAP_REMAINING
    return Due(Action.BOOTSTRAP, at, "the bootstrap certificate nears its end")


def _deployment_due(situation: Situation, now: datetime) -> Due | None:
    deployment = situation.deployment
    if deployment is None or deployment.confirmed is not None:
        return None
    at = deployment.next_attempt or now
    if at > now + DEPLOYMENT_DELAYS[-1]:
        at = now
    return Due(Action.DEPLOY, at, "the installed certificate is not proven to be served")


def _enrolment_due(situation: Situation, now: datetime) -> Due | None:
    if situation.excluded_region or situation.target.mode is not Mode.AUTOMATIC:
        return None
    not_before = _no_attempt_before(situation, now)
    certificate = certificate_in_use(situation)
    if certificate is None:
        return Due(Action.ENROL, not_before, "only a bootstrap certificate is served")
    if not certificate.covers(situation.target.identifiers):
        return Due(Action.ENROL, not_before, "the configured names have changed")
    for each in (certificate, situation.live):
        revocation_state = revoked_state_of(situation.state, each)
        if revocation_state is not None:
            return Due(Action.ENROL, not_before, f"the certificate was {revocation_state.words}")
    if not situation.target.key.is_satisfied_by(certificate):
        return Due(Action.ENROL, not_before, "a certificate for each of two keys is wanted")
    at, reason = renewal_instant(situation)
    at = max(at, not_before, _no_renewal_before(situation, certificate, now))
    return Due(Action.ENROL, at, reason)


def _no_renewal_before(
    situation: Situation, certificate: CertificateSummary, now: datetime
) -> datetime:
    """The instant before which there is no renewal, where the last one came too soon already."""
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
    state = situation.state
    instants = [now]
    if state.next_attempt is not None and (state.failed_at or now) <= now:
        instants.append(state.next_attempt)
    obstruction = state.obstruction
    if obstruction is not None and obstruction.at <= now:
        instants.append(obstruction.until)
    look = state.resolution
    if (
        look is not None
        and look.at <= now
        and state.next_look is not None
        and not look.allows_order(renewing=is_renewal(situation))
    ):
        instants.append(state.next_look)
    return max(instants)
