"""Octets, read as decisions: what to take, how many, whether or not.

A property is a function of an input, and an input is made of octets by way of decisions. So
hypothesis can draw the octets and shrink them, a fuzzer that watches coverage can change them, and
both are quick, for nothing else has to be drawn. Where the octets end, every further decision is
the first of those there are, which is the plainest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Value = TypeVar("Value")
Other = TypeVar("Other")


class Source:
    """Decisions by octets."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def integer(self, low: int, high: int) -> int:
        """A whole number between two others, these included."""
        span = high - low
        size = (span.bit_length() + 7) // 8
        return low + int.from_bytes(self.octets(size), "big") % (span + 1)

    def octets(self, count: int) -> bytes:
        """So many octets, zeros where they have ended."""
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken.ljust(count, b"\0")

    def choice(self, options: Sequence[Value]) -> Value:
        """One of several."""
        return options[self.integer(0, len(options) - 1)]

    def rarely(self, one_in: int) -> bool:
        """True once in so many times."""
        return self.integer(0, one_in - 1) == one_in - 1

    def some(self, options: Sequence[Value], most: int) -> list[Value]:
        """Between one and so many of several, none twice."""
        left = list(options)
        count = min(self.integer(1, most), len(left))
        return [left.pop(self.integer(0, len(left) - 1)) for _ in range(count)]

    def binary(self, most: int) -> bytes:
        """Up to so many octets."""
        return self.octets(self.integer(0, most))

    def text(self, most: int) -> str:
        """Up to so many characters of every plane."""
        return "".join(chr(self._code_point()) for _ in range(self.integer(0, most)))

    def _code_point(self) -> int:
        first = self.integer(0, 255)
        if first < 0xC0:
            return first
        return self.integer(0, 0x10FFFF)


Make: TypeAlias = "Callable[[Source], Value]"


def one_of(*makers: Make[Value]) -> Make[Value]:
    """By one of several ways."""
    return lambda source: source.choice(makers)(source)


def just(*values: Value) -> Make[Value]:
    """One of these."""
    return lambda source: source.choice(values)


def lists(maker: Make[Value], most: int, least: int = 0) -> Make[list[Value]]:
    """Several, made alike."""
    return lambda source: [maker(source) for _ in range(source.integer(least, most))]


def mapped(maker: Make[Value], function: Callable[[Value], Other]) -> Make[Other]:
    """Something made of something made."""
    return lambda source: function(maker(source))


def binary(most: int) -> Make[bytes]:
    """Up to so many octets."""
    return lambda source: source.binary(most)


def text(most: int) -> Make[str]:
    """Up to so many characters."""
    return lambda source: source.text(most)


def boolean(source: Source) -> bool:
    """One or the other."""
    return source.rarely(2)
