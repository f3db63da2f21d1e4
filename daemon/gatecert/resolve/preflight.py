"""Check before an order that every name resolves to the gateway.

A failed validation counts against the CA's rate limits; a DNS look-up does not. A name passes with
at least one right address and no wrong one. A family that cannot be looked up causes a warning. A
name of which nothing can be looked up delays first orders but no renewal
(``Resolution.allows_order``). Wrong addresses always delay an order: RFC 8555 section 8.3 lets the
CA choose among the addresses, and Boulder prefers IPv6 and falls back to IPv4 only if the
connection times out, so one stale AAAA record is enough to fail.

- A wildcard is not looked up. Only dns-01 can validate it, which needs no address.
- If a dns-* challenge is configured, names are still looked up, because clients must find the
  gateway, but the result is ``required=False`` and delays no order: while a name does not point
  here, only a dns-* challenge is tried for it (``challenge.challenge_order``).
- An AAAA that a DNS64 resolver synthesized from an A record counts as that A (``resolve.dns64``).
- An IP address identifier (RFC 8738) is compared without a look-up and is always required: dns-01
  cannot validate it.

While a name does not point here, the next look-up comes after the interval, or earlier when the
answer may have changed: at the end of its TTL (RFC 2308 for negative answers). Once every name
points here, look-ups are ten times as rare, whatever the TTL; a dynamic-DNS name with a TTL of one
second would otherwise be looked up 86,400 times a day without need. As long as nothing changes and
nothing fails, they become rarer still, up to one an hour: an order looks every name up anyway, so
these look-ups only warn of a change that will break the next renewal.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gatecert.errors import clean
from gatecert.model import IdentifierType, Resolution, ResolutionKind
from gatecert.resolve.address_check import check_address, check_name
from gatecert.resolve.dns64 import without_synthesis

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gatecert.model import Identifier, NameResolution, Target
    from gatecert.resolve.gateway_addresses import GatewayAddresses
    from gatecert.resolve.lookup import AddressResolver

MIN_WAIT = timedelta(seconds=1)
POINTS_HERE_FACTOR = 10  # between look-ups of names that point here, and of one that does not
LONGEST_PAUSE = timedelta(hours=1)  # unless the interval asks for longer ones
MAX_CHANGE_TEXT = 1000  # characters


def preflight(
    target: Target, resolver: AddressResolver, addresses: GatewayAddresses, *, now: datetime
) -> Resolution:
    """Look up every name of the target and compare the results with the gateway's addresses."""
    dns_names = [each.value for each in target.identifiers if _is_looked_up(each)]
    lookups = without_synthesis(resolver.look_up(dns_names), resolver, addresses)
    found = {lookup.name: lookup for lookup in lookups}
    required = requires_addresses(target)
    names: list[NameResolution] = []
    for identifier in target.identifiers:
        if identifier.type is IdentifierType.IP:
            names.append(check_address(identifier.value, addresses))
        elif identifier.value in found:
            checked = check_name(found[identifier.value], addresses)
            names.append(checked if required else _not_required(checked))
    return Resolution(at=now, names=tuple(names), expected=addresses.expected)


def requires_addresses(target: Target) -> bool:
    """Check if validation needs a connection to the names, so that they must point here."""
    by_record = any(challenge.startswith("dns-") for challenge in target.challenges)
    return target.is_looked_up and not by_record


def pause_between_lookups(resolution: Resolution, interval: timedelta) -> timedelta:
    """Return the longest time until the next look-up.

    Args:
        resolution: The result of the last look-up.
        interval: ``resolver.interval``.
    """
    if not resolution.points_here:
        time_to_live = resolution.time_to_live
        return max(MIN_WAIT, interval if time_to_live is None else min(interval, time_to_live))
    shortest = max(MIN_WAIT, interval * POINTS_HERE_FACTOR)
    unchanged = resolution.at - (resolution.unchanged_since or resolution.at)
    pause = shortest
    while pause < LONGEST_PAUSE and 2 * pause <= unchanged:
        pause *= 2
    return max(shortest, min(pause, LONGEST_PAUSE))


def unchanged_since(before: Resolution | None, after: Resolution) -> datetime | None:
    """Return since when look-ups have had this result; None unless it is wholly satisfactory."""
    if after.warning or not all(name.kind.is_here for name in after.names):
        return None
    since = before.unchanged_since if before is not None else None
    if before is None or since is None or since > after.at or _facts(before) != _facts(after):
        return after.at
    return since


def describe_change(before: Resolution | None, after: Resolution) -> str:
    """Describe the changes between two look-ups on one line; empty if there are none.

    A failed look-up differs from one without an address. The first look-up changes nothing.
    """
    if before is None:
        return ""
    changes = [
        f"{name.name} changed from {_found(earlier)} to {_found(name)}"
        for earlier, name in _pairs(before, after)
        if _found(earlier) != _found(name)
    ]
    if set(before.expected) != set(after.expected):
        changes.append(
            f"this gateway's addresses changed from {_listed(before.expected)} "
            f"to {_listed(after.expected)}"
        )
    return clean("; ".join(changes), MAX_CHANGE_TEXT)  # earlier values come from the state file


def newly_points_here(before: Resolution | None, after: Resolution) -> bool:
    """Check if a name points here that did not at the previous look-up."""
    if before is None:
        return False
    return any(
        name.kind.is_here and not earlier.kind.is_here for earlier, name in _pairs(before, after)
    )


def _is_looked_up(identifier: Identifier) -> bool:
    return identifier.type is IdentifierType.DNS and not identifier.is_wildcard


def _not_required(checked: NameResolution) -> NameResolution:
    """Mark a name as not required; a wrong address is still reported, because clients need it."""
    if checked.points_here:
        return replace(checked, required=False)
    detail = f"{checked.detail} [does not delay orders: a TXT record can validate the name]"
    return replace(checked, required=False, detail=detail)


def _pairs(before: Resolution, after: Resolution) -> list[tuple[NameResolution, NameResolution]]:
    """Return the results of the names that were looked up both times."""
    earlier = {name.name: name for name in before.names}
    return [(earlier[name.name], name) for name in after.names if name.name in earlier]


def _found(name: NameResolution) -> str:
    if name.kind.is_unknown:
        return f"unknown ({name.kind})"
    if name.kind is ResolutionKind.NO_SUCH_NAME:
        return "no such name"
    return _listed(sorted(name.answers)) if name.answers else "no address"


def _facts(resolution: Resolution) -> tuple[object, ...]:
    """Return what counts as a change."""
    names = {name.name: (name.kind, frozenset(name.answers)) for name in resolution.names}
    return names, frozenset(resolution.expected)


def _listed(addresses: Sequence[str]) -> str:
    return ", ".join(addresses) or "private addresses only"
