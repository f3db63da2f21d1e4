"""Regions whose gateways are never enrolled.

Publicly trusted certificates are not enrolled automatically for gateways in the excluded regions:
not one request goes to an authority. A gateway is in a region because the configuration says so, or
because one of its DNS names lies below a country-code domain of the region, in whatever form that
is written (``.cn``, ``.中国``, ``.xn--fiqs8s``). The name counts even where another region is
configured: an authority would get to see it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from gatecert.model import IdentifierType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.model import Target

# https://www.iana.org/domains/root/db; for every region that is not here, the code itself.
TOP_LEVEL_DOMAINS = {
    "cn": ("cn", "中国", "xn--fiqs8s", "中國", "xn--fiqz9s"),
    "ru": ("ru", "рф", "xn--p1ai"),
    "gb": ("uk", "gb"),
}

LARGEST_CACHE = 1024  # texts; asked about the same few names at every pass

_DOTS = re.compile("[.\u3002\uff0e\uff61]")  # the label separators of RFC 3490 section 3.1


def excluded_region(target: Target, excluded: Sequence[str]) -> str:
    """The first of the excluded regions that the target is in, empty if it is in none.

    Args:
        target: The gateway.
        excluded: Region codes (ISO 3166, any case), as configured.
    """
    for region in map(_code, excluded):
        if region and (_code(target.region) == region or _names_below(target, region)):
            return region
    return ""


def reason(region: str, target: Target) -> str:
    """Why the target is not enrolled and what to do instead, on one line."""
    names = _names_below(target, _code(region))
    if names:
        domain = _top_level(names[0])
        why = f"{names[0]} lies below .{domain}, and region {region} is never enrolled"
    else:
        why = f"region {region} is configured for this gateway and is never enrolled"
    return (
        f"{why}; it keeps serving its self-signed certificate. For a trusted one set mode: custom "
        f"and use: gatecert csr {target.name}, then gatecert import {target.name}"
    )


def _names_below(target: Target, region: str) -> list[str]:
    domains = TOP_LEVEL_DOMAINS.get(region, (region,))
    return [
        identifier.value
        for identifier in target.identifiers
        if identifier.type is IdentifierType.DNS and _top_level(identifier.value) in domains
    ]


@lru_cache(maxsize=LARGEST_CACHE)
def _top_level(name: str) -> str:
    return _DOTS.sub(".", name.casefold()).rstrip(".").rpartition(".")[2]


@lru_cache(maxsize=LARGEST_CACHE)
def _code(region: str) -> str:
    return region.strip().strip(".").casefold()
