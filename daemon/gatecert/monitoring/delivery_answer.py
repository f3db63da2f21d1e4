"""Result of an attempt to tell a receiver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CHECK_IT: Final = "check that the receiver works; gatecert tries again"


@dataclass(frozen=True, slots=True)
class Answer:
    """Result of an attempt.

    Attributes:
        accepted: Whether the receiver has the message.
        problem: Why not, one line, without secrets.
        fix: What to do about it.
        refused: Whether it is certain that nobody has got it.
        urls: Digests of the URLs that have accepted it, of a receiver that has several.
    """

    accepted: bool
    problem: str = ""
    fix: str = ""
    refused: bool = False
    urls: tuple[str, ...] = ()
