"""Downloading revocation lists: plain http, as RFC 5280 has it, from hosts that may be down or bad.

What comes is not trusted before its signature has been checked, so http will do; it would not for
anything else. A download has one deadline in all, which every read of the socket asks for, and a
cap. Redirects are followed over http only. A host that has a list already is asked whether there is
a newer one, which costs next to nothing where there is none (RFC 9110 section 13).
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from gatecert.acme.transport import USER_AGENT
from gatecert.errors import AuthorityUnreachableError, clean

if TYPE_CHECKING:
    from gatecert.deadline import Deadline

MAX_CRL_BYTES = 16 << 20  # bytes; whole lists of large authorities have some millions
PIECE = 1 << 16
LONGEST_VALIDATOR = 200  # characters
NOT_MODIFIED = 304
FIRST_SERVER_ERROR = 500

_PLAIN = re.compile(r"[ -~]*")

UNREACHABLE = (
    "let this machine reach that host over http (port 80), or set renewal.revocation_lists: false"
)
NOT_PUBLISHED = (
    "its host answers, so nothing is wrong with the network: the CA has to publish the list where"
    " its certificates say; tell it, or set renewal.revocation_lists: false"
)
HOST_BROKEN = "nothing here: the list's host has trouble of its own, and is asked again by itself"


@dataclass(frozen=True, slots=True)
class CrlDownload:
    """What a host sent.

    Attributes:
        data: None where the list that is known is still the current one.
        etag: What the host calls it.
        last_modified: When it was made, in the host's words.
    """

    data: bytes | None
    etag: str = ""
    last_modified: str = ""


def download(
    url: str, deadline: Deadline, *, etag: str = "", last_modified: str = ""
) -> CrlDownload:
    """Fetch a list.

    Args:
        url: http://…
        deadline: When to give up.
        etag: What the host called the list that is known.
        last_modified: The same, for hosts without entity tags.

    Raises:
        AuthorityUnreachableError: It cannot be had.
    """
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    headers |= {"If-None-Match": etag} if etag else {}
    headers |= {"If-Modified-Since": last_modified} if last_modified else {}
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http only, see _opener
        with ExitStack() as responses:
            opener = _opener(deadline, responses)
            response = opener.open(request, timeout=max(deadline.remaining, 0.001))
            return CrlDownload(
                _read(response, url),
                _validator(response, "ETag"),
                _validator(response, "Last-Modified"),
            )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == NOT_MODIFIED and (etag or last_modified):
            return CrlDownload(None, etag, last_modified)
        fix = HOST_BROKEN if error.code >= FIRST_SERVER_ERROR else NOT_PUBLISHED
        raise _unreachable(url, f"HTTP {error.code}", fix) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        text = "no answer in time" if isinstance(reason, TimeoutError) else str(reason)
        raise _unreachable(url, text or type(error).__name__) from error


def _read(response: http.client.HTTPResponse, url: str) -> bytes:
    data = bytearray()
    while piece := response.read1(PIECE):
        data += piece
        if len(data) > MAX_CRL_BYTES:
            raise _unreachable(url, f"it has more than {MAX_CRL_BYTES >> 20} MiB")
    if response.length:
        raise _unreachable(url, "it was cut off")
    return bytes(data)


def _validator(response: http.client.HTTPResponse, name: str) -> str:
    """What a host calls a list, as far as it can be said back in a request."""
    value = response.headers.get(name, "").strip()
    return value if len(value) <= LONGEST_VALIDATOR and _PLAIN.fullmatch(value) else ""


def _unreachable(url: str, reason: str, fix: str = UNREACHABLE) -> AuthorityUnreachableError:
    return AuthorityUnreachableError(
        f"the revocation list {clean(url, 200)} cannot be had: {clean(reason, 200)}", fix=fix
    )


class _Redirect(urllib.request.HTTPRedirectHandler):
    """Follows redirects without reading what comes with them, which may have any size."""

    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],  # noqa: ARG002 - closed with all responses
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> Any:  # noqa: ANN401 - as in urllib
        """Go where it leads."""
        return super().http_error_302(req, io.BytesIO(), code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class _DeadlineSocket(socket.socket):
    """A socket whose reads share one deadline, so that no host can drip for ever."""

    deadline: Deadline

    def recv_into(self, *arguments: Any, **named: Any) -> int:  # noqa: ANN401 - as in socket
        """Read once, or raise TimeoutError when no time is left."""
        self.settimeout(max(self.deadline.remaining, 0.001))
        return super().recv_into(*arguments, **named)


def _opener(deadline: Deadline, responses: ExitStack) -> urllib.request.OpenerDirector:
    """What follows http redirects and the environment's proxies, and knows no other scheme.

    Args:
        deadline: For all of it.
        responses: Closes every response, one that redirects to nowhere too.
    """

    class Connection(http.client.HTTPConnection):
        def connect(self) -> None:
            super().connect()
            plain = self.sock
            self.sock = _DeadlineSocket(plain.family, plain.type, plain.proto, plain.detach())
            self.sock.deadline = deadline

    class Http(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return responses.enter_context(self.do_open(Connection, req))

    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        Http(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirect(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
