"""Due: the next action, and the CA's renewal information (RFC 9773)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Action(StrEnum):
    """The action of a pass for a gateway."""

    NONE = "none"
    BOOTSTRAP = "bootstrap"
    ENROL = "enrol"
    DEPLOY = "deploy"


@dataclass(frozen=True, slots=True)
class Due:
    """The next action for a gateway.

    Attributes:
        action: The action to take at ``at``.
        at: The instant; not after ``now`` means at once.
        reason: The reason, for the operator.
    """

    action: Action
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class RenewalInfo:
    """The last renewal information for a certificate (RFC 9773).

    Attributes:
        certificate_id: ARI CertID of the certificate.
        renew_at: The instant picked at random in the window; None without a usable answer.
        next_fetch: No fetch before this instant.
        explanation_url: The CA's page that explains the window, empty if none.
        failures: Consecutive failed fetches.
    """

    certificate_id: str
    next_fetch: datetime
    renew_at: datetime | None = None
    explanation_url: str = ""
    failures: int = 0
