"""Where a record has to go: aliases followed, the zone found, and the nameservers of the zone.

- An alias (CNAME) at ``_acme-challenge`` delegates the answer to another place, often another zone
  at another provider. It is followed as the authority follows it, and the record goes to its end.
- The zone of a name is the closest one above it that has an SOA record (RFC 1035 section 3.3.13);
  negative answers carry it, so one question is enough most of the time.
- Its nameservers are those in its NS records, each at all of its addresses.

Everything is asked at the configured nameservers, or at the system's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import dns.exception
import dns.inet
import dns.name
import dns.resolver

from gatecert.errors import ChallengeError, ResolutionError, clean
from gatecert.model import Endpoint
from gatecert.resolve import query
from gatecert.resolve.dns import RESOLV_CONF, Resolver

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

DNS_PORT: Final = 53
LONGEST_CHAIN: Final = 16  # as many aliases as a look-up of addresses follows


@dataclass(frozen=True, slots=True)
class Nameserver:
    """One address of a nameserver.

    Attributes:
        name: What it is called, in messages.
    """

    name: str
    endpoint: Endpoint

    def __str__(self) -> str:
        named = self.name and self.name != self.endpoint.host
        return f"{self.name} ({self.endpoint})" if named else str(self.endpoint)


class Zones:
    """Finds zones; any number of threads may use it.

    Args:
        nameservers: Whom to ask; empty means the system's.
        timeout: Total time for one look-up.
        resolv_conf: Where the system's are written.
    """

    def __init__(
        self,
        nameservers: Sequence[Endpoint],
        timeout: timedelta,
        *,
        resolv_conf: Path = RESOLV_CONF,
    ) -> None:
        self._nameservers = tuple(nameservers)
        self._timeout = timeout
        self._resolv_conf = resolv_conf

    def follow(self, name: str) -> str:
        """Where the aliases of a name lead to; the name itself if it is none.

        Raises:
            ChallengeError: Nobody could say, or they go round in circles.
        """
        stub = self._stub()
        current = dns.name.from_text(name)
        visited: set[dns.name.Name] = set()
        while current not in visited and len(visited) < LONGEST_CHAIN:
            visited.add(current)
            found = self._ask(stub, current, "CNAME")
            if found is None:
                return _text(current)
            current = dns.name.from_text(found[0])
        raise ChallengeError(
            f"the aliases of {name} go round in circles at {_text(current)}",
            fix=f"correct the CNAME record of {name}",
        )

    def zone_of(self, name: str) -> str:
        """The zone that a name lies in.

        Raises:
            ChallengeError: There is none, or nobody could say.
        """
        stub = self._stub()
        try:
            zone = dns.resolver.zone_for_name(
                dns.name.from_text(name), resolver=stub.resolver, lifetime=self._seconds
            )
        except dns.exception.DNSException as error:
            raise self._unknown(f"the zone of {name}", query.explain(stub, error)) from error
        if zone == dns.name.root:
            raise self._unknown(f"the zone of {name}", "no domain above it exists")
        return _text(zone)

    def nameservers(self, zone: str) -> tuple[Nameserver, ...]:
        """Every address of every nameserver of a zone.

        Raises:
            ChallengeError: They, or the addresses of one of them, could not be found.
        """
        hosts = self._ask(self._stub(), dns.name.from_text(zone), "NS")
        if not hosts:
            raise self._unknown(f"the nameservers of {zone}", "it has no NS records")
        return self.addresses([Endpoint(host.rstrip("."), DNS_PORT) for host in sorted(hosts)])

    def addresses(self, servers: Sequence[Endpoint]) -> tuple[Nameserver, ...]:
        """Servers given by name or by address, at all of their addresses.

        Raises:
            ChallengeError: One of them has no address.
        """
        named = [each.host for each in servers if not dns.inet.is_address(each.host)]
        looked_up = Resolver(
            self._nameservers, self._timeout, resolv_conf=self._resolv_conf
        ).look_up(named)
        addresses = dict(zip(named, looked_up, strict=True))
        found: list[Nameserver] = []
        for server in servers:
            lookup = addresses.get(server.host)
            if lookup is not None and not lookup.addresses:
                reason = lookup.detail or "it has none"
                raise self._unknown(f"the address of the nameserver {server.host}", reason)
            hosts = (server.host,) if lookup is None else lookup.addresses
            found += [Nameserver(server.host, Endpoint(host, server.port)) for host in hosts]
        return tuple(found)

    @property
    def _seconds(self) -> float:
        return self._timeout.total_seconds()

    def _stub(self) -> query.Stub:
        try:
            if self._nameservers:
                return query.configured_stub(self._nameservers, self._seconds)
            return query.system_stub(self._resolv_conf, self._seconds)
        except ResolutionError as error:
            raise ChallengeError(error.message, fix=error.fix) from error

    def _ask(self, stub: query.Stub, name: dns.name.Name, kind: str) -> list[str] | None:
        """What the records of one type say; None if there are none."""
        try:
            answer = stub.resolver.resolve(
                name, kind, lifetime=self._seconds, raise_on_no_answer=False, search=False
            )
        except dns.resolver.NXDOMAIN:
            return None
        except dns.exception.DNSException as error:
            what = f"the {kind} records of {_text(name)}"
            raise self._unknown(what, query.explain(stub, error)) from error
        # Where the name itself is an alias, the answer may belong to what it stands for.
        if answer.rrset is None or answer.rrset.name != name:
            return None
        return [record.to_text() for record in answer.rrset]

    def _unknown(self, what: str, reason: str) -> ChallengeError:
        return ChallengeError(
            f"{what} could not be found, so no record can be published: {clean(reason)}",
            fix="see that resolver.nameservers answer, or set challenges.dns-01.zone and "
            "challenges.dns-01.authoritative",
        )


def _text(name: dns.name.Name) -> str:
    return clean(name.to_text(omit_final_dot=True).lower(), 255)
