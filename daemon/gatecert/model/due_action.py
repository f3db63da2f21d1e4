"""When: what has to be done next, and what the authority says of renewal (RFC 9773)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Action(StrEnum):
    """What a pass has to do for a gateway."""

    NONE = "none"
    BOOTSTRAP = "bootstrap"
    ENROL = "enrol"
    DEPLOY = "deploy"


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be done for a gateway, and when.

    Attributes:
        action: What to do at ``at``.
        at: The instant; not after ``now`` means at once.
        reason: Why, in words for the operator.
    """

    action: Action
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class RenewalInfo:
    """What the authority last suggested for a certificate (RFC 9773).

    Attributes:
        certificate_id: Which certificate this is about.
        renew_at: The instant picked at random in the window; None when there is no usable answer.
        next_fetch: Not asked again before this instant.
        explanation_url: The authority's page that explains the window, empty if none.
        failures: Consecutive fetches that failed.
    """

    certificate_id: str
    next_fetch: datetime
    window_start: datetime | None = None
    window_end: datetime | None = None
    renew_at: datetime | None = None
    explanation_url: str = ""
    failures: int = 0
