"""A token store in memory."""

from __future__ import annotations


class Tokens:
    """A TokenStore in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.abandoned: set[str] = set()

    def put_token(self, token: str, key_authorization: str) -> None:
        self.kept[token] = key_authorization

    def token(self, token: str) -> str | None:
        return self.kept.get(token)

    def remove_token(self, token: str) -> None:
        self.kept.pop(token, None)

    def abandoned_tokens(self) -> tuple[str, ...]:
        return tuple(self.abandoned & self.kept.keys())
