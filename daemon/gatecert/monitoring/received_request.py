"""Requests as they are received, and why some are refused (RFC 9110, RFC 9112)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from gatecert.monitoring.exchange import Request, Response

if TYPE_CHECKING:
    import h11

METHODS: Final = ("GET", "HEAD")
MOST_PARAMETERS: Final = 100
REASONS: Final = {
    400: "the request is malformed",
    405: "only GET and HEAD are allowed",
    408: "the request did not arrive in time",
    413: "a request must not have content",
    414: "the request line is too long",
    431: "the headers are too long",
}


class RefusedRequestError(Exception):
    """A request that is answered, and that ends the connection.

    Args:
        status: A key of `REASONS`.
    """

    def __init__(self, status: int) -> None:
        super().__init__(REASONS[status])
        self.status = status

    @property
    def response(self) -> Response:
        """The answer."""
        headers = {"allow": ", ".join(METHODS)} if self.status == 405 else {}  # noqa: PLR2004
        headers["connection"] = "close"
        return Response(f"{self}\n".encode(), self.status, headers=headers)


@dataclass(frozen=True, slots=True)
class Received:
    """A request that is whole.

    Attributes:
        request: What the handler may see.
        authorization: The header of that name, which it may not.
        method: ``GET``, ``HEAD`` or another one.
    """

    request: Request
    authorization: str
    method: str


def received_request(event: h11.Request, most: int) -> Received:
    """Translate a request.

    Args:
        event: The request line and headers.
        most: Bytes that they may have; h11 enforces it for what is incomplete only.

    Raises:
        RefusedRequestError: It is too long, or its target is malformed.
    """
    if len(event.target) > most // 2:
        raise RefusedRequestError(414)
    if len(event.target) + sum(len(name) + len(value) + 4 for name, value in event.headers) > most:
        raise RefusedRequestError(431)
    headers: dict[str, str] = {}
    for name, value in event.headers:
        key, text = name.decode("ascii"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    authorization = headers.pop("authorization", "")
    try:
        target = urlsplit(event.target.decode("ascii"))
        query = dict(parse_qsl(target.query, max_num_fields=MOST_PARAMETERS))
    except ValueError as error:
        raise RefusedRequestError(400) from error
    if not target.path.startswith("/"):
        raise RefusedRequestError(400)
    request = Request(unquote(target.path), query, headers)
    return Received(request, authorization, event.method.decode("ascii"))
