"""The address that a nameserver sees when this host asks it.

Some nameservers answer a query for a certain name with the address that the query came from:
``myip.opendns.com`` at ``resolver1.opendns.com`` as an address record, ``o-o.myaddr.l.google.com``
at ``ns1.google.com`` as a TXT record. The query goes to them directly, over the address family in
question.
"""

from __future__ import annotations

import errno
import ipaddress
from typing import TYPE_CHECKING, Final

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
from dns.rdtypes.ANY.TXT import TXT

from gatecert.errors import ResolutionError, clean

if TYPE_CHECKING:
    from gatecert.model import Endpoint, RecordKind

SECONDS: Final = 5.0  # for one query
_NO_ROUTE: Final = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


def seen_address(
    name: str, server: Endpoint, kind: RecordKind, *, text: bool, seconds: float = SECONDS
) -> str | None:
    """Ask a nameserver which address it sees.

    Args:
        name: The name to ask for.
        server: Address and port of the nameserver, of the family in question.
        kind: The record type of that family.
        text: Whether the answer is a TXT record.
        seconds: Time for the query.

    Returns:
        Canonical text; None if this host has no route for the address family.

    Raises:
        ResolutionError: There is no usable answer.
    """
    query = dns.message.make_query(name, "TXT" if text else kind)
    try:
        answer, _ = dns.query.udp_with_fallback(
            query, server.host, timeout=seconds, port=server.port, ignore_unexpected=True
        )
    except (OSError, EOFError, dns.exception.DNSException) as error:
        if getattr(error, "errno", None) in _NO_ROUTE:
            return None
        reason = clean(getattr(error, "strerror", None) or str(error)).lower()
        raise ResolutionError(f"{server} does not tell this host's address: {reason}") from error
    if answer.rcode() != dns.rcode.NOERROR:
        code = dns.rcode.to_text(answer.rcode())
        raise ResolutionError(f"{server} does not tell this host's address for {name} ({code})")
    for records in answer.answer:
        for record in records:
            found = _address(_text(record) if isinstance(record, TXT) else record.to_text(), kind)
            if found is not None:
                return found
    raise ResolutionError(f"{server} answers {name} without an address")


def _text(record: TXT) -> str:
    return b"".join(record.strings).decode("ascii", "replace")


def _address(text: str, kind: RecordKind) -> str | None:
    """Return an address of the kind; None for anything else."""
    try:
        address = str(ipaddress.ip_address(text))
    except ValueError:
        return None
    return address if type(kind).of(address) is kind else None
