"""Regions of names, by their top-level domains.

A name is in a region if it is below one of its country-code domains, in any form (``.cn``,
``.中国``, ``.xn--fiqs8s``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from gatecert.model import IdentifierType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatecert.model import Identifier

# https://www.iana.org/domains/root/db; for every other region, the code itself.
TOP_LEVEL_DOMAINS = {
    "cn": ("cn", "中国", "xn--fiqs8s", "中國", "xn--fiqz9s"),
    "ru": ("ru", "рф", "xn--p1ai"),
    "gb": ("uk", "gb"),
}

LARGEST_CACHE = 1024  # entries; every pass checks the same few names

DOTS = re.compile("[.\u3002\uff0e\uff61]")  # the label separators of RFC 3490 section 3.1


def first_excluded(region: str, identifiers: Iterable[Identifier], excluded: Iterable[str]) -> str:
    """Return the first excluded region that a gateway is in, empty if none.

    Args:
        region: Its configured region, empty if none.
        identifiers: Its names.
        excluded: Region codes (ISO 3166, any case).
    """
    identifiers = tuple(identifiers)
    for code in map(_code, excluded):
        if code and (_code(region) == code or names_below(identifiers, code)):
            return code
    return ""


def names_below(identifiers: Iterable[Identifier], region: str) -> list[str]:
    """Return the DNS names that are in a region."""
    code = _code(region)
    domains = TOP_LEVEL_DOMAINS.get(code, (code,))
    return [
        identifier.value
        for identifier in identifiers
        if identifier.type is IdentifierType.DNS and top_level(identifier.value) in domains
    ]


@lru_cache(maxsize=LARGEST_CACHE)
def top_level(name: str) -> str:
    """Return the last label of a name."""
    return DOTS.sub(".", name.casefold()).rstrip(".").rpartition(".")[2]


@lru_cache(maxsize=LARGEST_CACHE)
def _code(region: str) -> str:
    return region.strip().strip(".").casefold()
