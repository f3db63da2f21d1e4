"""Faults of the proxy. Each takes an exchange and ends it in its own wrong way.

Some never ask the authority (``Answer``, ``Redirect``, ``Endless``, ``Silence``); the others ask it
and spoil what it says. Texts and types of problems are those of Boulder, where it has them.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Protocol

from aiohttp import web

PROBLEM = "urn:ietf:params:acme:error:"
PIECE = b" " * (1 << 16)
UNKNOWN_CHALLENGE = {
    "type": "carrier-pigeon-01",
    "status": "pending",
    "url": "https://pigeons.invalid/1",
    "loft": {"row": 7},
}


@dataclass(frozen=True, slots=True)
class Response:
    """A response of the CA, or a forged one."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """The body as JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request in the proxy's hands.

    Attributes:
        request: As it came.
        forward: Asks the authority, and reads its whole answer.
        insecure_base: Where the proxy can be reached over plain HTTP.
    """

    request: web.Request
    forward: Callable[[], Awaitable[Response]]
    insecure_base: str

    async def send(self, response: Response) -> web.StreamResponse:
        """Pass an answer on."""
        return web.Response(
            status=response.status, headers=dict(response.headers), body=response.body
        )


class Fault(Protocol):
    """A way of going wrong."""

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        """Answer, or end the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Delay:
    """Answers, but late."""

    seconds: float = 5.0

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        response = await exchange.forward()
        await asyncio.sleep(self.seconds)
        return await exchange.send(response)


@dataclass(frozen=True, slots=True)
class Silence:
    """Accepts the request and never says anything."""

    seconds: float = 3600.0

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(self.seconds)
        return _hang_up(exchange)


@dataclass(frozen=True, slots=True)
class Drip:
    """Answers properly, one byte at a time."""

    interval: float = 1.0

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        response = await exchange.forward()
        stream = web.StreamResponse(status=response.status, headers=dict(response.headers))
        stream.content_length = len(response.body)
        await stream.prepare(exchange.request)
        for byte in response.body:
            await stream.write(bytes([byte]))
            await asyncio.sleep(self.interval)
        await stream.write_eof()
        return stream


@dataclass(frozen=True, slots=True)
class Drop:
    """Hangs up: before the authority is asked, or after it has done what it was asked for."""

    after: bool = False

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        if self.after:
            await exchange.forward()
        return _hang_up(exchange)


@dataclass(frozen=True, slots=True)
class Answer:
    """A problem document that the authority never wrote (RFC 8555 section 6.7).

    Attributes:
        retry_after: Seconds for the header Retry-After; None leaves it out.
        as_date: Whether that header has the form of an HTTP-date.
        headers: Further ones.
    """

    status: int = 503
    problem: str = "serverInternal"
    detail: str = "Service busy; retry later."
    retry_after: float | None = None
    as_date: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        headers = {"Content-Type": "application/problem+json", **self.headers}
        if self.retry_after is not None:
            until = datetime.now(UTC) + timedelta(seconds=self.retry_after)
            date = format_datetime(until, usegmt=True)
            headers["Retry-After"] = date if self.as_date else f"{self.retry_after:.0f}"
        document = {"type": PROBLEM + self.problem, "detail": self.detail, "status": self.status}
        return await exchange.send(Response(self.status, headers, json.dumps(document).encode()))


@dataclass(frozen=True, slots=True)
class Page:
    """A page for people, as a portal or a load balancer puts in the way."""

    status: int = 200
    body: str = "<!DOCTYPE html><title>502 Bad Gateway</title><h1>Please log in</h1>"

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        return await exchange.send(
            Response(self.status, {"Content-Type": "text/html"}, self.body.encode())
        )


@dataclass(frozen=True, slots=True)
class Truncate:
    """Cuts the body in the middle, and says that this was all."""

    share: float = 0.5

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        response = await exchange.forward()
        body = response.body[: int(len(response.body) * self.share)]
        return await exchange.send(replace(response, body=body))


@dataclass(frozen=True, slots=True)
class Patch:
    """Changes the JSON of an answer.

    Attributes:
        fields: Take the place of fields of the same name, or are added.
        headers: Likewise.
        alter: Changes it further in place.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    alter: Callable[[Any], None] | None = None

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        response = await exchange.forward()
        document = response.json()
        if isinstance(document, dict) and response.status < 400:
            document |= self.fields
            if self.alter is not None:
                self.alter(document)
            headers = {**response.headers, **self.headers}
            response = Response(response.status, headers, json.dumps(document).encode())
        return await exchange.send(response)


@dataclass(slots=True)
class SlowValidation:
    """Lets authorizations and their orders stay pending, and asks to be polled seldom.

    Attributes:
        seconds: For how long, from the first time that it is asked.
        retry_after: Seconds between polls that it asks for.
    """

    seconds: float = 15.0
    retry_after: int = 3
    since: float | None = None

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        now = time.monotonic()
        self.since = now if self.since is None else self.since
        if now > self.since + self.seconds:
            return await exchange.send(await exchange.forward())

        def alter(document: Any) -> None:  # noqa: ANN401 - any JSON
            document["status"] = "pending"
            for challenge in document.get("challenges", ()):
                if challenge["status"] == "valid":
                    challenge["status"] = "processing"

        return await Patch({}, {"Retry-After": str(self.retry_after)}, alter)(exchange)


@dataclass(frozen=True, slots=True)
class Novelties:
    """Adds fields, headers and challenge types that nobody has heard of."""

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        def alter(document: Any) -> None:  # noqa: ANN401 - any JSON
            document["xNovelty"] = {"list": [1, None, "two"], "deep": {"er": True}}
            if isinstance(document.get("challenges"), list):
                document["challenges"] = [
                    UNKNOWN_CHALLENGE,
                    *({**each, "xNovelty": 1} for each in document["challenges"]),
                ]
            if isinstance(document.get("meta"), dict):
                document["meta"]["xNovelty"] = ["?"]

        return await Patch(alter=alter, headers={"X-Novelty": "1"})(exchange)


@dataclass(frozen=True, slots=True)
class Body:
    """Changes the body of an answer: another certificate, say."""

    change: Callable[[bytes], bytes]

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        response = await exchange.forward()
        if response.status >= 400:
            return await exchange.send(response)
        return await exchange.send(replace(response, body=self.change(response.body)))


@dataclass(frozen=True, slots=True)
class Redirect:
    """Sends the client elsewhere: to itself over plain HTTP unless a place is given."""

    to: str = ""
    status: int = 302

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        place = self.to or exchange.insecure_base + exchange.request.path
        return await exchange.send(Response(self.status, {"Location": place}, b""))


@dataclass(frozen=True, slots=True)
class Insecure:
    """Names every resource over plain HTTP, at a place where it is really answered."""

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        response = await exchange.forward()
        secure = f"https://{exchange.request.host}".encode()
        base = exchange.insecure_base.encode()
        return await exchange.send(replace(response, body=response.body.replace(secure, base)))


@dataclass(frozen=True, slots=True)
class Endless:
    """A body of that many bytes, all of them white space, as fast as the client takes them."""

    size: int = 1 << 30
    status: int = 200

    async def __call__(self, exchange: Exchange) -> web.StreamResponse:
        headers = {"Content-Type": "application/json", "Replay-Nonce": "AAAA"}
        stream = web.StreamResponse(status=self.status, headers=headers)
        stream.content_length = self.size
        await stream.prepare(exchange.request)
        for _ in range(self.size // len(PIECE)):
            await stream.write(PIECE)
        await stream.write(PIECE[: self.size % len(PIECE)])
        return stream


# What authorities are known to answer, by name.
ANSWERS: Mapping[str, Answer] = {
    "rate-limited": Answer(
        429,
        "rateLimited",
        "too many certificates (5) already issued for this exact set of identifiers",
        retry_after=30,
    ),
    "busy": Answer(503, "serverInternal", "Service busy; retry later.", retry_after=30),
    "paused": Answer(
        429,
        "rateLimited",
        "Your account is temporarily prevented from requesting certificates for these names "
        "and possibly others. Please visit: "
        "https://portal.example.org/sfe/v1/unpause?jwt=eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
    ),
    "already-replaced": Answer(
        409, "alreadyReplaced", "cannot indicate an order replaces a certificate twice"
    ),
    "user-action-required": Answer(
        403,
        "userActionRequired",
        "Terms of service have changed",
        headers={"Link": '<https://example.org/terms/v2>;rel="terms-of-service"'},
    ),
    "account-does-not-exist": Answer(
        400, "accountDoesNotExist", "Account is not known to this server"
    ),
    "caa": Answer(403, "caa", "CAA record for the name prevents issuance"),
    "bad-nonce": Answer(400, "badNonce", "JWS has an invalid anti-replay nonce"),
}


def _hang_up(exchange: Exchange) -> web.StreamResponse:
    transport = exchange.request.transport
    if transport is not None:
        transport.abort()
    raise asyncio.CancelledError
