"""Derive the status of a gateway from what is stored about it. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gatecert.challenge.challenge_order import choose_challenges
from gatecert.errors import DatabaseAwayError
from gatecert.model import (
    CertificateSummary,
    ClientCA,
    DatabaseProblem,
    DdnsState,
    Deployment,
    Due,
    GatewayState,
    Mode,
    OutcomeKind,
    Resolution,
    RevocationState,
    RollOutWait,
    Target,
    Version,
)
from gatecert.model.cluster_view import ClusterView
from gatecert.report.attention import NO_ACTION
from gatecert.report.fleet_lines import fleet_status
from gatecert.report.gateway_status import (
    SENTENCES,
    ClientAuthenticationStatus,
    ClientAuthority,
    Condition,
    DdnsStatus,
    FleetStatus,
    GatewayStatus,
    LastError,
    PlannedChallenge,
    RevocationStatus,
    SecondCertificate,
)
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime


DAY = 86_400


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """The facts from which the status of a gateway is made.

    Attributes:
        live: The version that ``live`` points to, and its certificate.
        trusted: Whether its chain ends in ``trusted_roots`` or in a root that this machine trusts.
        excluded_region: The region because of which the gateway is never enrolled, or empty.
        explanation: Why that is so and what to do instead.
        warning: A problem of the certificate that only an operator can fix, and the fix.
        cluster: What this host sees of its cluster, or why it sees nothing; None without one.
    """

    target: Target
    state: GatewayState
    live: tuple[Version, CertificateSummary] | None
    deployment: Deployment | None
    due: Due
    trusted: bool = False
    excluded_region: str = ""
    explanation: str = ""
    warning: tuple[str, str] = ("", "")
    client_authentication: ClientAuthenticationStatus | None = None
    cluster: ClusterView | DatabaseProblem | None = None

    @property
    def revocation(self) -> RevocationState | None:
        """The revocation state of the live certificate."""
        _, summary = self.live or (None, None)
        return self.state.enrolment.revocation_of(summary)

    def wait(self, now: datetime) -> RollOutWait | None:
        """Return why a newer certificate of the cluster is not installed yet; None without any."""
        wait = self.state.host.roll_out
        return wait if wait is not None and now < wait.until else None


def gateway_status(facts: StatusFacts, now: datetime) -> GatewayStatus:
    """Return the status of a gateway."""
    version, summary = facts.live or (None, None)
    outcome = facts.state.host.outcome
    condition = _condition(facts, now)
    skipped = condition is Condition.SKIPPED
    wait, (served, served_at) = facts.wait(now), _served(facts)
    warning, warning_fix = _warning(facts, now)
    return GatewayStatus(
        name=facts.target.name,
        hostname=facts.target.display_name,
        mode=facts.target.mode,
        state=condition,
        words=f"skipped (region {facts.excluded_region})" if skipped else SENTENCES[condition],
        detail=facts.explanation or (wait.reason if wait else outcome.detail if outcome else ""),
        names=tuple(name.value for name in summary.identifiers) if summary else (),
        issuer=summary.issuer if summary else "",
        authority=version.authority if version else "",
        version=version.id if version else "",
        fingerprint=summary.fingerprint if summary else "",
        not_before=summary.not_before if summary else None,
        not_after=summary.not_after if summary else None,
        days_left=int((summary.not_after - now).total_seconds() // DAY) if summary else None,
        served=served,
        served_at=served_at,
        served_detail=facts.deployment.error if facts.deployment is not None else "",
        next_action=f"{facts.due.action}: {facts.due.reason}",
        next_at=facts.due.at,
        failures=facts.state.enrolment.failures,
        last_error=_last_error(facts),
        warning=warning,
        warning_fix=warning_fix,
        client_authentication=facts.client_authentication,
        challenges=tuple(_challenges(facts)),
        revocation=_revocation(facts),
        authorities_left=facts.state.enrolment.deferred_authorities(facts.target.authorities, now),
        second=_second(summary.second if summary is not None else None),
        ddns=_ddns(facts),
        points_here=_points_here(facts.state.host.resolution),
        history=facts.state.host.history,
        is_looked_up=facts.target.is_looked_up,
        fleet=_fleet(facts, now),
    )


def _points_here(resolution: Resolution | None) -> bool | None:
    if resolution is None or resolution.kind.is_unknown:
        return None
    return resolution.kind.is_here


def _ddns(facts: StatusFacts) -> DdnsStatus | None:
    if not facts.target.keeps_records:
        return None
    state = facts.state.host.ddns or DdnsState()
    problem = state.problem
    return DdnsStatus(
        addresses=state.addresses,
        published_at=state.published_at,
        next_at=state.next_look,
        code=problem.code if problem is not None else "",
        error=problem.detail if problem is not None else "",
        fix=problem.fix if problem is not None else "",
        error_since=problem.since if problem is not None else None,
    )


def _warning(facts: StatusFacts, now: datetime) -> tuple[str, str]:
    if facts.warning[0]:
        return facts.warning
    database = facts.state.host.database
    if database is not None:
        return _database_warning(facts, database, now), database.fix
    wait = facts.wait(now)
    if wait is not None and not wait.fix.startswith(NO_ACTION):
        return wait.reason, wait.fix
    ddns, outcome = _ddns(facts), facts.state.host.outcome
    is_told = ddns is not None and outcome is not None and outcome.code == ddns.code
    if ddns is not None and ddns.error and not is_told and not ddns.fix.startswith(NO_ACTION):
        return f"dynamic DNS: {ddns.error}", ddns.fix
    resolution = facts.state.host.resolution
    if resolution is None or not resolution.warning:
        return facts.warning
    return (
        resolution.warning,
        "fix the nameservers of the name: they must answer queries for A and for AAAA",
    )


def _fleet(facts: StatusFacts, now: datetime) -> FleetStatus | None:
    """Return how the hosts of the cluster fare; None for what hosts do not share."""
    if facts.cluster is None or facts.target.mode is not Mode.AUTOMATIC:
        return None
    if isinstance(facts.cluster, ClusterView):
        return fleet_status(facts.target.name, facts.cluster)
    problem = facts.cluster
    words = _database_warning(facts, problem, now)
    return FleetStatus(words, now, away=True, away_since=problem.since)


def _database_warning(facts: StatusFacts, problem: DatabaseProblem, now: datetime) -> str:
    """Say that the database of the hosts cannot be used, and how long that does no harm."""
    _, summary = facts.live or (None, None)
    words = "away" if problem.code == DatabaseAwayError.code else f"refused ({problem.code})"
    since = f" since {instant(problem.since)}" if problem.since is not None else ""
    text = f"database {words}{since}: serving on, no orders"
    if summary is None or summary.is_bootstrap:
        return text
    days = max(0, int((summary.not_after - now).total_seconds() // DAY))
    return f"{text}; {days} days left"


def _second(summary: CertificateSummary | None) -> SecondCertificate | None:
    if summary is None:
        return None
    return SecondCertificate(
        summary.key_algorithm,
        summary.issuer,
        summary.fingerprint,
        summary.not_before,
        summary.not_after,
    )


def client_authentication_status(  # noqa: PLR0913 - each is another fact
    bundle: str,
    authorities: Sequence[ClientCA],
    deployment: Deployment | None,
    warnings: tuple[str, ...],
    *,
    proven: bool,
    now: datetime,
) -> ClientAuthenticationStatus:
    """Return the status of client authentication.

    Args:
        bundle: The file that the server reads.
        authorities: The client CAs in it.
        deployment: The deployment of the last change.
        warnings: What locks out clients, now or soon.
        proven: Whether there are listeners that can be checked.
        now: Current time.
    """
    silence = deployment.silence if deployment is not None else None
    error = silence.detail if silence is not None else deployment.error if deployment else ""
    confirmed = deployment.confirmed if deployment and proven and silence is None else None
    return ClientAuthenticationStatus(
        bundle=bundle,
        authorities=tuple(
            ClientAuthority(
                **asdict(each), days_left=int((each.not_after - now).total_seconds() // DAY)
            )
            for each in authorities
        ),
        asked=True if confirmed is not None else False if error else None,
        asked_at=confirmed,
        error=error,
        warnings=warnings,
    )


def _revocation(facts: StatusFacts) -> RevocationStatus | None:
    revocation = facts.revocation
    if revocation is None or not (revocation.checked or revocation.problem):
        return None
    revoked = revocation.revoked is not None
    return RevocationStatus(
        revoked=revoked if revoked or not revocation.problem else None,
        revoked_at=revocation.revoked,
        reason=str(revocation.reason) if revoked else "",
        source=revocation.source,
        checked_at=revocation.checked,
        problem=revocation.problem,
    )


def _challenges(facts: StatusFacts) -> Iterator[PlannedChallenge]:
    if facts.target.mode is not Mode.AUTOMATIC or facts.excluded_region:
        return
    for choice in choose_challenges(facts.target, facts.state):
        yield PlannedChallenge(choice.name, next(iter(choice.kinds), ""), choice.reason)


def _last_error(facts: StatusFacts) -> LastError | None:
    """Return the current error: no listener answers, or the last pass failed."""
    outcome, deployment = facts.state.host.outcome, facts.deployment
    silence = deployment.silence if deployment is not None else None
    if silence is not None and (outcome is None or not outcome.failed or outcome.at <= silence.at):
        fix = "start the gateway's server; gatecert checks it again"
        return LastError("listener-silent", silence.detail, fix, silence.since)
    if outcome is not None and (outcome.failed or outcome.code):
        return LastError(outcome.code, outcome.detail, outcome.fix, outcome.at)
    return None


def _served(facts: StatusFacts) -> tuple[bool | None, datetime | None]:
    deployment = facts.deployment
    if deployment is None or not facts.target.install.is_provable:
        return None, None
    if deployment.silence is not None:
        return False, deployment.silence.at
    if deployment.confirmed is not None:
        return True, deployment.confirmed
    return (False, None) if deployment.error else (None, None)


def _condition(facts: StatusFacts, now: datetime) -> Condition:
    if facts.live is None:
        return Condition.EMPTY
    summary = facts.live[1]
    if summary.is_bootstrap:
        return _bootstrap_condition(facts)
    if summary.not_after <= now:
        return Condition.EXPIRED
    if facts.revocation is not None and facts.revocation.revoked is not None:
        return Condition.REVOKED
    return _deployed_condition(facts)


def _deployed_condition(facts: StatusFacts) -> Condition:
    deployment = facts.deployment
    if deployment is not None and deployment.error:
        return Condition.MIXED if deployment.mixed else Condition.NOT_SERVED
    if deployment is not None and deployment.silence is not None:
        return Condition.SILENT
    confirmed = deployment is not None and deployment.confirmed is not None
    proven = confirmed and facts.target.install.is_provable
    if not proven:
        return Condition.UNPROVEN
    return Condition.TRUSTED if facts.trusted else Condition.PRIVATE_ROOT


def _bootstrap_condition(facts: StatusFacts) -> Condition:
    outcome = facts.state.host.outcome
    deployment = facts.deployment
    if facts.excluded_region:
        return Condition.SKIPPED
    if deployment is not None and facts.live and deployment.version != facts.live[0].id:
        return Condition.NOT_SERVED
    if outcome is not None and outcome.kind is OutcomeKind.WAITING:
        return Condition.WAITING
    if facts.state.enrolment.failures or facts.state.host.obstruction is not None:
        return Condition.FAILING
    return Condition.BOOTSTRAP
