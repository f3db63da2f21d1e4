"""Regions of names, by their top-level domains.

A name is in a region if it is below one of its country-code domains, in any form (``.cn``,
``.中国``, ``.xn--fiqs8s``).
"""

from __future__ import annotations

import re
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

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

_CODES: Final = (
    "ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bl bm bn "
    "bo bq br bs bt bv bw by bz ca cc cd cf cg ch ci ck cl cm cn co cr cu cv cw cx cy cz "
    "de dj dk dm do dz ec ee eg eh er es et fi fj fk fm fo fr ga gb gd ge gf gg gh gi gl "
    "gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm "
    "jo jp ke kg kh ki km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me "
    "mf mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na nc ne nf ng ni nl no np "
    "nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd "
    "se sg sh si sj sk sl sm sn so sr ss st sv sx sy sz tc td tf tg th tj tk tl tm tn to "
    "tr tt tv tw tz ua ug um us uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw "
)
COUNTRIES: Final = frozenset(_CODES.split())
"""Country codes (ISO 3166-1), without those that are reserved (``uk``, ``eu``)."""

MISTAKEN: Final = MappingProxyType(
    {
        "uk": "gb",
        "en": "gb",
        "el": "gr",
        "zh": "cn",
        "ja": "jp",
        "ko": "kr",
        "cs": "cz",
        "da": "dk",
    }
)
"""Codes of languages, top-level domains and the European Union's own codes for countries."""

LARGEST_CACHE = 1024  # entries; every pass checks the same few names

DOTS = re.compile("[.\u3002\uff0e\uff61]")  # the label separators of RFC 3490 section 3.1


def country_complaint(written: str) -> str:
    """Return why a two-letter code is no country's; empty if it is one."""
    code = _code(written)
    if code in COUNTRIES:
        return ""
    shown = code.upper()
    if code in MISTAKEN:
        return f"{shown} is not a country code of ISO 3166; write {MISTAKEN[code].upper()}"
    if code == "eu":
        return "EU is not a country; write the code of one, such as DE or FR"
    return f"{shown} is not a country code of ISO 3166; write one, such as DE for Germany"


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
