"""Fakes of dynamic DNS: an HTTPS service, a source of addresses, a name in public DNS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatecert.ddns.address_source import FoundAddresses
from gatecert.ddns.updater import RecordChange
from gatecert.http.fetcher import FetchError, Response
from gatecert.resolve.lookup import LookupResult, LookupStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from gatecert.deadline import Deadline

PASSWORD = "s3cret"  # noqa: S105 - of no account


class Service:
    """Answers each request with the next answer: a text, a status and a text, or an error."""

    def __init__(self, *answers: str | tuple[int, str] | FetchError | Response) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    def fetch(
        self,
        method: str,
        url: str,
        *,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        assert method == "GET"
        assert not deadline.passed
        self.asked.append((url, headers or {}))
        answer = self.answers.pop(0)
        if isinstance(answer, FetchError):
            raise answer
        if isinstance(answer, Response):
            return answer
        status, text = answer if isinstance(answer, tuple) else (200, answer)
        return Response(status, {}, text.encode(), url)

    @property
    def urls(self) -> list[str]:
        return [url for url, _ in self.asked]


def read_password(path: Path, key: str) -> str:
    """Read the secret of every file."""
    assert path.name
    assert key
    return PASSWORD


@dataclass
class Source:
    """A source that finds what a test says, or fails."""

    found: FoundAddresses | Exception
    asked: int = 0

    def find(self) -> FoundAddresses:
        self.asked += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@dataclass
class Records:
    """An updater that remembers what it was asked for, or fails."""

    error: Exception | None = None
    changes: bool = True
    asked: list[RecordChange] = field(default_factory=list)

    def update(self, change: RecordChange) -> bool:
        self.asked.append(change)
        if self.error is not None:
            raise self.error
        return self.changes


@dataclass
class PublicDns:
    """A resolver that shows these addresses for every name."""

    addresses: tuple[str, ...] = ()
    status: LookupStatus = LookupStatus.ADDRESSES
    asked: list[str] = field(default_factory=list)

    def look_up(self, names: Sequence[str]) -> tuple[LookupResult, ...]:
        self.asked += names
        found = self.addresses if self.status is LookupStatus.ADDRESSES else ()
        return tuple(LookupResult(name, self.status, found) for name in names)
