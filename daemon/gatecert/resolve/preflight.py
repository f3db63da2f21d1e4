"""Does every name point at the gateway? Asked before an order is placed, so that none is wasted.

A failed validation counts against the authority's limits; a look at DNS does not. A name passes
with at least one right address and no wrong one; a family that cannot be looked up is warned of,
and a name of which nothing can be looked up holds back first orders but no renewal
(``Resolution.allows_order``). Wrong addresses always hold an order back: RFC 8555 section 8.3 lets
the authority choose among them, and Boulder prefers IPv6 and falls back to IPv4 only where the
connection times out, so that one stale AAAA is enough to fail.

What is looked at:

- A wildcard is not looked up. It can only be validated by dns-01, which needs no address.
- Where a dns-* challenge may be used, names are looked up and judged all the same, for clients must
  find the gateway, but the result is ``required=False`` and holds up no order: while a name does
  not point here, only such a challenge is tried for it (``challenge.challenge_order``).
- An AAAA that a resolver with DNS64 has made of an A record counts as that A (``resolve.dns64``).
- An address as an identifier (RFC 8738) is compared without looking anything up, and is always
  required: dns-01 cannot validate it.

While a name does not point here, the next look comes after the interval, or as soon as the answer
may have changed: at the end of its TTL (RFC 2308 for negative answers). Once every name points here
the interval alone counts; a dynamic-DNS name with a TTL of a second would otherwise be asked for
86,400 times a day for nothing.
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
MAX_CHANGE_TEXT = 1000  # characters


def preflight(
    target: Target, resolver: AddressResolver, addresses: GatewayAddresses, *, now: datetime
) -> Resolution:
    """Look up every name of the target and compare what is found with the gateway's addresses."""
    looked_up = [each.value for each in target.identifiers if _is_looked_up(each)]
    lookups = without_synthesis(resolver.look_up(looked_up), resolver, addresses)
    found = {lookup.name: lookup for lookup in lookups}
    required = requires_addresses(target)
    names: list[NameResolution] = []
    for identifier in target.identifiers:
        if identifier.type is IdentifierType.IP:
            names.append(check_address(identifier.value, addresses))
        elif identifier.value in found:
            judged = check_name(found[identifier.value], addresses)
            names.append(judged if required else _excuse(judged))
    return Resolution(at=now, names=tuple(names), expected=addresses.expected)


def requires_addresses(target: Target) -> bool:
    """Whether only a connection to the names can prove them, so that they must point here."""
    return not any(challenge.startswith("dns-") for challenge in target.challenges)


def next_lookup(resolution: Resolution, interval: timedelta, *, now: datetime) -> datetime:
    """The instant of the next look, never before ``now`` and never later than ``interval`` from it.

    Args:
        resolution: The last look.
        interval: ``resolver.interval``.
        now: A look that lies ahead of it (the clock was set back) counts as made now.
    """
    wait = interval
    if not resolution.points_here and resolution.time_to_live is not None:
        wait = min(interval, resolution.time_to_live)
    return max(now, min(now, resolution.at) + max(MIN_WAIT, wait))


def describe_change(before: Resolution | None, after: Resolution) -> str:
    """What has changed between two looks, on one line; empty if nothing has.

    A look that failed is told apart from one that found nothing. The first look changes nothing.
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
    return clean("; ".join(changes), MAX_CHANGE_TEXT)  # what was before stood in a file


def newly_points_here(before: Resolution | None, after: Resolution) -> bool:
    """Whether some name points here that did not at the look before."""
    if before is None:
        return False
    return any(
        name.kind.is_here and not earlier.kind.is_here for earlier, name in _pairs(before, after)
    )


def _is_looked_up(identifier: Identifier) -> bool:
    return identifier.type is IdentifierType.DNS and not identifier.is_wildcard


def _excuse(judged: NameResolution) -> NameResolution:
    """Say that the name need not point here; a wrong one is still told, for clients' sake."""
    if judged.points_here:
        return replace(judged, required=False)
    detail = f"{judged.detail} [no order waits for this: a TXT record can prove the name]"
    return replace(judged, required=False, detail=detail)


def _pairs(before: Resolution, after: Resolution) -> list[tuple[NameResolution, NameResolution]]:
    """The names that were looked at both times."""
    earlier = {name.name: name for name in before.names}
    return [(earlier[name.name], name) for name in after.names if name.name in earlier]


def _found(name: NameResolution) -> str:
    if name.kind.is_unknown:
        return f"unknown ({name.kind})"
    if name.kind is ResolutionKind.NO_SUCH_NAME:
        return "no such name"
    return _listed(sorted(name.answers)) if name.answers else "no address"


def _listed(addresses: Sequence[str]) -> str:
    return ", ".join(addresses) or "private ones only"
