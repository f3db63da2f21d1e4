"""The name and zone of a record, with aliases followed.

- An alias (CNAME) at ``_acme-challenge`` delegates the validation to another name, often in another
  zone at another provider. It is followed as the authority does, and the record is published at its
  target.
- A wildcard (``*.example.com CNAME …``) also answers for ``_acme-challenge`` and is not a
  delegation. It is recognized by a random sibling that is an alias of the same target. A record at
  the name itself overrides the wildcard (RFC 4592 section 3.2), so the record is published there. A
  wildcard is followed only if the configured zone contains its target and not the name.
- The zone of a name is the closest one above it that has an SOA record (RFC 1035 section 3.3.13);
  negative answers contain it, so one query is usually enough.
- The nameservers of a zone are those in its NS records, each at all of its addresses.

Zones and nameservers are looked up at the configured nameservers, or at the system's. The record's
own name is not: these would cache that it does not exist (RFC 2308) for the zone's negative TTL,
perhaps an hour, and an authority in the same network may query them right afterwards. Only names
above it are looked up there. The zone's nameservers are queried directly for whether the name is an
alias or in a zone of its own. The name is looked up only if none of them is reachable, or with
``propagation: recursive``, when only resolvers are queried.
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
from gatecert.resolve import stub_resolver
from gatecert.resolve.resolver import RESOLV_CONF
from gatecert.resolve.stub_resolver import MAX_ALIASES, display_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    from gatecert.model import Endpoint

logger = logging.getLogger(__name__)

RANDOM_BYTES: Final = 7  # give a label as long as _acme-challenge


@dataclass(frozen=True, slots=True)
class RecordLocation:
    """The name and zone of a record.

    Attributes:
        name: Lower-case A-labels without a final dot, aliases followed.
        zone: The zone of the name, in the same form.
    """

    name: str
    zone: str


class Zones:
    """Finds the zones of records; safe to use from several threads.

    Args:
        nameservers: The resolvers to query; empty means the system's.
        timeout: Total time for one look-up.
        zone: The zone of all names below it; None means to look it up.
        authoritative: Used as the nameservers of every zone; empty means the zone's NS records.
        recursive: Query only resolvers, and no nameserver of a zone.
        follow_aliases: Whether to publish a record at the target of an alias.
        resolv_conf: Lists the system's resolvers.
    """

    def __init__(  # noqa: PLR0913 - the resolvers and the operator's settings
        self,
        nameservers: Sequence[Endpoint],
        timeout: timedelta,
        *,
        zone: str | None = None,
        authoritative: Sequence[Endpoint] = (),
        recursive: bool = False,
        follow_aliases: bool = True,
        resolv_conf: Path = RESOLV_CONF,
        attempt_seconds: float = stub_resolver.ATTEMPT_SECONDS,
    ) -> None:
        self._attempt_seconds = attempt_seconds
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
        """Find the name and zone of a record, following aliases.

        Raises:
            RecordRefusedError: No record can have this name.
            ChallengeError: The look-up failed, or the aliases are a loop or lead nowhere.
        """
        try:
            current = dns.name.from_text(name)
        except dns.exception.DNSException as error:
            raise RecordRefusedError(
                f"{clean(name)} is not a valid DNS name: a name has at most 253 characters",
                fix="use another challenge (http-01), or a shorter name",
            ) from error
        visited: set[dns.name.Name] = set()
        while current not in visited and len(visited) < MAX_ALIASES:
            visited.add(current)
            zone, alias = self._zone_and_alias(current)
            if alias is None or not self._delegates(current, alias):
                return RecordLocation(display_name(current), display_name(zone))
            if alias == dns.name.root:  # some zones use this for "does not exist"
                raise ChallengeError(
                    f"{display_name(current)} is an alias of the DNS root, which holds no record",
                    fix=f"correct the CNAME record of {display_name(current)}",
                )
            logger.info(
                "alias followed name=%s leads_to=%s", display_name(current), display_name(alias)
            )
            current = alias
        raise ChallengeError(
            f"the aliases of {name} are a CNAME loop at {display_name(current)}",
            fix=f"correct the CNAME record of {name}",
        )

    def nameservers(self, zone: str) -> tuple[Nameserver, ...]:
        """Return the nameservers of a zone: see ``NameserverLookup.of_zone``."""
        return self._lookups.of_zone(zone)

    def addresses(self, servers: Sequence[Endpoint]) -> tuple[Nameserver, ...]:
        """Return the addresses of servers: see ``NameserverLookup.addresses``."""
        return self._lookups.addresses(servers)

    def _delegates(self, name: dns.name.Name, alias: dns.name.Name) -> bool:
        """Check if an alias at a name delegates the validation."""
        if not self._follow_aliases:
            return False
        zone = self._zone
        if zone is not None and alias.is_subdomain(zone) and not name.is_subdomain(zone):
            return True
        label = f"_{secrets.token_hex(RANDOM_BYTES)}"
        try:
            sibling = dns.name.from_text(label, name.parent())
        except dns.exception.DNSException:  # the sibling's name is too long: cannot tell
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
                "%s exists only by a wildcard, which does not apply to it while a record exists "
                "below it (RFC 4592); give it its own CNAME or address record",
                display_name(host),
            )
        return False

    def _is_alias(self, name: dns.name.Name, target: dns.name.Name) -> bool:
        """Check if a name is an alias of another; False if the look-up fails."""
        try:
            return self._zone_and_alias(name)[1] == target
        except ChallengeError as error:
            logger.debug("cannot tell whether %s is an alias: %s", display_name(name), error)
            return False

    def _zone_and_alias(self, name: dns.name.Name) -> tuple[dns.name.Name, dns.name.Name | None]:
        """Return the zone of a name, and the target if the name is an alias."""
        if self._zone is not None and name.is_subdomain(self._zone):
            zone = self._zone
        else:
            zone = self._lookups.zone_of(_above(name))
        # Each round finds a deeper zone.
        for _ in name.labels:
            response = self._query_directly(display_name(zone), name)
            if response is None:
                if not self._follow_aliases:  # no need to make a resolver cache the absence
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

    def _query_directly(self, zone: str, name: dns.name.Name) -> dns.message.Message | None:
        """Return the first usable answer of a zone's nameservers; None if there is none.

        An answer without authority (lame delegation) is used only if no other nameserver answers.
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
                    timeout=deadline.within(self._attempt_seconds),
                    port=port,
                    ignore_unexpected=True,
                )
            except (OSError, EOFError, dns.exception.DNSException) as error:
                logger.debug("no answer from nameserver=%s: %s", server, error)
                continue
            if response.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
                continue
            if response.flags & dns.flags.AA or _is_referral(response, zone):
                return response
            lame = lame or response
        return lame


def _above(name: dns.name.Name) -> dns.name.Name:
    """Return the closest name above without an underscore label (``_acme-challenge`` …)."""
    above = name.parent()
    while above.labels[0].startswith(b"_"):
        above = above.parent()
    return above


def _is_referral(response: dns.message.Message, zone: str) -> bool:
    """Check if an answer refers to a zone below the queried one (RFC 1034 section 4.3.2)."""
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
    """Return the deepest zone of a name that an answer contains as a referral or SOA."""
    zones = [
        records.name
        for records in response.authority
        if records.rdtype in {dns.rdatatype.SOA, dns.rdatatype.NS}
        and name.is_subdomain(records.name)
        and records.name.is_subdomain(zone)
    ]
    return max([zone, *zones], key=lambda each: len(each.labels))
