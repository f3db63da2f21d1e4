"""Look-ups at the resolvers: the zone of a name, its nameservers and their addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dns.exception
import dns.inet
import dns.name
import dns.resolver

from gatecert.errors import ChallengeError, ResolutionError, clean
from gatecert.model import Endpoint
from gatecert.resolve import stub_resolver
from gatecert.resolve.resolver import RESOLV_CONF, Resolver
from gatecert.resolve.stub_resolver import DNS_PORT, display_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Nameserver:
    """One address of a nameserver.

    Attributes:
        name: Its name, for messages.
        endpoint: Its address; its name if the address is unknown.
        no_address: Why its address is unknown; empty if it is known.
        recursive: Whether it is a recursive resolver.
    """

    name: str
    endpoint: Endpoint
    no_address: str = ""
    recursive: bool = False

    def __str__(self) -> str:
        named = self.name and self.name != self.endpoint.host
        return f"{self.name} ({self.endpoint})" if named else str(self.endpoint)


class NameserverLookup:
    """Finds zones and nameservers; safe to use from several threads.

    Args:
        resolvers: The resolvers to query; empty means the system's.
        timeout: Total time for one look-up.
        authoritative: Used as the nameservers of every zone; empty means the zone's NS records.
        recursive: Use the resolvers as the nameservers of every zone.
        resolv_conf: Lists the system's resolvers.
    """

    def __init__(
        self,
        resolvers: Sequence[Endpoint],
        timeout: timedelta,
        *,
        authoritative: Sequence[Endpoint] = (),
        recursive: bool = False,
        resolv_conf: Path = RESOLV_CONF,
    ) -> None:
        self._configured = tuple(resolvers)
        self._timeout = timeout
        self._authoritative = tuple(authoritative)
        self._recursive = recursive
        self._resolv_conf = resolv_conf

    def of_zone(self, zone: str) -> tuple[Nameserver, ...]:
        """Return every address of the nameservers that have to answer with a record of a zone.

        With ``recursive`` these are the resolvers. A nameserver without an address is included
        unless none has one.

        Raises:
            ChallengeError: They, or the addresses of all of them, could not be found.
        """
        if self._recursive:
            return self._resolvers()
        if self._authoritative:
            servers = self._authoritative
        else:
            hosts = self.look_up(dns.name.from_text(zone), "NS")
            if not hosts:
                raise self._unknown(f"the nameservers of {zone}", "it has no NS records")
            servers = tuple(Endpoint(host.rstrip("."), DNS_PORT) for host in sorted(hosts))
        found = self._located(servers)
        if all(each.no_address for each in found):
            raise self._no_address(found)
        return found

    def addresses(self, servers: Sequence[Endpoint]) -> tuple[Nameserver, ...]:
        """Return every address of servers given by name or by address.

        Raises:
            ChallengeError: One of them has no address.
        """
        found = self._located(servers)
        missing = [each for each in found if each.no_address]
        if missing:
            raise self._no_address(missing)
        return found

    def _located(self, servers: Sequence[Endpoint]) -> tuple[Nameserver, ...]:
        """Return every address of servers; for a server without one, the reason."""
        named = [each.host for each in servers if not dns.inet.is_address(each.host)]
        looked_up = Resolver(
            self._configured, self._timeout, resolv_conf=self._resolv_conf
        ).look_up(named)
        addresses = dict(zip(named, looked_up, strict=True))
        found: list[Nameserver] = []
        for server in servers:
            lookup = addresses.get(server.host)
            if lookup is not None and not lookup.addresses:
                found.append(Nameserver(server.host, server, lookup.detail or "it has none"))
                continue
            hosts = (server.host,) if lookup is None else lookup.addresses
            found += [Nameserver(server.host, Endpoint(host, server.port)) for host in hosts]
        return tuple(found)

    def _resolvers(self) -> tuple[Nameserver, ...]:
        """Return the configured nameservers, or the system's, for recursive queries."""
        return tuple(
            Nameserver(endpoint.host, endpoint, recursive=True)
            for endpoint in self._stub().endpoints
        )

    def _no_address(self, servers: Sequence[Nameserver]) -> ChallengeError:
        names = ", ".join(dict.fromkeys(each.name for each in servers))
        which = "nameserver" if len(servers) == 1 else "nameservers"
        what = "the address" if len(servers) == 1 else "an address"
        return self._unknown(f"{what} of the {which} {names}", servers[0].no_address)

    def zone_of(self, name: dns.name.Name) -> dns.name.Name:
        """Find the zone of a name.

        Raises:
            ChallengeError: It could not be found.
        """
        stub = self._stub()
        try:
            zone = dns.resolver.zone_for_name(name, resolver=stub.resolver, lifetime=self._seconds)
        except dns.exception.DNSException as error:
            raise self._unknown(
                f"the zone of {display_name(name)}", stub.describe_error(error)
            ) from error
        if zone == dns.name.root:
            raise self._unknown(f"the zone of {display_name(name)}", "no domain above it exists")
        return zone

    def look_up(self, name: dns.name.Name, kind: str) -> list[str] | None:
        """Look up the records of one type; return None if there are none.

        Raises:
            ChallengeError: The look-up failed.
        """
        stub = self._stub()
        try:
            answer = stub.resolver.resolve(
                name, kind, lifetime=self._seconds, raise_on_no_answer=False, search=False
            )
        except dns.resolver.NXDOMAIN:
            return None
        except dns.exception.DNSException as error:
            what = f"the {kind} records of {display_name(name)}"
            raise self._unknown(what, stub.describe_error(error)) from error
        # If the name is an alias, the records belong to the alias's target.
        if answer.rrset is None or answer.rrset.name != name:
            return None
        return [record.to_text() for record in answer.rrset]

    @property
    def _seconds(self) -> float:
        return self._timeout.total_seconds()

    def _stub(self) -> stub_resolver.StubResolver:
        try:
            if self._configured:
                return stub_resolver.configured_stub(self._configured, self._seconds)
            return stub_resolver.system_stub(self._resolv_conf, self._seconds)
        except ResolutionError as error:
            raise ChallengeError(error.message, fix=error.fix) from error

    def _unknown(self, what: str, reason: str) -> ChallengeError:
        return ChallengeError(
            f"{what} could not be found, so no record can be published: {clean(reason)}",
            fix="check that resolver.nameservers answer, or set challenges.dns-01.zone and "
            "challenges.dns-01.authoritative, or challenges.dns-01.propagation: recursive",
        )
