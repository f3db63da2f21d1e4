"""Results of address look-ups, combined from the answers for both address families.

Values and pure functions only: ``resolve.resolver`` sends queries, ``resolve.preflight`` compares.

The two families may differ:

- NXDOMAIN applies to the name, whatever the type (RFC 8020), so it outweighs a failure of the other
  family. Together with addresses it is a known fault of some servers (RFC 4074 section 4.2) and
  only means that there is no address of that family.
- Addresses of one family together with a failure of the other count as addresses, and the failure
  is kept as ``unknown``. Load balancers and old nameservers answer AAAA with SERVFAIL, REFUSED,
  NOTIMP, FORMERR or not at all while A is right, and CAs continue with the family that they have.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Family(StrEnum):
    """Address families, by the record type that carries them."""

    IPV4 = "A"
    IPV6 = "AAAA"


class LookupStatus(StrEnum):
    """The outcome of looking up a name, or one record type of it."""

    ADDRESSES = "addresses"
    NO_ADDRESS = "no-address"
    NO_SUCH_NAME = "no-such-name"
    SERVER_FAILURE = "server-failure"
    TIMEOUT = "timeout"


_FAILURES = {LookupStatus.SERVER_FAILURE, LookupStatus.TIMEOUT}


@dataclass(frozen=True, slots=True)
class FamilyAnswer:
    """The answer for one record type of a name.

    Attributes:
        addresses: Text as received.
        time_to_live: The smallest TTL of the chain, for negative answers from the SOA (RFC 2308
            section 5); None if unknown.
        detail: The nameservers' answers, or the target of an alias; may be empty.
    """

    family: Family
    status: LookupStatus
    addresses: tuple[str, ...] = ()
    time_to_live: timedelta | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LookupResult:
    """The result for both address families of a name.

    Attributes:
        addresses: Canonical text, IPv4 first, in numerical order.
        time_to_live: The smaller one of both families; None if neither is known.
        detail: The nameservers' answers; may be empty.
        unknown: Why one family could not be looked up although the other has addresses.
        nameservers: The nameservers that were asked; empty if unknown.
        hosts_lines: Lines of this machine's hosts(5) file that give the name such an address.
    """

    name: str
    status: LookupStatus
    addresses: tuple[str, ...] = ()
    time_to_live: timedelta | None = None
    detail: str = ""
    unknown: str = ""
    nameservers: str = ""
    hosts_lines: tuple[str, ...] = ()


class AddressResolver(Protocol):
    """Looks up names; implemented by ``resolve.resolver.Resolver``."""

    def look_up(self, names: Sequence[str]) -> tuple[LookupResult, ...]:
        """Look up the addresses of names, in their order; never raises."""
        ...


def combine(name: str, answers: Sequence[FamilyAnswer]) -> LookupResult:
    """Combine the answers for both families by the rules above."""
    status = _combined_status({answer.status for answer in answers})
    known = [answer.time_to_live for answer in answers if answer.time_to_live is not None]
    return LookupResult(
        name=name,
        status=status,
        addresses=sort_addresses(address for answer in answers for address in answer.addresses),
        time_to_live=min(known, default=None),
        detail=_explain(answer for answer in answers if answer.status is status),
        unknown=_explain(answer for answer in answers if answer.status in _FAILURES)
        if status is LookupStatus.ADDRESSES
        else "",
    )


def sort_addresses(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return distinct addresses as canonical text: IPv4 first, each in numerical order."""
    distinct = {ipaddress.ip_address(address) for address in addresses}
    return tuple(
        str(address) for address in sorted(distinct, key=lambda each: (each.version, int(each)))
    )


def _combined_status(statuses: set[LookupStatus]) -> LookupStatus:
    if LookupStatus.NO_SUCH_NAME in statuses and LookupStatus.ADDRESSES not in statuses:
        return LookupStatus.NO_SUCH_NAME
    for status in (LookupStatus.ADDRESSES, LookupStatus.SERVER_FAILURE, LookupStatus.TIMEOUT):
        if status in statuses:
            return status
    return LookupStatus.NO_ADDRESS


def _explain(answers: Iterable[FamilyAnswer]) -> str:
    """Return each detail once, with the record types it applies to."""
    details: dict[str, list[str]] = {}
    for answer in answers:
        if answer.detail:
            details.setdefault(answer.detail, []).append(answer.family)
    return "; ".join(f"{detail} ({' and '.join(types)})" for detail, types in details.items())
