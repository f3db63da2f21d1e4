"""Material for inputs: nearly valid documents, and malformed texts and octets.

Random octets are refused at the first look by everything that reads. So most inputs begin as the
real thing and have a few of their parts changed: taken away, doubled, given another type, or one
of the values that programs are known to stumble over.
"""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tests.fuzz.source import Make, Source, binary, boolean, just, mapped, one_of, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Json = Any  # whatever JSON can hold
Step = Any  # a key or an index

INSTANTS: Final = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59.999999-23:59",
    "2026-11-23T08:15:00",
    "2026-11-23",
    "2026-02-30T25:61:61Z",
    "1969-12-31T23:59:59Z",
    "2026-11-23T08:15:00+00:00:00.000001",
    "20261123T081500Z",
    "2026-W48-1T08:15:00Z",
)
HTTP_DATES: Final = (
    "Mon, 23 Nov 2026 08:15:00 GMT",
    "Monday, 23-Nov-26 08:15:00 GMT",
    "Mon Nov 23 08:15:00 2026",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Sat, 01 Jan 0001 00:00:00 +2359",
    "Mon, 23 Nov 2026 08:15:00 -9999999999",
    "Mon, 23 Nov 99999999999 08:15:00 GMT",
    "Mon, 23 Nov 2026",
    "23 Nov",
    "Nov 23 08:15",
    ", , , , :::",
)
URLS: Final = (
    "",
    "/order/1",
    "//[",
    "//ca.test",
    "https://",
    "https://[",
    "https://[::1",
    "https://[v1.x]/",
    "https://ca.test:99999/",
    "https://ca.test:port/",
    "https://ca.test:٣/",
    "https://user:secret@ca.test/",
    "https://ca.test\\@evil.test/",
    "https://ca.test/\r\nX: y",
    "https://ca.test/\x00",
    "https://ca.test/\ud800",
    "https://\ud800.test/",
    "https://xn--a/",
    "https://" + "a" * 64 + ".test/",
    "https://ca.test/" + "a" * 9000,
    "https://\u2024/",
    "http://ca.test/order/1",
    "file:///etc/passwd",
    "ftp://ca.test/",
    "javascript:alert(1)",
    "https://ca.test/%ZZ%0d%0a",
    "https:ca.test",
    "HTTPS://CA.TEST/order/1",
)
TEXTS: Final = (
    "",
    " ",
    "\x00",
    "\x1b[2J\x1b]0;owned\x07",
    "\r\nSet-Cookie: x=y",
    "{0.__class__}",
    "{name}",
    "%s%n",
    "$(reboot)",
    "`reboot`",
    "-rf",
    "--help",
    "../../../../etc/passwd",
    "..",
    "\ud800",
    "\ufeff",
    "\u202e\u2066",
    "ﷺ" * 40,
    "a" * 5000,
    "NaN",
    "null",
    "[bold red]x[/]",
    "[/]",
)
NUMBERS: Final = (
    0, -1, 1, -5, 255, 256, 65_536, 2**31, 2**63, -(2**63), 2**64, 10**30, 10**400,
    0.1, -0.0, 1e308, 1e-320, float("inf"), float("-inf"), float("nan"),
)  # fmt: skip
DURATIONS: Final = ("PT0S", "-PT1S", "P1D", "P999999999D", "-P999999999D", "PT1e9S", "P1Y", "")

WHOLE: Final = tuple(number for number in NUMBERS if isinstance(number, int))
PLAIN: Final = (None, True, False, *NUMBERS)
OCTETS: Final = (0, 1, 0x30, 0x7F, 0x80, 0xFF)

texts: Make[str] = one_of(
    just(*TEXTS), just(*URLS), just(*INSTANTS), just(*DURATIONS), text(20), text(20)
)
scalars: Make[Json] = one_of(just(*PLAIN), texts)


def documents(source: Source, depth: int = 3) -> Json:
    """Anything that JSON can hold."""
    match source.integer(0, 3) if depth else 0:
        case 2:
            return [documents(source, depth - 1) for _ in range(source.integer(0, 3))]
        case 3:
            return {
                source.text(6): documents(source, depth - 1) for _ in range(source.integer(0, 3))
            }
    return scalars(source)


def places(document: Json) -> list[tuple[Step, ...]]:
    """The way to every value in a document, itself included."""
    return list(_places(document, ()))


def _places(document: Json, way: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    yield way
    if isinstance(document, dict):
        for key, value in document.items():
            yield from _places(value, (*way, key))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from _places(value, (*way, index))


def instants(source: Source) -> str:
    """Any point in time, written as in JSON."""
    if source.rarely(2):
        return source.choice(INSTANTS)
    at = datetime.min + timedelta(seconds=source.integer(0, 315_537_897_599))  # noqa: DTZ901 - the zone is added
    return f"{at.isoformat()}Z"


def durations(source: Source) -> str:
    """Any length of time, written as in JSON."""
    if source.rarely(2):
        return source.choice(DURATIONS)
    return f"{source.choice(('', '-'))}PT{source.integer(0, 10**12) / 1000}S"


def like(value: Json) -> Make[Json]:
    """Another value of the same type, so that what is read goes further than to its type."""
    found: Make[Json] = documents
    if isinstance(value, bool):
        found = boolean
    elif isinstance(value, int):
        found = one_of(just(*WHOLE), lambda source: source.integer(-200, 200))
    elif isinstance(value, str) and value[:4].isdigit():
        found = instants
    elif isinstance(value, str) and value.startswith("P") and value[-1:].isupper():
        found = durations
    elif isinstance(value, str) and "://" in value:
        found = one_of(just(*URLS), lambda source: value + source.choice(TEXTS))
    elif isinstance(value, str):
        found = one_of(texts, as_text(spoilt(just(value.encode("utf-8", "replace")))))
    elif isinstance(value, list) and value:
        found = lambda source: [source.choice(value) for _ in range(source.integer(0, 5))]  # noqa: E731 - as all others
    return found


def as_text(maker: Make[bytes]) -> Make[str]:
    """Octets read as UTF-8, as far as they are."""
    return mapped(maker, lambda data: data.decode("utf-8", "replace"))


def altered(original: Json, most: int = 3) -> Make[Json]:
    """A document with some of its values changed, taken away or doubled."""

    def make(source: Source) -> Json:
        document = copy.deepcopy(original)
        for _ in range(source.integer(1, most)):
            way = source.choice(places(document))
            if way:
                _alter(document, way, source)
            elif source.rarely(10):
                return documents(source)
        return document

    return make


def _alter(document: Json, way: tuple[Step, ...], source: Source) -> None:
    holder = document
    for step in way[:-1]:
        holder = holder[step]
    last = way[-1]
    match source.integer(0, 7):
        case 5:
            del holder[last]
        case 6 if isinstance(holder, list):
            holder.extend([holder[last]] * source.choice((1, 30)))
        case 6:
            holder[texts(source)] = holder[last]
        case 7:
            holder[last] = documents(source)
        case _:
            holder[last] = like(holder[last])(source)


def encoded(maker: Make[Json]) -> Make[bytes]:
    """A document as JSON, mostly in UTF-8 and mostly whole."""

    def make(source: Source) -> bytes:
        written = json.dumps(maker(source))
        whole = written.encode()
        match source.integer(0, 23):
            case 18:
                return whole[: source.integer(0, len(whole))]
            case 19:
                return written.encode("utf-16")
            case 20:
                return b"\xef\xbb\xbf" + whole
            case 21:
                deep = source.choice((50, 900, 100_000))
                return b"[" * deep + b"]" * deep
            case 22 | 23:
                return source.binary(200)
        return whole

    return make


def spoilt(maker: Make[bytes], most: int = 4) -> Make[bytes]:
    """Octets with some of them changed, taken away, doubled or added."""

    def make(source: Source) -> bytes:
        data = bytearray(maker(source))
        for _ in range(source.integer(0, most)):
            _spoil(data, source)
        return bytes(data)

    return make


def _spoil(data: bytearray, source: Source) -> None:
    at = source.integer(0, max(0, len(data) - 1))
    length = source.choice((1, 1, 1, 2, 4, 16, 100))
    match source.integer(0, 7):
        case 0 | 1:
            data[at : at + 1] = bytes([source.choice(OCTETS)])
        case 2 | 3:
            data[at : at + 1] = source.octets(1)
        case 4:
            del data[at : at + length]
        case 5:
            data[at:at] = source.octets(length)
        case 6:
            data[at:at] = data[at : at + length]
        case _ if source.rarely(4):
            del data[at:]
        case _:
            data[at : at + 1] = bytes(each ^ (1 << (length % 8)) for each in data[at : at + 1])


def one_of_octets(*originals: bytes) -> Make[bytes]:
    """One of these, spoilt; seldom nothing like them."""
    near = spoilt(just(*originals))
    return one_of(near, near, near, near, near, near, near, binary(300))


def listed(values: Sequence[str]) -> Make[str]:
    """One of these, or another text."""
    return one_of(just(*values), just(*values), texts)
