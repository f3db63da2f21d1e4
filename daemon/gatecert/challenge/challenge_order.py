"""Which challenge type to try for a name. Pure: nothing here reads a clock, a file or a socket.

Rules, in the order in which they are applied:

- Only a TXT record can prove a wildcard (RFC 8555 section 8.4, RFC 8737 section 3), and none can
  prove an address (RFC 8738 section 7).
- While a name does not point here, an authority that connects to it would find somebody else: only
  a TXT record can prove it.
- A type that has failed for a name comes after those that have not, the latest failure last, so
  that each gets its turn. Once a certificate has been issued, failures are forgotten, and the next
  time begins with the configured order again.

Whether a type can be presented at all (a port that is taken, a nameserver that refuses) is not
asked beforehand: that is tried, and where it cannot, the next type is taken at once, for the
authority has not been told anything yet (``acme.authorizations``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.model import ChallengeChoice, ChallengeFailure, IdentifierType
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from gatecert.errors import FailedAttempt
    from gatecert.model import GatewayState, Identifier, Resolution, Target

MAX_REASON = 160


def choose_challenges(target: Target, state: GatewayState) -> tuple[ChallengeChoice, ...]:
    """How to show control over each name of a gateway, by what is known of it."""
    return tuple(
        choose_challenge(
            identifier,
            target.challenges,
            points_here=_points_here(identifier, state.resolution),
            failures=state.challenge_failures,
        )
        for identifier in target.identifiers
    )


def choose_challenge(
    identifier: Identifier,
    kinds: Sequence[str],
    *,
    points_here: bool = True,
    failures: Sequence[ChallengeFailure] = (),
) -> ChallengeChoice:
    """How to show control over one name.

    Args:
        identifier: The name.
        kinds: Challenge types, in the configured order.
        points_here: Whether an authority that connects to the name finds this gateway.
        failures: What has not worked, for this and other names.
    """
    failed = {failure.kind: failure for failure in failures if failure.name == identifier.value}
    obstacles = {kind: _obstacle(identifier, kind, points_here=points_here) for kind in kinds}
    usable = [kind for kind in kinds if not obstacles[kind]]
    fresh = [kind for kind in usable if kind not in failed]
    again = sorted((kind for kind in usable if kind in failed), key=lambda kind: failed[kind].at)
    order = (*fresh, *again)
    passed_over = kinds[: kinds.index(order[0])] if order else ()
    reasons = [obstacles[kind] or _past(failed[kind]) for kind in passed_over]
    return ChallengeChoice(identifier.value, order, "; ".join(dict.fromkeys(reasons)))


def with_failures(
    known: Sequence[ChallengeFailure], attempts: Iterable[FailedAttempt], *, now: datetime
) -> tuple[ChallengeFailure, ...]:
    """What has not worked, with what has just failed; the latest failure of each kind counts."""
    latest = {(failure.name, failure.kind): failure for failure in known}
    for attempt in attempts:
        latest[attempt.name, attempt.kind] = ChallengeFailure(
            attempt.name, attempt.kind, now, attempt.reason
        )
    return tuple(latest.values())


def _obstacle(identifier: Identifier, kind: str, *, points_here: bool) -> str:
    """Why a challenge type cannot prove a name; empty where it can."""
    by_record = kind.startswith("dns-")
    if identifier.type is IdentifierType.IP:
        return "no TXT record can prove an address" if by_record else ""
    if by_record:
        return ""
    if identifier.is_wildcard:
        return "only a TXT record can prove a wildcard"
    return "" if points_here else f"{identifier.value} does not point here"


def _past(failure: ChallengeFailure) -> str:
    reason = failure.reason
    if len(reason) > MAX_REASON:
        reason = f"{reason[: MAX_REASON - 1]}…"
    return f"{failure.kind} failed at {instant(failure.at)}: {reason}"


def _points_here(identifier: Identifier, resolution: Resolution | None) -> bool:
    """Whether a name was last seen to point here; True where it was never looked at.

    A renewal goes on although a name that only a connection can prove is unknown.
    """
    looks = resolution.names if resolution is not None else ()
    return all(
        look.kind.is_here or (look.required and look.kind.is_unknown)
        for look in looks
        if look.name == identifier.value
    )
