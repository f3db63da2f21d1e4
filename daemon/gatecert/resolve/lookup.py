"""What looking up a name brought, and how the answers of both address families become one.

Values and pure functions only; ``resolve.dns`` asks, ``resolve.preflight`` judges.

The two families may end differently. What counts then:

- NXDOMAIN is said of the name, whatever the type (RFC 8020), so it outweighs a failure of the other
  family. Beside addresses it is a known fault of some servers (RFC 4074 section 4.2) and only means
  that there is none of that family.
- One family's addresses beside a failure of the other are addresses, and what failed is kept as
  ``unknown``. Load balancers and old nameservers answer AAAA with SERVFAIL, REFUSED, NOTIMP,
  FORMERR or not at all while A is right, and authorities go on with the family that they have.
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
    """How looking up a name, or one record type of it, ended."""

    ADDRESSES = "addresses"
    NO_ADDRESS = "no-address"
    NO_SUCH_NAME = "no-such-name"
    SERVER_FAILURE = "server-failure"
    TIMEOUT = "timeout"


_FAILURES = {LookupStatus.SERVER_FAILURE, LookupStatus.TIMEOUT}


@dataclass(frozen=True, slots=True)
class FamilyAnswer:
    """What looking up one record type of one name brought.

    Attributes:
        addresses: Text as it came from the wire.
        time_to_live: Smallest TTL on the way, for negative answers from the SOA (RFC 2308 section
            5); None if nothing said one.
        detail: Who said what, or where aliases led to; empty when there is nothing to add.
    """

    family: Family
    status: LookupStatus
    addresses: tuple[str, ...] = ()
    time_to_live: timedelta | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What looking up both address families of one name brought.

    Attributes:
        addresses: Canonical text, IPv4 first, in numerical order.
        time_to_live: The smaller of both families', None if neither is known.
        detail: Who said what, empty when there is nothing to add.
        unknown: Why one family could not be looked up although the other has addresses.
        nameservers: Who was asked, empty where that is not known.
        hosts_lines: Where a hosts(5) file of this machine gives the name one of these addresses.
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
    """Looks up names; ``resolve.dns.Resolver`` is the one that asks nameservers."""

    def look_up(self, names: Sequence[str]) -> tuple[LookupResult, ...]:
        """The addresses of each name, in the order of the names; never raises."""
        ...


def combine(name: str, answers: Sequence[FamilyAnswer]) -> LookupResult:
    """Make one result of the answers for both families, by the rules above."""
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
    """Addresses as canonical text without repetition: IPv4 first, each in numerical order."""
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
    """Say each thing once, with the record types it was said of."""
    said: dict[str, list[str]] = {}
    for answer in answers:
        if answer.detail:
            said.setdefault(answer.detail, []).append(answer.family)
    return "; ".join(f"{detail} ({' and '.join(families)})" for detail, families in said.items())
