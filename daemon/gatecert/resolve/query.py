"""One question to the nameservers, asked through dnspython; the only importer of it for look-ups.

Importing this module costs some 60 ms, so ``resolve.dns`` does it when the first name is looked up.

- Names are absolute: the search list of resolv.conf(5) is never applied.
- dnspython asks the nameservers in turn, over UDP and then TCP where the answer was truncated
  (RFC 7766), ignores answers that do not belong to the question, gives up on a server that answers
  SERVFAIL or REFUSED, and asks again one that stays silent, until the time is over.
- Aliases (CNAME) are followed within an answer and, where a server gives only the first step of the
  chain, by asking again. A chain of more than sixteen steps, or one that bites its own tail, is a
  server failure.
- A negative answer may be kept for the smaller of its SOA's TTL and MINIMUM (RFC 2308 section 5);
  without an SOA its age limit is unknown.
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
MAX_ALIASES = 16  # as many as dnspython follows within one answer
ATTEMPT_SECONDS = 2.0  # seconds for one nameserver, before the next is asked


@dataclass(frozen=True, slots=True)
class StubResolver:
    """Nameservers, ready to be asked by any number of threads."""

    resolver: dns.resolver.Resolver
    nameservers: str

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where each of them is asked."""
        return tuple(
            Endpoint(each.address, each.port)
            for each in self.resolver.nameservers
            if isinstance(each, _Nameserver)
        )


class _Nameserver(dns.nameserver.Do53Nameserver):
    """A nameserver that is called by its address and port in messages."""

    def __str__(self) -> str:
        return str(Endpoint(self.address, self.port))


# --------------------------------------------------------------------------- whom to ask


def configured_stub(nameservers: Iterable[Endpoint], seconds: float) -> StubResolver:
    """Ask these nameservers; those given by name are looked up through the system.

    Args:
        nameservers: Whom to ask, in this order.
        seconds: Time for all attempts at one name.

    Raises:
        ResolutionError: Not one of them has an address.
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
    """Ask the system's nameservers, those of which the file gives an address.

    Where the file is missing or names none, that is the one on this machine: resolv.conf(5).

    Raises:
        ResolutionError: The file names nameservers, and not one of them can be asked.
    """
    named, options = _read(resolv_conf)
    usable = [each for each in named if dns.inet.is_address(each)]
    if named and not usable:
        raise ResolutionError(
            f"{resolv_conf} names no nameserver by its address ({clean(', '.join(named))}), "
            "so no name can be looked up",
            fix="mend it, or set resolver.nameservers",
        )
    resolver = dns.resolver.Resolver(configure=False)
    with contextlib.suppress(dns.resolver.NoResolverConfiguration):  # said of options alone
        resolver.read_resolv_conf(io.StringIO(options))
    return _stub(resolver, [Endpoint(each, DNS_PORT) for each in usable or [LOOPBACK]], seconds)


def _read(resolv_conf: Path) -> tuple[list[str], str]:
    """The nameservers as they are written, and the lines with options; nothing else is of use."""
    try:
        written = resolv_conf.read_bytes().decode("ascii", "replace")
    except OSError:
        return [], ""
    nameservers: list[str] = []
    options: list[str] = []
    for line in written.split("\n"):
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
    # Every server gets a turn, and a single one a second chance after a lost packet.
    resolver.timeout = min(ATTEMPT_SECONDS, seconds / max(2, len(endpoints)))
    return StubResolver(resolver, ", ".join(str(each) for each in endpoints))


def _addresses_of(nameserver: Endpoint) -> list[str]:
    if dns.inet.is_address(nameserver.host):
        return [nameserver.host]
    try:
        found = socket.getaddrinfo(nameserver.host, nameserver.port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


# --------------------------------------------------------------------------- what they say


def query_addresses(
    stub: StubResolver, name: str, family: Family, deadline: Deadline
) -> FamilyAnswer:
    """Look up one record type of one name; every way it can end is an answer, none raises."""
    try:
        return _addresses(stub, dns.name.from_text(name), family, deadline)
    except dns.resolver.LifetimeTimeout as error:
        return FamilyAnswer(family, LookupStatus.TIMEOUT, detail=describe_error(stub, error))
    except dns.exception.DNSException as error:
        return FamilyAnswer(family, LookupStatus.SERVER_FAILURE, detail=describe_error(stub, error))


def query_caa(stub: StubResolver, domain: str, deadline: Deadline) -> CaaAnswer:
    """Look up the CAA records of one domain; every way it can end is an answer, none raises."""
    try:
        found = _follow(stub, dns.name.from_text(domain), "CAA", deadline)
    except dns.exception.DNSException as error:
        return CaaAnswer(failure=describe_error(stub, error))
    if found.chain is None:
        return CaaAnswer(failure=_in_circles(found))
    properties = {
        Property(
            critical=bool(record.flags & CRITICAL),
            tag=record.tag.decode("ascii", "replace").lower(),
            value=record.value.decode("ascii", "replace"),
        )
        for record in found.chain.answer or ()
        if isinstance(record, CAA)
    }
    # Servers give them in any order; what is said of them should not change for that.
    return CaaAnswer(tuple(sorted(properties)))


def describe_error(stub: StubResolver, error: dns.exception.DNSException) -> str:
    """Who said what, where a look-up brought no answer."""
    if not isinstance(error, dns.resolver.LifetimeTimeout | dns.resolver.NoNameservers):
        return clean(str(error))
    said = _who_said_what(error.kwargs["errors"])
    return said or f"no time was left to ask {stub.nameservers}"


def _addresses(
    stub: StubResolver, name: dns.name.Name, family: Family, deadline: Deadline
) -> FamilyAnswer:
    found = _follow(stub, name, family, deadline)
    if found.chain is None:
        return FamilyAnswer(family, LookupStatus.SERVER_FAILURE, detail=_in_circles(found))
    return FamilyAnswer(
        family,
        _status(found.response, found.chain),
        addresses=tuple(record.to_text() for record in found.chain.answer or ()),
        time_to_live=timedelta(seconds=min(found.seconds)) if found.seconds else None,
        detail="" if found.name == name else f"alias of {_text(found.name)}",
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """Where following aliases led.

    Attributes:
        name: What the last alias stands for.
        chain: The last answer's; None where the aliases go round in circles.
        seconds: Every TTL on the way.
    """

    name: dns.name.Name
    response: dns.message.QueryMessage
    chain: dns.message.ChainingResult | None
    seconds: tuple[int, ...]


def _follow(
    stub: StubResolver, name: dns.name.Name, record_type: str, deadline: Deadline
) -> _Found:
    """Ask for ``name`` and then, as long as answers end in an alias, for what it stands for."""
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


def _in_circles(found: _Found) -> str:
    return f"its aliases go round in circles at {_text(found.name)}"


def _response(
    stub: StubResolver, name: dns.name.Name, record_type: str, deadline: Deadline
) -> dns.message.QueryMessage:
    """The first answer that is one, NXDOMAIN included."""
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
    """Whether nothing is said of what the last alias stands for, not even that it has nothing."""
    return (
        bool(chain.cnames)
        and _status(response, chain) is LookupStatus.NO_ADDRESS
        and _negative_seconds(response, chain.canonical_name) is None
    )


def _times_to_live(
    response: dns.message.QueryMessage, chain: dns.message.ChainingResult
) -> list[int]:
    """Every TTL on the way, in seconds."""
    seconds = [alias.ttl for alias in chain.cnames]
    if chain.answer is not None:
        return [*seconds, chain.answer.ttl]
    negative = _negative_seconds(response, chain.canonical_name)
    return seconds if negative is None else [*seconds, negative]


def _negative_seconds(response: dns.message.QueryMessage, name: dns.name.Name) -> int | None:
    """For how long the zone of ``name`` says that a negative answer holds."""
    for records in response.authority:
        for record in records:
            if isinstance(record, SOA) and name.is_subdomain(records.name):
                return min(records.ttl, record.minimum)
    return None


def _who_said_what(errors: Iterable[dns.resolver.ErrorTuple]) -> str:
    """Each nameserver's last words, in the order in which they were asked."""
    return ", ".join({str(error[0]): f"{error[0]} {_words(error[3])}" for error in errors}.values())


def _words(said: Exception | str) -> str:
    match said:
        case str():
            return f"answered {said}"
        case dns.exception.Timeout():
            return "did not answer"
        case dns.message.ChainTooLong():
            return "answered with aliases that go round in circles"
        case EOFError():
            return "closed the TCP connection without an answer"
        case OSError():
            return f"could not be asked: {said.strerror or said}"
        case _:
            return f"gave a bad answer: {clean(str(said))}"


def _text(name: dns.name.Name) -> str:
    return clean(name.to_text(omit_final_dot=True), 255)
