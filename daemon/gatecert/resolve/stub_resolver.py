"""DNS queries through dnspython; the only module of ``resolve`` that imports it.

Importing this module takes about 60 ms, so ``resolve.resolver`` imports it at the first look-up.

- Names are absolute: the search list of resolv.conf(5) is never applied.
- dnspython asks the nameservers in turn, over UDP and then over TCP if the answer was truncated
  (RFC 7766). It ignores answers that do not match the query, skips a server that answers SERVFAIL
  or REFUSED, and retries a silent one until the time is over.
- Aliases (CNAME) are followed within an answer and, if a server returns only the first part of the
  chain, by further queries. A chain of more than sixteen aliases or a loop is a server failure.
- A negative answer may be cached for the smaller of its SOA's TTL and MINIMUM (RFC 2308 section 5);
  without an SOA its TTL is unknown.
"""

from __future__ import annotations

import contextlib
import io
import socket
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import dns.exception
import dns.inet
import dns.message
import dns.name
import dns.nameserver
import dns.rcode
import dns.resolver
from dns.rdtypes.ANY.CAA import CAA
from dns.rdtypes.ANY.SOA import SOA

from gatecert import regular_files
from gatecert.errors import ResolutionError, clean
from gatecert.model import Endpoint
from gatecert.resolve.caa import CRITICAL, CaaAnswer, Property
from gatecert.resolve.lookup import FamilyAnswer, LookupStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from gatecert.deadline import Deadline
    from gatecert.resolve.lookup import Family

DNS_PORT = 53
LOOPBACK = "127.0.0.1"
MAX_ALIASES = 16  # dnspython's limit within one answer
ATTEMPT_SECONDS = 2.0  # for one nameserver before the next is asked


@dataclass(frozen=True, slots=True)
class StubResolver:
    """A stub resolver for a list of nameservers; safe to use from several threads.

    Attributes:
        nameservers: Addresses and ports, for messages.
    """

    resolver: dns.resolver.Resolver
    nameservers: str

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The address and port of each nameserver."""
        return tuple(
            Endpoint(each.address, each.port)
            for each in self.resolver.nameservers
            if isinstance(each, _Nameserver)
        )

    def query_addresses(self, name: str, family: Family, deadline: Deadline) -> FamilyAnswer:
        """Look up one record type of a name; return every failure as an answer."""
        try:
            return _addresses(self, dns.name.from_text(name), family, deadline)
        except dns.resolver.LifetimeTimeout as error:
            return FamilyAnswer(family, LookupStatus.TIMEOUT, detail=self.describe_error(error))
        except dns.exception.DNSException as error:
            detail = self.describe_error(error)
            return FamilyAnswer(family, LookupStatus.SERVER_FAILURE, detail=detail)

    def query_caa(self, domain: str, deadline: Deadline) -> CaaAnswer:
        """Look up the CAA records of a domain; return every failure as an answer."""
        try:
            found = _follow(self, dns.name.from_text(domain), "CAA", deadline)
        except dns.exception.DNSException as error:
            return CaaAnswer(failure=self.describe_error(error))
        if found.chain is None:
            return CaaAnswer(failure=_loop(found))
        properties = {
            Property(
                critical=bool(record.flags & CRITICAL),
                tag=record.tag.decode("ascii", "replace").lower(),
                value=record.value.decode("ascii", "replace"),
            )
            for record in found.chain.answer or ()
            if isinstance(record, CAA)
        }
        # Sorted: servers return records in any order, and messages should not vary with it.
        return CaaAnswer(tuple(sorted(properties)))

    def describe_error(self, error: dns.exception.DNSException) -> str:
        """Describe why a look-up failed, with the answer of each nameserver."""
        if not isinstance(error, dns.resolver.LifetimeTimeout | dns.resolver.NoNameservers):
            return clean(str(error))
        answers = _describe_answers(error.kwargs["errors"])
        return answers or f"no time was left to ask {self.nameservers}"


class _Nameserver(dns.nameserver.Do53Nameserver):
    """A nameserver that messages name by address and port."""

    def __str__(self) -> str:
        return str(Endpoint(self.address, self.port))


# --------------------------------------------------------------------------- nameservers


def configured_stub(nameservers: Iterable[Endpoint], seconds: float) -> StubResolver:
    """Build a stub resolver for configured nameservers; host names are resolved by the system.

    Args:
        nameservers: Addresses or host names, in the order in which to ask.
        seconds: Time for all attempts at one name.

    Raises:
        ResolutionError: No nameserver has an address.
    """
    found: list[Endpoint] = []
    unknown: list[str] = []
    for nameserver in nameservers:
        addresses = _addresses_of(nameserver)
        found += [Endpoint(address, nameserver.port) for address in addresses]
        unknown += [] if addresses else [nameserver.host]
    if not found:
        raise ResolutionError(
            f"the nameserver {', '.join(unknown)} has no address, so no name can be looked up",
            fix="give resolver.nameservers as addresses",
        )
    return _stub(dns.resolver.Resolver(configure=False), found, seconds)


def system_stub(resolv_conf: Path, seconds: float) -> StubResolver:
    """Build a stub resolver for the nameservers of resolv.conf(5).

    A file that is missing or lists no nameserver means the one on this machine.

    Raises:
        ResolutionError: The file lists nameservers, but none by address.
    """
    listed, options = _read(resolv_conf)
    usable = [each for each in listed if is_address(each)]
    if listed and not usable:
        raise ResolutionError(
            f"{resolv_conf} lists no nameserver by address ({clean(', '.join(listed))}), "
            "so no name can be looked up",
            fix="correct it, or set resolver.nameservers",
        )
    resolver = dns.resolver.Resolver(configure=False)
    with contextlib.suppress(dns.resolver.NoResolverConfiguration):  # raised for options alone
        resolver.read_resolv_conf(io.StringIO(options))
    return _stub(resolver, [Endpoint(each, DNS_PORT) for each in usable or [LOOPBACK]], seconds)


def _read(resolv_conf: Path) -> tuple[list[str], str]:
    """Return the listed nameservers and the lines with options."""
    try:
        text = regular_files.read(resolv_conf).decode("ascii", "replace")
    except OSError:
        return [], ""
    nameservers: list[str] = []
    options: list[str] = []
    for line in text.split("\n"):
        match line.split():
            case ["nameserver", address, *_]:
                nameservers.append(address)
            case ["options", *_]:
                options.append(line)
    return nameservers, "\n".join(options)


def _stub(
    resolver: dns.resolver.Resolver, endpoints: Sequence[Endpoint], seconds: float
) -> StubResolver:
    resolver.nameservers = [_Nameserver(each.host, each.port) for each in endpoints]
    # Leave time for every server, and for a second attempt at a single one after a lost packet.
    resolver.timeout = min(ATTEMPT_SECONDS, seconds / max(2, len(endpoints)))
    return StubResolver(resolver, ", ".join(str(each) for each in endpoints))


def is_address(host: str) -> bool:
    """Check for an IP address, which needs no look-up."""
    return dns.inet.is_address(host)


def _addresses_of(nameserver: Endpoint) -> list[str]:
    if is_address(nameserver.host):
        return [nameserver.host]
    try:
        found = socket.getaddrinfo(nameserver.host, nameserver.port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


# --------------------------------------------------------------------------- answers


def display_name(name: dns.name.Name) -> str:
    """Return a name as lower-case text without the final dot."""
    return clean(name.to_text(omit_final_dot=True).lower(), 255)


def _addresses(
    stub: StubResolver, name: dns.name.Name, family: Family, deadline: Deadline
) -> FamilyAnswer:
    found = _follow(stub, name, family, deadline)
    if found.chain is None:
        return FamilyAnswer(family, LookupStatus.SERVER_FAILURE, detail=_loop(found))
    return FamilyAnswer(
        family,
        _status(found.response, found.chain),
        addresses=tuple(record.to_text() for record in found.chain.answer or ()),
        time_to_live=timedelta(seconds=min(found.seconds)) if found.seconds else None,
        detail="" if found.name == name else f"alias of {display_name(found.name)}",
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """The end of a chain of aliases.

    Attributes:
        name: The target of the last alias.
        chain: The last answer's; None for a loop.
        seconds: Every TTL of the chain.
    """

    name: dns.name.Name
    response: dns.message.QueryMessage
    chain: dns.message.ChainingResult | None
    seconds: tuple[int, ...]


def _follow(
    stub: StubResolver, name: dns.name.Name, record_type: str, deadline: Deadline
) -> _Found:
    """Query a name and, as long as the answer ends in an alias, the alias's target."""
    current = name
    visited: set[dns.name.Name] = set()
    seconds: list[int] = []
    while True:
        visited.add(current)
        response = _response(stub, current, record_type, deadline)
        chain = response.resolve_chaining()
        seconds += _times_to_live(response, chain)
        current = chain.canonical_name
        if not _ends_in_alias(response, chain):
            return _Found(current, response, chain, tuple(seconds))
        if current in visited or len(visited) >= MAX_ALIASES:
            return _Found(current, response, None, tuple(seconds))


def _loop(found: _Found) -> str:
    return f"CNAME loop at {display_name(found.name)}"


def _response(
    stub: StubResolver, name: dns.name.Name, record_type: str, deadline: Deadline
) -> dns.message.QueryMessage:
    """Return the first usable answer, NXDOMAIN included."""
    try:
        return stub.resolver.resolve(
            name, record_type, lifetime=deadline.remaining, raise_on_no_answer=False, search=False
        ).response
    except dns.resolver.NXDOMAIN as error:
        response: dns.message.QueryMessage = error.kwargs["responses"][name]
        return response


def _status(response: dns.message.QueryMessage, chain: dns.message.ChainingResult) -> LookupStatus:
    if chain.answer is not None:
        return LookupStatus.ADDRESSES
    if response.rcode() == dns.rcode.NXDOMAIN:
        return LookupStatus.NO_SUCH_NAME
    return LookupStatus.NO_ADDRESS


def _ends_in_alias(response: dns.message.QueryMessage, chain: dns.message.ChainingResult) -> bool:
    """Check if the answer says nothing of the last alias's target, not even that it is empty."""
    return (
        bool(chain.cnames)
        and _status(response, chain) is LookupStatus.NO_ADDRESS
        and _negative_seconds(response, chain.canonical_name) is None
    )


def _times_to_live(
    response: dns.message.QueryMessage, chain: dns.message.ChainingResult
) -> list[int]:
    """Return every TTL of the answer, in seconds."""
    seconds = [alias.ttl for alias in chain.cnames]
    if chain.answer is not None:
        return [*seconds, chain.answer.ttl]
    negative = _negative_seconds(response, chain.canonical_name)
    return seconds if negative is None else [*seconds, negative]


def _negative_seconds(response: dns.message.QueryMessage, name: dns.name.Name) -> int | None:
    """Return the negative TTL that the zone of a name gives, in seconds."""
    for records in response.authority:
        for record in records:
            if isinstance(record, SOA) and name.is_subdomain(records.name):
                return min(records.ttl, record.minimum)
    return None


def _describe_answers(errors: Iterable[dns.resolver.ErrorTuple]) -> str:
    """Describe the last answer of each nameserver, in the order in which they were asked."""
    last = {str(error[0]): f"{error[0]} {_describe_answer(error[3])}" for error in errors}
    return ", ".join(last.values())


def _describe_answer(answer: Exception | str) -> str:
    match answer:
        case str():
            return f"answered {answer}"
        case dns.exception.Timeout():
            return "did not answer"
        case dns.message.ChainTooLong():
            return "answered with a CNAME loop"
        case EOFError():
            return "closed the TCP connection without an answer"
        case OSError():
            return f"could not be reached: {answer.strerror or answer}"
        case _:
            return f"sent an invalid answer: {clean(str(answer))}"
