"""Where a record has to go: aliases followed, the zone found, and the nameservers of the zone.

- An alias (CNAME) at ``_acme-challenge`` delegates the answer to another place, often another zone
  at another provider. It is followed as the authority follows it, and the record goes to its end.
- The zone of a name is the closest one above it that has an SOA record (RFC 1035 section 3.3.13);
  negative answers carry it, so one question is enough most of the time.
- Its nameservers are those in its NS records, each at all of its addresses.

Zones and nameservers are looked up at the configured nameservers, or at the system's. The record's
own name is not: these keep in mind that it does not exist (RFC 2308) for as long as the zone says,
an hour maybe, and an authority inside the same network may ask the same ones right afterwards. So
only names above it are looked up there, and whether it is an alias, or lies in a zone of its own,
is asked of the zone's nameservers directly. Only where none of those can be asked from here does it
come to a look-up after all.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.resolver

from gatecert.deadline import Deadline
from gatecert.errors import ChallengeError, RecordRefusedError, ResolutionError, clean
from gatecert.model import Endpoint
from gatecert.resolve import query
from gatecert.resolve.dns import RESOLV_CONF, Resolver

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

logger = logging.getLogger(__name__)

DNS_PORT: Final = 53
LONGEST_CHAIN: Final = 16  # as many aliases as a look-up of addresses follows


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record has to go.

    Attributes:
        name: Lower-case A-labels without a final dot, aliases followed.
        zone: The zone that it lies in, written like the name.
    """

    name: str
    zone: str


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
        zone: The zone of all names below it; None means to be found out.
        authoritative: Taken for the nameservers of every zone; empty means those that it names.
        resolv_conf: Where the system's are written.
    """

    def __init__(
        self,
        nameservers: Sequence[Endpoint],
        timeout: timedelta,
        *,
        zone: str | None = None,
        authoritative: Sequence[Endpoint] = (),
        resolv_conf: Path = RESOLV_CONF,
    ) -> None:
        self._nameservers = tuple(nameservers)
        self._zone = None if zone is None else dns.name.from_text(zone)
        self._authoritative = tuple(authoritative)
        self._timeout = timeout
        self._resolv_conf = resolv_conf

    def place(self, name: str) -> Place:
        """Where a record for a name has to go.

        Raises:
            RecordRefusedError: No record can have this name.
            ChallengeError: Nobody could say, or its aliases go nowhere or round in circles.
        """
        try:
            current = dns.name.from_text(name)
        except dns.exception.DNSException as error:
            raise RecordRefusedError(
                f"no DNS record can be called {clean(name)}: a name has 253 characters at most",
                fix="show control over the name in another way (http-01), or choose a shorter one",
            ) from error
        visited: set[dns.name.Name] = set()
        while current not in visited and len(visited) < LONGEST_CHAIN:
            visited.add(current)
            zone, alias = self._look_at(current)
            if alias is None:
                return Place(_text(current), _text(zone))
            if alias == dns.name.root:  # what some put there to say that there is nothing
                raise ChallengeError(
                    f"{_text(current)} is an alias that leads nowhere",
                    fix=f"correct the CNAME record of {_text(current)}",
                )
            logger.info("alias followed name=%s leads_to=%s", _text(current), _text(alias))
            current = alias
        raise ChallengeError(
            f"the aliases of {name} go round in circles at {_text(current)}",
            fix=f"correct the CNAME record of {name}",
        )

    def nameservers(self, zone: str) -> tuple[Nameserver, ...]:
        """Every address of every nameserver of a zone.

        Raises:
            ChallengeError: They, or the addresses of one of them, could not be found.
        """
        if self._authoritative:
            return self.addresses(self._authoritative)
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

    def _look_at(self, name: dns.name.Name) -> tuple[dns.name.Name, dns.name.Name | None]:
        """The zone that a name lies in, and what it is an alias of if it is one."""
        if self._zone is not None and name.is_subdomain(self._zone):
            zone = self._zone
        else:
            zone = self._zone_of(_above(name))
        # Each turn finds a zone that lies deeper.
        for _ in name.labels:
            response = self._ask_directly(_text(zone), name)
            if response is None:
                alias = self._ask(self._stub(), name, "CNAME")
                return zone, dns.name.from_text(alias[0]) if alias else None
            alias_records = response.get_rrset(
                response.answer, name, dns.rdataclass.IN, dns.rdatatype.CNAME
            )
            if alias_records:
                return zone, dns.name.from_text(alias_records[0].to_text())
            deeper = _closest(response, name, zone)
            if zone in {deeper, self._zone}:
                break
            zone = deeper
        return zone, None

    def _zone_of(self, name: dns.name.Name) -> dns.name.Name:
        """The zone that a name lies in, looked up."""
        stub = self._stub()
        try:
            zone = dns.resolver.zone_for_name(name, resolver=stub.resolver, lifetime=self._seconds)
        except dns.exception.DNSException as error:
            raise self._unknown(f"the zone of {_text(name)}", query.explain(stub, error)) from error
        if zone == dns.name.root:
            raise self._unknown(f"the zone of {_text(name)}", "no domain above it exists")
        return zone

    def _ask_directly(self, zone: str, name: dns.name.Name) -> dns.message.Message | None:
        """What the first nameserver of a zone that can tell says; None if none can."""
        try:
            servers = self.nameservers(zone)
        except ChallengeError as error:
            logger.debug("nameservers of %s not found: %s", zone, error)
            return None
        question = dns.message.make_query(name, dns.rdatatype.CNAME)
        question.flags &= ~dns.flags.RD
        deadline = Deadline.after(self._seconds)
        for server in servers:
            host, port = server.endpoint.host, server.endpoint.port
            try:
                response, _ = dns.query.udp_with_fallback(
                    question,
                    host,
                    timeout=deadline.within(query.LONGEST_ATTEMPT),
                    port=port,
                    ignore_unexpected=True,
                )
            except (OSError, EOFError, dns.exception.DNSException) as error:
                logger.debug("not told by nameserver=%s: %s", server, error)
                continue
            if response.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
                return response
        return None

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


def _above(name: dns.name.Name) -> dns.name.Name:
    """The closest name above that is no label of the protocol (``_acme-challenge`` …)."""
    above = name.parent()
    while above.labels[0].startswith(b"_"):
        above = above.parent()
    return above


def _closest(
    response: dns.message.Message, name: dns.name.Name, zone: dns.name.Name
) -> dns.name.Name:
    """The deepest zone around a name that an answer tells of: by a referral, or by its SOA."""
    told = [
        records.name
        for records in response.authority
        if records.rdtype in {dns.rdatatype.SOA, dns.rdatatype.NS}
        and name.is_subdomain(records.name)
        and records.name.is_subdomain(zone)
    ]
    return max([zone, *told], key=lambda each: len(each.labels))


def _text(name: dns.name.Name) -> str:
    return clean(name.to_text(omit_final_dot=True).lower(), 255)
