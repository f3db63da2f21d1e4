"""A token store in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatecert.deadline import Deadline


class Tokens:
    """A TokenStore in memory.

    Attributes:
        missing: The other hosts that do not answer.
    """

    def __init__(self) -> None:
        self.missing: tuple[str, ...] = ()
        self.kept: dict[str, str] = {}
        self.abandoned: set[str] = set()

    def put_token(self, kind: str, token: str, key_authorization: str) -> None:
        self.kept[_name(kind, token)] = key_authorization

    def token(self, kind: str, token: str) -> str | None:
        return self.kept.get(_name(kind, token))

    def remove_token(self, kind: str, token: str) -> None:
        self.kept.pop(_name(kind, token), None)

    def wait_for_hosts(self, kind: str, token: str, deadline: Deadline) -> tuple[str, ...]:
        del deadline
        return self.missing if self.token(kind, token) else ()

    def abandoned_tokens(self, kind: str) -> tuple[str, ...]:
        beginning = _name(kind, "")
        found = (each for each in self.abandoned & self.kept.keys() if each.startswith(beginning))
        return tuple(each.removeprefix(beginning) for each in found)


def _name(kind: str, token: str) -> str:
    return token if kind == "http-01" else f"{kind}.{token}"
