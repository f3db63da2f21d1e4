"""Requests and responses of the monitor's listeners, free of sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """A GET or HEAD request.

    Attributes:
        path: Decoded, without the query.
        query: Decoded; the last value of each key.
        headers: By name in lower case.
    """

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Response:
    """A response.

    Attributes:
        body: Sent whole; the server compresses it if the client can decompress.
        stream: Sent after the body, part by part, until it ends or the client leaves.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: AsyncIterator[bytes] | None = None


class Handler(Protocol):
    """Answers requests; quick, and never waits."""

    def __call__(self, request: Request) -> Response:
        """Return the response; status 404 for an unknown path."""
        ...
