"""Selection and order of the challenge types for a name. Pure: reads no clock, file or socket.

The rules, in the order in which they apply:

- Only a TXT record can validate a wildcard (RFC 8555 section 8.4, RFC 8737 section 3). A TXT record
  cannot validate an IP address (RFC 8738 section 7).
- While a name does not point here, the authority would connect to another host: only a TXT record
  can validate the name.
- A type that has failed for a name comes after those that have not, the latest failure last, so
  every type is tried in turn. An issued certificate resets the failures, and the configured order
  applies again.

Whether a type can be presented (a port in use, a nameserver that refuses) is not checked here. If
presenting fails, ``acme.presentation`` tries the next type at once, because the authority has not
been told of the challenge yet.
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
    """Choose the challenge types for each name of a gateway from its state."""
    return tuple(
        choose_challenge(
            identifier,
            target.challenges,
            points_here=_points_here(identifier, state.host.resolution),
            failures=state.enrolment.challenge_failures,
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
    """Choose the challenge types for a name, in the order in which to try them.

    Args:
        identifier: The name.
        kinds: Challenge types, in the configured order.
        points_here: Whether a connection to the name reaches this gateway.
        failures: Failed challenges of this and other names.
    """
    failed = {failure.kind: failure for failure in failures if failure.name == identifier.value}
    unusable = {kind: _unusable(identifier, kind, points_here=points_here) for kind in kinds}
    usable = [kind for kind in kinds if not unusable[kind]]
    fresh = [kind for kind in usable if kind not in failed]
    again = sorted((kind for kind in usable if kind in failed), key=lambda kind: failed[kind].at)
    order = (*fresh, *again)
    skipped = kinds[: kinds.index(order[0])] if order else ()
    reasons = [unusable[kind] or _describe(failed[kind]) for kind in skipped]
    return ChallengeChoice(identifier.value, order, "; ".join(dict.fromkeys(reasons)))


def with_failures(
    earlier: Sequence[ChallengeFailure], attempts: Iterable[FailedAttempt], *, now: datetime
) -> tuple[ChallengeFailure, ...]:
    """Add new failures to earlier ones; keep the latest of each name and type."""
    latest = {(failure.name, failure.kind): failure for failure in earlier}
    for attempt in attempts:
        latest[attempt.name, attempt.kind] = ChallengeFailure(
            attempt.name, attempt.kind, now, attempt.reason
        )
    return tuple(latest.values())


def _unusable(identifier: Identifier, kind: str, *, points_here: bool) -> str:
    """Return why a challenge type cannot validate a name; empty if it can."""
    by_record = kind.startswith("dns-")
    if identifier.type is IdentifierType.IP:
        return "a TXT record cannot validate an IP address" if by_record else ""
    if by_record:
        return ""
    if identifier.is_wildcard:
        return "only a TXT record can validate a wildcard"
    return "" if points_here else f"{identifier.value} does not point here"


def _describe(failure: ChallengeFailure) -> str:
    reason = failure.reason
    if len(reason) > MAX_REASON:
        reason = f"{reason[: MAX_REASON - 1]}…"
    return f"{failure.kind} failed at {instant(failure.at)}: {reason}"


def _points_here(identifier: Identifier, resolution: Resolution | None) -> bool:
    """Check if a name pointed here at the last look-up; True if it was never looked up.

    A failed look-up of a name that has to point here does not prevent a renewal.
    """
    results = resolution.names if resolution is not None else ()
    return all(
        result.kind.is_here or (result.required and result.kind.is_unknown)
        for result in results
        if result.name == identifier.value
    )
