"""What is said about each gateway: the same facts for people and, as JSON, for programs.

The JSON (``gatecert status --json``) is described in docs/status.md. ``schema`` changes only when a
field is taken away or changes its meaning; new fields may come at any time.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from gatecert.challenge.challenge_order import choose_challenges
from gatecert.model import (
    CertificateSummary,
    ClientCA,
    DeferredAuthority,
    Deployment,
    Due,
    GatewayState,
    Mode,
    OutcomeKind,
    RevocationState,
    Target,
    Version,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


SCHEMA = 1
DAY = 86_400


class Condition(StrEnum):
    """The state of a gateway in one word."""

    TRUSTED = "trusted"
    PRIVATE_ROOT = "private-root"
    UNPROVEN = "unproven"
    NOT_SERVED = "not-served"
    MIXED = "mixed"
    SILENT = "silent"
    EXPIRED = "expired"
    REVOKED = "revoked"
    BOOTSTRAP = "bootstrap"
    WAITING = "waiting"
    FAILING = "failing"
    SKIPPED = "skipped"
    EMPTY = "empty"


SENTENCES = {
    Condition.TRUSTED: "serves its certificate, proven by a handshake",
    Condition.PRIVATE_ROOT: "served, private root: clients need the root of its CA",
    Condition.UNPROVEN: "has its certificate installed; no handshake has proven it yet",
    Condition.NOT_SERVED: "has a certificate that the gateway does not serve",
    Condition.MIXED: "has its certificate served to some clients, and another one to others",
    Condition.SILENT: "has its certificate installed, but nothing answers at its listeners",
    Condition.EXPIRED: "has a certificate that has ended",
    Condition.REVOKED: "has a certificate that was revoked",
    Condition.BOOTSTRAP: "has the self-signed bootstrap certificate",
    Condition.WAITING: "has the bootstrap certificate, and waits for its name to point here",
    Condition.FAILING: "has the bootstrap certificate; enrolment fails",
    Condition.SKIPPED: "is never enrolled because of its region",
    Condition.EMPTY: "has no certificate yet",
}


@dataclass(frozen=True, slots=True)
class LastError:
    """What went wrong last, if the last pass that did something failed."""

    code: str
    message: str
    fix: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ClientAuthority:
    """An authority whose user certificates are accepted; for the fields see `ClientCA`."""

    subject: str
    issuer: str
    fingerprint: str
    not_before: datetime
    not_after: datetime
    is_root: bool
    days_left: int


@dataclass(frozen=True, slots=True)
class ClientAuthenticationStatus:
    """What is known of the certificates that a gateway demands of its users.

    Attributes:
        bundle: The file that the server reads.
        asked: True when a handshake has proven that every listener asks for certificates of
            exactly these authorities, False when it could not be proven, None when not facts.
        asked_at: When that handshake was.
        error: Why it could not be proven.
        warnings: What somebody has to see to, so that users get in who should; what to do.
    """

    bundle: str
    authorities: tuple[ClientAuthority, ...]
    asked: bool | None
    asked_at: datetime | None
    error: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RevocationStatus:
    """Whether the live certificate was revoked, as far as is facts.

    Attributes:
        revoked: True or False as the authority's lists say; None where they could not be read.
        revoked_at: Since when.
        reason: Why (RFC 5280), empty where it was not.
        source: URL of the list that says so, or who has asked for it.
        checked_at: When a list was last read that tells of it.
        problem: Why the last look told nothing; empty where it did.
    """

    revoked: bool | None
    revoked_at: datetime | None
    reason: str
    source: str
    checked_at: datetime | None
    problem: str


@dataclass(frozen=True, slots=True)
class PlannedChallenge:
    """How control over a name is to be shown next.

    Attributes:
        kind: ``http-01`` …; empty where nothing that is configured can.
        reason: Why not by the first kind that is configured; empty where it is that one.
    """

    name: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class SecondCertificate:
    """The certificate for the other kind of key, served beside the first."""

    algorithm: str
    issuer: str
    fingerprint: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True, slots=True)
class GatewayStatus:
    """All that is known about a gateway.

    Attributes:
        state: See `Condition`.
        words: The same as a sentence.
        names: Names in the live certificate.
        issuer: Its issuer (RFC 4514 text).
        served: True when a handshake has proven the live certificate at every listener, False when
            it has shown something else or nothing answered, None when it is not facts.
        served_at: When that was seen last.
        served_detail: Why it is not served, as far as that is known; empty otherwise.
        days_left: Whole days until ``not_after``; negative once it has ended.
        next_action: ``enrol``, ``deploy``, ``bootstrap`` or ``none``, and why.
        warning: What only a person can put right of the certificate in use, that it ends or is not
            for every configured name, or what could not be looked up of its names; empty where
            there is nothing.
        warning_fix: What to do about it.
        client_authentication: None where no certificate is demanded of users.
        challenges: How each name is to be proven next; empty where gatecert does not enrol.
        revocation: None before the first look at the authority's revocation lists.
        authorities_left: Those of its authorities that are not asked for a while.
        second: The live certificate for the other kind of key; None where there is one only.
    """

    name: str
    hostname: str
    mode: Mode
    state: Condition
    words: str
    detail: str
    names: tuple[str, ...]
    issuer: str
    authority: str
    version: str
    fingerprint: str
    not_before: datetime | None
    not_after: datetime | None
    days_left: int | None
    served: bool | None
    served_at: datetime | None
    served_detail: str
    next_action: str
    next_at: datetime | None
    failures: int
    last_error: LastError | None
    warning: str = ""
    warning_fix: str = ""
    client_authentication: ClientAuthenticationStatus | None = None
    challenges: tuple[PlannedChallenge, ...] = ()
    revocation: RevocationStatus | None = None
    authorities_left: tuple[DeferredAuthority, ...] = ()
    second: SecondCertificate | None = None


@dataclass(frozen=True, slots=True)
class StatusFacts:
    """Where the status of a gateway is read from.

    Attributes:
        live: The version that ``live`` leads to, and what its certificate says.
        trusted: Whether its chain ends in ``trusted_roots`` or in a root of this machine.
        excluded_region: The region because of which the gateway is never enrolled, else empty.
        explanation: Why that is so and what to do instead.
        warning: What only a person can put right of the certificate, and how; empty if nothing.
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

    @property
    def revocation(self) -> RevocationState | None:
        """What is known of the live certificate's revocation."""
        return self.state.revocation_of(self.live[1]) if self.live is not None else None


def gateway_status(facts: StatusFacts, now: datetime) -> GatewayStatus:
    """Put into words what is known about a gateway."""
    version, summary = facts.live or (None, None)
    outcome = facts.state.outcome
    condition = _condition(facts, now)
    skipped = condition is Condition.SKIPPED
    served, served_at = _served(facts)
    warning, warning_fix = _warning(facts)
    return GatewayStatus(
        name=facts.target.name,
        hostname=facts.target.display_name,
        mode=facts.target.mode,
        state=condition,
        words=f"skipped (region {facts.excluded_region})" if skipped else SENTENCES[condition],
        detail=facts.explanation or (outcome.detail if outcome is not None else ""),
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
        failures=facts.state.failures,
        last_error=_last_error(facts),
        warning=warning,
        warning_fix=warning_fix,
        client_authentication=facts.client_authentication,
        challenges=tuple(_challenges(facts)),
        revocation=_revocation(facts),
        authorities_left=facts.state.deferred_authorities(facts.target.authorities, now),
        second=_second(summary.second if summary is not None else None),
    )


def _warning(facts: StatusFacts) -> tuple[str, str]:
    resolution = facts.state.resolution
    if facts.warning[0] or resolution is None or not resolution.warning:
        return facts.warning
    return resolution.warning, "see to the name's nameservers: they have to answer A and AAAA alike"


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
    """Put together what is known of the certificates demanded of users.

    Args:
        bundle: The file that the server reads.
        authorities: Those in it.
        deployment: How far the last change has come.
        warnings: What is to be said of their ends.
        proven: Whether there are listeners that can be asked.
        now: When this is said.
    """
    confirmed = deployment.confirmed if deployment is not None and proven else None
    error = deployment.error if deployment is not None else ""
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


def as_json(statuses: Sequence[GatewayStatus], *, now: datetime, daemon: int | None) -> str:
    """The status of all gateways as JSON.

    Args:
        statuses: One a gateway.
        now: When they were taken.
        daemon: Process id of the daemon that holds the state directory, if there is one.
    """
    return as_document(
        {
            "schema": SCHEMA,
            "time": now,
            "daemon": {"running": daemon is not None, "pid": daemon},
            "gateways": [asdict(status) for status in statuses],
        }
    )


def as_document(document: Mapping[str, object]) -> str:
    """A document for programs, as JSON; instants in UTC."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=_text)


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds").replace("+00:00", "Z")
    raise TypeError(f"no JSON for {type(value)}")


def _last_error(facts: StatusFacts) -> LastError | None:
    """What stands against the gateway: that it is silent now, or how the last pass ended."""
    outcome, deployment = facts.state.outcome, facts.deployment
    silence = deployment.silence if deployment is not None else None
    if silence is not None and (outcome is None or not outcome.failed or outcome.at <= silence.at):
        fix = "start the gateway's server; it is asked again by itself"
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
    outcome = facts.state.outcome
    deployment = facts.deployment
    if facts.excluded_region:
        return Condition.SKIPPED
    if deployment is not None and facts.live and deployment.version != facts.live[0].id:
        return Condition.NOT_SERVED
    if outcome is not None and outcome.kind is OutcomeKind.WAITING:
        return Condition.WAITING
    if facts.state.failures or facts.state.obstruction is not None:
        return Condition.FAILING
    return Condition.BOOTSTRAP
