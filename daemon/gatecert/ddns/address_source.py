"""The addresses to publish: configured, of the interfaces, or as seen by somebody outside.

A source also tells of which record types it knows nothing: a host behind NAT does not know its
public IPv4 address, and a query that failed says nothing about a family. Only what is known to be
missing counts as stale.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol
from urllib.parse import urlsplit

from gatecert.ddns.update_request import Fetcher, send
from gatecert.errors import DdnsUnreachableError, ResolutionError
from gatecert.model import Endpoint, RecordKind
from gatecert.resolve.gateway_addresses import is_public, select_addresses
from gatecert.resolve.lookup import AddressResolver, sort_addresses

SEPARATORS: Final = re.compile(r"[^0-9A-Fa-f:.]+")
FIX: Final = "check this machine's network; gatecert tries again"


@dataclass(frozen=True, slots=True)
class FoundAddresses:
    """The addresses that a source found.

    Attributes:
        addresses: Canonical text, public or not, IPv4 first.
        unknown: The record types of which it knows nothing.
        reason: Why, for the operator; empty if it knows everything.
        fix: What to do about that.
    """

    addresses: tuple[str, ...]
    unknown: frozenset[RecordKind] = frozenset()
    reason: str = ""
    fix: str = ""


class AddressSource(Protocol):
    """Finds the addresses of the gateway."""

    def find(self) -> FoundAddresses:
        """Return the addresses; raise ResolutionError if there is no telling."""
        ...


@dataclass(frozen=True, slots=True)
class ConfiguredSource:
    """The addresses of the configuration."""

    addresses: tuple[str, ...]

    def find(self) -> FoundAddresses:
        """Return the addresses."""
        return FoundAddresses(sort_addresses(self.addresses))


@dataclass(frozen=True, slots=True)
class InterfaceSource:
    """The addresses of one interface, or the public ones of all interfaces.

    Attributes:
        read: Returns the stable addresses of an interface, or of all if it is empty.
        interface: Its name; empty for all.
    """

    read: Callable[[str], Sequence[str]]
    interface: str = ""

    def find(self) -> FoundAddresses:
        """Return the addresses."""
        found = self.read(self.interface)
        if self.interface:
            usable = [each for each in found if not ipaddress.ip_address(each).is_link_local]
            return FoundAddresses(sort_addresses(usable))
        selected = select_addresses((), found)
        if not selected.behind_nat:
            return FoundAddresses(selected.expected)
        return FoundAddresses(
            selected.expected,
            frozenset({RecordKind.A}),
            "this host has only private IPv4 addresses, so it does not know its public one",
            "name a source that does: source: {resolver: opendns}, or source: {https: URL}",
        )


@dataclass(frozen=True, slots=True)
class LastingSource:
    """The addresses of another source, without temporary IPv6 addresses of this host.

    Connections to the outside come from a temporary address (RFC 8981), which changes every day.
    No router translates IPv6, so the lasting address of the interface is as good.

    Attributes:
        source: Sees the address of a connection.
        own: Returns all addresses of this host.
        lasting: Returns those that last.
    """

    source: AddressSource
    own: Callable[[], Sequence[str]]
    lasting: Callable[[], Sequence[str]]

    def find(self) -> FoundAddresses:
        """Return the addresses."""
        found = self.source.find()
        seen = {each for each in found.addresses if RecordKind.of(each) is RecordKind.AAAA}
        if not seen:
            return found
        lasting = [each for each in self.lasting() if ":" in each and is_public(each)]
        if not lasting or not seen & set(self.own()) - set(lasting):
            return found
        others = [each for each in found.addresses if each not in seen]
        return replace(found, addresses=sort_addresses([*others, *lasting]))


@dataclass(frozen=True, slots=True)
class DnsSource:
    """The addresses that a nameserver sees.

    Attributes:
        resolver: Finds the addresses of the nameserver.
        query: Asks one address of it; see ``resolve.seen_address``.
        kinds: The record types that are of interest.
    """

    resolver: AddressResolver
    query: Callable[[Endpoint, RecordKind], str | None]
    server: Endpoint
    kinds: tuple[RecordKind, ...]

    def find(self) -> FoundAddresses:
        """Return the addresses."""
        (lookup,) = self.resolver.look_up([self.server.host])
        servers = lookup.addresses or _as_address(self.server.host)
        if not servers:
            why = lookup.detail or lookup.status.value.replace("-", " ")
            reason = f"the nameserver {self.server.host} was not found ({why})"
            return FoundAddresses((), frozenset(self.kinds), reason, FIX)
        found: list[str] = []
        unknown: list[RecordKind] = []
        reasons: list[str] = []
        for kind in self.kinds:
            own = [each for each in servers if RecordKind.of(each) is kind]
            if not own:
                unknown.append(kind)
                continue
            try:
                address = self.query(Endpoint(own[0], self.server.port), kind)
            except ResolutionError as error:
                unknown.append(kind)
                reasons.append(error.message)
                continue
            found += [address] if address is not None else []
        return FoundAddresses(
            sort_addresses(found), frozenset(unknown), "; ".join(reasons), FIX if reasons else ""
        )


@dataclass(frozen=True, slots=True)
class HttpsSource:
    """The addresses in the answers of web services; each sees that of one family."""

    fetcher: Fetcher
    urls: tuple[str, ...]

    def find(self) -> FoundAddresses:
        """Return the addresses."""
        found: list[str] = []
        reasons: list[str] = []
        for url in self.urls:
            host = urlsplit(url).hostname or url
            try:
                response = send(self.fetcher, url, service=host)
            except DdnsUnreachableError as error:
                reasons.append(error.message)
                continue
            address = first_address(response.body.decode("utf-8", "replace"))
            if address is None:
                reasons.append(f"the answer of {host} (status {response.status}) has no address")
            else:
                found.append(address)
        kinds = {RecordKind.of(each) for each in found}
        unknown = frozenset(RecordKind) - kinds
        return FoundAddresses(
            sort_addresses(found), unknown, "; ".join(reasons), FIX if reasons else ""
        )


def first_address(text: str) -> str | None:
    """Return the first IP address in a text; None if there is none."""
    for word in SEPARATORS.split(text[:4096]):
        found = _as_address(word.strip("."))
        if found:
            return found[0]
    return None


def _as_address(text: str) -> tuple[str, ...]:
    try:
        return (str(ipaddress.ip_address(text)),)
    except ValueError:
        return ()
