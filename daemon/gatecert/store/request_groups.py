"""The groups of requests that the limits of a CA count together. Pure.

A request belongs to one group of each kind of grouping, and to one for each registered domain of
its names. A group is a key (`RequestGroup`), so that a store can keep it with the request, and look
it up without looking at others.
"""

from __future__ import annotations

import ipaddress
from functools import cache
from typing import TYPE_CHECKING

from gatecert.model import CountedBy
from gatecert.public_suffixes import registrable_domain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatecert.model import CountedRequest

_SITE_BITS = 64  # of an IPv6 address: one subscriber's network


def groups_of(request: CountedRequest, by: CountedBy) -> Iterable[str]:
    """Return the values of a request's groups, each once, in alphabetical order.

    The Public Suffix List is loaded for `CountedBy.REGISTERED_DOMAIN` only.
    """
    match by:
        case CountedBy.ALL:
            return ("",)
        case CountedBy.ACCOUNT:
            return (request.account,)
        case CountedBy.ACCOUNT_AND_NAMES:
            return (" ".join((request.account, *request.names)),)
        case CountedBy.NAMES:
            return (" ".join(sorted(set(request.names))),)
        case CountedBy.REGISTERED_DOMAIN:
            return sorted({registered_domain(name) for name in request.names})


@cache
def registered_domain(name: str) -> str:
    """Return the registered domain that a name's certificates are counted for.

    CAs use the Public Suffix List with its private section, so that each customer of a dynamic DNS
    service in it counts separately. IPv4 addresses count separately, IPv6 addresses per /64.
    """
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return registrable_domain(name.removeprefix("*."))
    if address.version == 4:  # noqa: PLR2004 - IPv4
        return str(address)
    return str(ipaddress.ip_network((address, _SITE_BITS), strict=False))
