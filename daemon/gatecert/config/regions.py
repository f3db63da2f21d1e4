"""Which names lie in which region, as the root zone has it.

A name is in a region if it lies below a country-code domain of it, in whatever form that is written
(``.cn``, ``.中国``, ``.xn--fiqs8s``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from gatecert.model import IdentifierType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatecert.model import Identifier

# https://www.iana.org/domains/root/db; for every region that is not here, the code itself.
TOP_LEVEL_DOMAINS = {
    "cn": ("cn", "中国", "xn--fiqs8s", "中國", "xn--fiqz9s"),
    "ru": ("ru", "рф", "xn--p1ai"),
    "gb": ("uk", "gb"),
}

LARGEST_CACHE = 1024  # texts; asked about the same few names at every pass

DOTS = re.compile("[.\u3002\uff0e\uff61]")  # the label separators of RFC 3490 section 3.1


def first_excluded(region: str, identifiers: Iterable[Identifier], excluded: Iterable[str]) -> str:
    """The first of the excluded regions that a gateway is in, empty if it is in none.

    Args:
        region: The one that is configured for it, empty if none is.
        identifiers: Its names.
        excluded: Region codes (ISO 3166, any case), as configured.
    """
    identifiers = tuple(identifiers)
    for code in map(_code, excluded):
        if code and (_code(region) == code or names_below(identifiers, code)):
            return code
    return ""


def names_below(identifiers: Iterable[Identifier], region: str) -> list[str]:
    """The DNS names among them that lie in a region."""
    code = _code(region)
    domains = TOP_LEVEL_DOMAINS.get(code, (code,))
    return [
        identifier.value
        for identifier in identifiers
        if identifier.type is IdentifierType.DNS and top_level(identifier.value) in domains
    ]


@lru_cache(maxsize=LARGEST_CACHE)
def top_level(name: str) -> str:
    """The last label of a name."""
    return DOTS.sub(".", name.casefold()).rstrip(".").rpartition(".")[2]


@lru_cache(maxsize=LARGEST_CACHE)
def _code(region: str) -> str:
    return region.strip().strip(".").casefold()
