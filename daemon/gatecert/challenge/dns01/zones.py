"""Where a record has to go: aliases followed, and the zone found.

- An alias (CNAME) at ``_acme-challenge`` delegates the answer to another place, often another zone
  at another provider. It is followed as the authority follows it, and the record goes to its end.
- A wildcard (``*.example.com CNAME …``) answers for ``_acme-challenge`` too, and delegates nothing.
  A random name beside it shows this: it is an alias of the same name. A record at the name itself
  wins over a wildcard (RFC 4592 section 3.2), so the record goes there. A wildcard is followed only
  where the configured zone contains the alias's target and not the name.
- The zone of a name is the closest one above it that has an SOA record (RFC 1035 section 3.3.13);
  negative answers carry it, so one question is enough most of the time.
- Its nameservers are those in its NS records, each at all of its addresses.

Zones and nameservers are looked up at the configured nameservers, or at the system's. The record's
own name is not: these keep in mind that it does not exist (RFC 2308) for as long as the zone says,
an hour maybe, and an authority inside the same network may ask the same ones right afterwards. So
only names above it are looked up there, and whether it is an alias, or lies in a zone of its own,
is asked of the zone's nameservers directly. Only where none of those can be asked from here does it
come to a look-up after all, and with ``propagation: recursive``, where nobody else is asked.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from gatecert.challenge.dns01.nameservers import Nameserver, NameserverLookup
from gatecert.deadline import Deadline
from gatecert.errors import ChallengeError, RecordRefusedError, clean
from gatecert.resolve import query
from gatecert.resolve.dns import RESOLV_CONF
from gatecert.resolve.query import MAX_ALIASES, display_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    from gatecert.model import Endpoint

logger = logging.getLogger(__name__)

RANDOM_BYTES: Final = 7  # with them a label is as long as _acme-challenge


@dataclass(frozen=True, slots=True)
class RecordLocation:
    """Where a record has to go.

    Attributes:
        name: Lower-case A-labels without a final dot, aliases followed.
        zone: The zone that it lies in, written like the name.
    """

    name: str
    zone: str


class Zones:
    """Finds zones; any number of threads may use it.

    Args:
        nameservers: Whom to ask; empty means the system's.
        timeout: Total time for one look-up.
        zone: The zone of all names below it; None means to be found out.
        authoritative: Taken for the nameservers of every zone; empty means those that it names.
        recursive: Ask resolvers alone, and no nameserver of a zone.
        follow_aliases: Whether an alias at a name leads the record elsewhere.
        resolv_conf: Where the system's are written.
    """

    def __init__(  # noqa: PLR0913 - whom to ask, and what the operator knows already
        self,
        nameservers: Sequence[Endpoint],
        timeout: timedelta,
        *,
        zone: str | None = None,
        authoritative: Sequence[Endpoint] = (),
        recursive: bool = False,
        follow_aliases: bool = True,
        resolv_conf: Path = RESOLV_CONF,
    ) -> None:
        self._lookups = NameserverLookup(
            nameservers,
            timeout,
            authoritative=authoritative,
            recursive=recursive,
            resolv_conf=resolv_conf,
        )
        self._zone = None if zone is None else dns.name.from_text(zone)
        self._recursive = recursive
        self._follow_aliases = follow_aliases
        self._seconds = timeout.total_seconds()

    def locate(self, name: str) -> RecordLocation:
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
        while current not in visited and len(visited) < MAX_ALIASES:
            visited.add(current)
            zone, alias = self._look_at(current)
            if alias is None or not self._delegates(current, alias):
                return RecordLocation(display_name(current), display_name(zone))
            if alias == dns.name.root:  # what some put there to say that there is nothing
                raise ChallengeError(
                    f"{display_name(current)} is an alias that leads nowhere",
                    fix=f"correct the CNAME record of {display_name(current)}",
                )
            logger.info(
                "alias followed name=%s leads_to=%s", display_name(current), display_name(alias)
            )
            current = alias
        raise ChallengeError(
            f"the aliases of {name} go round in circles at {display_name(current)}",
            fix=f"correct the CNAME record of {name}",
        )

    def nameservers(self, zone: str) -> tuple[Nameserver, ...]:
        """Everybody who has to answer with a record in a zone: see ``NameserverLookup.of_zone``."""
        return self._lookups.of_zone(zone)

    def addresses(self, servers: Sequence[Endpoint]) -> tuple[Nameserver, ...]:
        """Servers given by name or by address: see ``NameserverLookup.addresses``."""
        return self._lookups.addresses(servers)

    def _delegates(self, name: dns.name.Name, alias: dns.name.Name) -> bool:
        """Whether an alias at a name is meant to lead the record elsewhere."""
        if not self._follow_aliases:
            return False
        zone = self._zone
        if zone is not None and alias.is_subdomain(zone) and not name.is_subdomain(zone):
            return True
        label = f"_{secrets.token_hex(RANDOM_BYTES)}"
        try:
            sibling = dns.name.from_text(label, name.parent())
        except dns.exception.DNSException:  # too long a name: nothing can be told
            return True
        if not self._is_alias(sibling, alias):
            return True
        logger.info(
            "alias made by a wildcard, not followed name=%s leads_to=%s",
            display_name(name),
            display_name(alias),
        )
        host = _above(name)
        if self._is_alias(host, alias):
            logger.warning(
                "%s exists only by a wildcard, which does not answer for it while a record stands "
                "below it (RFC 4592); give it a CNAME or address record of its own",
                display_name(host),
            )
        return False

    def _is_alias(self, name: dns.name.Name, target: dns.name.Name) -> bool:
        """Whether a name is an alias of another; False where nobody can say."""
        try:
            return self._look_at(name)[1] == target
        except ChallengeError as error:
            logger.debug("not known whether %s is an alias: %s", display_name(name), error)
            return False

    def _look_at(self, name: dns.name.Name) -> tuple[dns.name.Name, dns.name.Name | None]:
        """The zone that a name lies in, and what it is an alias of if it is one."""
        if self._zone is not None and name.is_subdomain(self._zone):
            zone = self._zone
        else:
            zone = self._lookups.zone_of(_above(name))
        # Each turn finds a zone that lies deeper.
        for _ in name.labels:
            response = self._ask_directly(display_name(zone), name)
            if response is None:
                if not self._follow_aliases:  # then the name itself is better not looked up
                    return zone, None
                alias = self._lookups.look_up(name, "CNAME")
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

    def _ask_directly(self, zone: str, name: dns.name.Name) -> dns.message.Message | None:
        """What the first nameserver of a zone that can tell says; None if none can.

        One that does not speak for the zone (a lame delegation) is believed only where no other
        answers.
        """
        if self._recursive:
            return None
        lame = None
        try:
            servers = self._lookups.of_zone(zone)
        except ChallengeError as error:
            logger.debug("nameservers of %s not found: %s", zone, error)
            return None
        question = dns.message.make_query(name, dns.rdatatype.CNAME)
        question.flags &= ~dns.flags.RD
        deadline = Deadline.after(self._seconds)
        for server in servers:
            if server.no_address:
                continue
            host, port = server.endpoint.host, server.endpoint.port
            try:
                response, _ = dns.query.udp_with_fallback(
                    question,
                    host,
                    timeout=deadline.within(query.ATTEMPT_SECONDS),
                    port=port,
                    ignore_unexpected=True,
                )
            except (OSError, EOFError, dns.exception.DNSException) as error:
                logger.debug("not told by nameserver=%s: %s", server, error)
                continue
            if response.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
                continue
            if response.flags & dns.flags.AA or _is_referral(response, zone):
                return response
            lame = lame or response
        return lame


def _above(name: dns.name.Name) -> dns.name.Name:
    """The closest name above that is no label of the protocol (``_acme-challenge`` …)."""
    above = name.parent()
    while above.labels[0].startswith(b"_"):
        above = above.parent()
    return above


def _is_referral(response: dns.message.Message, zone: str) -> bool:
    """Whether an answer leads to a zone below the one that was asked (RFC 1034 section 4.3.2)."""
    origin = dns.name.from_text(zone)
    return not response.answer and any(
        records.rdtype == dns.rdatatype.NS
        and records.name != origin
        and records.name.is_subdomain(origin)
        for records in response.authority
    )


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
