"""The values of one gateway's metrics. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatecert.model import OutcomeKind
from gatecert.outcome_kinds import FAILURES
from gatecert.report.attention import level
from gatecert.report.gateway_status import Condition

if TYPE_CHECKING:
    from datetime import datetime

    from gatecert.report.gateway_status import GatewayStatus

SUCCESSES: Final = frozenset(
    {
        OutcomeKind.ENROLLED,
        OutcomeKind.RENEWED,
        OutcomeKind.IMPORTED,
        OutcomeKind.DEPLOYED,
        OutcomeKind.IDLE,  # in the history: what had failed is in order again
    }
)


@dataclass(frozen=True, slots=True)
class GatewayValues:
    """The value of each metric of a gateway, by its field in `GATEWAY_FAMILIES`; None if unknown.

    Instants are Unix time in seconds.
    """

    state: Condition
    not_after: float | None
    not_before: float | None
    served: bool | None
    trusted: bool
    revoked: bool | None
    last_attempt_success: bool | None
    failures: int
    points_here: bool | None
    next_action: float | None
    needs_attention: bool
    client_authority_not_after: float | None


def gateway_values(status: GatewayStatus) -> GatewayValues:
    """Return the values of a gateway's metrics."""
    clients = status.client_authentication
    return GatewayValues(
        state=status.state,
        not_after=_unix(status.not_after),
        not_before=_unix(status.not_before),
        served=status.served,
        trusted=status.state is Condition.TRUSTED,
        revoked=_revoked(status),
        last_attempt_success=_last_attempt_success(status),
        failures=status.failures,
        points_here=status.points_here,
        next_action=_unix(status.next_at),
        needs_attention=level(status).needs_a_person,
        client_authority_not_after=min(
            (each.not_after.timestamp() for each in clients.authorities), default=None
        )
        if clients is not None
        else None,
    )


def _unix(instant: datetime | None) -> float | None:
    return None if instant is None else instant.timestamp()


def _revoked(status: GatewayStatus) -> bool | None:
    if status.state is Condition.REVOKED:
        return True
    return status.revocation.revoked if status.revocation is not None else None


def _last_attempt_success(status: GatewayStatus) -> bool | None:
    """Return the result of the last outcome that was an attempt, as far back as they are known."""
    if status.failures:
        return False
    for past in status.history:
        if past.kind in FAILURES:
            return False
        if past.kind in SUCCESSES:
            return True
    return None
