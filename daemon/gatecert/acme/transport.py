"""HTTPS to a certificate authority that cannot be led astray, drowned or kept waiting.

- Every URL is https://, wherever it comes from: configuration, directory, resource or redirect
  (RFC 8555 section 6.1, CVE-2025-54799). Only GET and HEAD follow redirects; a signed POST is
  made for one URL.
- A request has one deadline in all. A timeout between two bytes is not enough: an authority that
  drips one byte a second would keep us for ever. So the TLS socket itself asks how much time is
  left before each read, which covers status line, headers and body alike, and notices within half
  a second that gatecert is stopping.
- A body has a cap, is not decompressed, and is read before anything is made of it.
- A proxy is taken from HTTPS_PROXY or ALL_PROXY, exceptions from NO_PROXY; an error names the proxy
  where that is what fails, without its password.
- Connections are kept alive, but one that has idled for long is not trusted with a POST.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urljoin, urlsplit

import certifi
import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    NameResolutionError,
    ProxyError,
    ProxySchemeUnknown,
)

from gatecert import __version__, container
from gatecert.errors import (
    AuthorityError,
    AuthorityUnreachableError,
    DeadlineExceededError,
    InsecureURLError,
    InterruptedOrderError,
    clean,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatecert.deadline import Deadline

logger = logging.getLogger(__name__)

USER_AGENT = f"gatecert/{__version__}"
MAX_BODY_BYTES = 1 << 20  # bytes; the longest honest answer is a chain of a few kilobytes
CONNECT_SECONDS = 5.0  # an address; also the TLS handshake
REQUEST_SECONDS = 30.0  # a request in all
IDLE_SECONDS = 30.0  # servers commonly hang up after a minute
SLICE_SECONDS = 0.5  # how soon a stopping gatecert is noticed
MAX_REDIRECTS = 5

# Not valid yet, and no longer: 9 and 10 of openssl/x509_vfy.h.
_OF_ANOTHER_TIME = frozenset({9, 10})


def _set_clock() -> str:
    return container.fix_for(
        host="set the clock of this machine, if it is not right (timedatectl)",
        container="set the clock of the container's host, if it is not right",
    )


# With a proxy, every connection is made to the proxy.
_NO_PROXY_URL = (LocationParseError, requests.exceptions.InvalidProxyURL)
_PROXY_FAILS = (
    *_NO_PROXY_URL,
    ProxyError,
    ProxySchemeUnknown,
    ConnectTimeoutError,
    requests.exceptions.InvalidSchema,
)

_deadline: ContextVar[Deadline] = ContextVar("deadline")


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer, read in full.

    Attributes:
        headers: Names in any case.
        url: Where it came from in the end.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Sender(Protocol):
    """What the client needs of a transport."""

    def send(
        self, method: str, url: str, *, deadline: Deadline, body: bytes | None = None
    ) -> Response:
        """Send one request and read its answer; ``body`` is a JWS."""
        ...


class DeadlineSocket(ssl.SSLSocket):
    """A TLS socket whose reads share the deadline of the request in hand."""

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:  # noqa: ANN401 - as in ssl
        """Read once, or raise TimeoutError when no time is left."""
        deadline = _deadline.get()
        while not deadline.passed:
            self.settimeout(deadline.within(SLICE_SECONDS))
            try:
                return super().recv_into(buffer, nbytes, flags)
            except TimeoutError:
                continue
        raise TimeoutError("the total deadline has passed")


class PinnedTrustAdapter(HTTPAdapter):
    """Connections that trust what one TLS context trusts, and nothing that the environment adds."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in requests
        """Direct connections use the context."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - as in requests
        """So do those through a proxy."""
        return super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in requests
        """Nothing to add: the context requires a trusted certificate with the right name."""


class _Session(requests.Session):
    """Leaves redirects alone: the library would read their bodies whole, whatever their size."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Nowhere; `HardenedTransport.send` follows them."""


class HardenedTransport:
    """HTTPS to one authority, for any number of threads at once.

    Args:
        name: The authority's name in the configuration, for messages.
        ca_bundle: PEM file with the roots to trust; None means the system's.
    """

    def __init__(self, name: str, ca_bundle: Path | None = None) -> None:
        self._name = name
        self._ca_bundle = ca_bundle
        self._last_use = time.monotonic()

    @cached_property
    def _session(self) -> requests.Session:
        session = _Session()
        session.trust_env = False  # neither .netrc nor REQUESTS_CA_BUNDLE
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        session.headers.clear()
        session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "identity"})
        session.adapters.clear()
        session.mount("https://", PinnedTrustAdapter(_trust(self._name, self._ca_bundle)))
        return session

    def send(
        self, method: str, url: str, *, deadline: Deadline, body: bytes | None = None
    ) -> Response:
        """Send one request and read its answer.

        Raises:
            InsecureURLError: ``url``, or where it redirects to, is not https://.
            AuthorityUnreachableError: There was no answer, or one that cannot be used.
            DeadlineExceededError: ``deadline`` passed.
            InterruptedOrderError: It was cancelled.
        """
        request_deadline = deadline.sooner(REQUEST_SECONDS)
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._send_once(method, url, body, request_deadline, deadline)
            location = answer.headers.get("Location", "")
            if not (300 <= answer.status < 400 and location):  # noqa: PLR2004 - HTTP's redirections
                return answer
            url = resolved(url, location) or location
            require_https(self._name, url)
            if method not in {"GET", "HEAD"}:
                break
        raise AuthorityUnreachableError(
            f"{label(self._name, url)} answers {method} with redirects that lead nowhere",
            fix=f"check authorities.{self._name}.directory_url",
        )

    def _send_once(
        self, method: str, url: str, body: bytes | None, request: Deadline, whole: Deadline
    ) -> Response:
        require_https(self._name, url)
        self._hang_up_if_idle()
        token = _deadline.set(request)
        try:
            if request.passed:
                raise self._no_time_left(url, whole)
            return self._exchange(method, url, body, request)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # ValueError: what the libraries say of some URLs that cannot be sent anywhere.
            if request.passed:
                raise self._no_time_left(url, whole) from error
            raise self._unreachable(url, error) from error
        finally:
            self._last_use = time.monotonic()
            _deadline.reset(token)

    def _exchange(self, method: str, url: str, body: bytes | None, deadline: Deadline) -> Response:
        seconds = max(deadline.within(CONNECT_SECONDS), 0.001)  # zero would mean non-blocking
        response = self._session.request(
            method,
            url,
            data=body,
            headers={} if body is None else {"Content-Type": "application/jose+json"},
            allow_redirects=False,
            stream=True,
            timeout=(seconds, max(deadline.remaining, 0.001)),
            proxies=get_environ_proxies(url),
        )
        try:
            content = b"".join(self._pieces(response, url, deadline))
        except BaseException:
            response.close()
            raise
        response.raw.release_conn()
        headers = CaseInsensitiveDict(response.headers)
        logger.debug("request method=%s url=%s status=%d", method, url, response.status_code)
        return Response(response.status_code, headers, content, url)

    def _pieces(self, response: requests.Response, url: str, deadline: Deadline) -> Iterator[bytes]:
        size = 0
        while piece := response.raw.read1(1 << 16, decode_content=False):
            size += len(piece)
            if size > MAX_BODY_BYTES:
                raise AuthorityUnreachableError(
                    f"{label(self._name, url)} sends more than {MAX_BODY_BYTES >> 20} MiB; "
                    "that is no ACME answer and was cut off"
                )
            if deadline.passed:
                raise TimeoutError("the total deadline has passed")
            yield piece

    def _hang_up_if_idle(self) -> None:
        if time.monotonic() - self._last_use > IDLE_SECONDS:
            for adapter in self._session.adapters.values():
                adapter.close()

    def _no_time_left(self, url: str, whole: Deadline) -> AuthorityError:
        if whole.interrupted:
            return stopping_error()
        if whole.passed:
            return DeadlineExceededError(
                f"{label(self._name, url)} took longer than the operation may take in all"
            )
        return AuthorityUnreachableError(
            f"{label(self._name, url)} had not answered in full after {REQUEST_SECONDS:.0f} s"
        )

    def _unreachable(self, url: str, error: Exception) -> AuthorityUnreachableError:
        who = label(self._name, url)
        causes = list(_causes(error))
        proxy = _proxy(url)
        for cause in causes:
            if proxy and isinstance(cause, _PROXY_FAILS):
                return self._proxy_fails(url, proxy, cause, causes[-1])
            if isinstance(cause, ssl.SSLCertVerificationError):
                return AuthorityUnreachableError(
                    f"{who} has a TLS certificate that is not trusted: {cause.verify_message}",
                    fix=_set_clock()
                    if cause.verify_code in _OF_ANOTHER_TIME
                    else f"if that is a private or test authority, set "
                    f"authorities.{self._name}.ca_bundle to a PEM file with its root",
                )
            if isinstance(cause, NameResolutionError):
                return AuthorityUnreachableError(
                    f"{who} cannot be found: its name does not resolve",
                    fix="check this machine's resolver",
                )
        through = f" through the proxy {proxy}" if proxy else ""
        return AuthorityUnreachableError(f"{who} cannot be reached{through}: {_reason(causes[-1])}")

    def _proxy_fails(
        self, url: str, proxy: str, cause: BaseException, root: BaseException
    ) -> AuthorityUnreachableError:
        beyond = f"{label(self._name, url)} cannot be reached through it"
        if isinstance(cause, requests.exceptions.InvalidSchema):
            return AuthorityUnreachableError(
                f"the proxy {proxy} is a SOCKS proxy, and PySocks is not installed; {beyond}",
                fix="install gatecert[socks], or set HTTPS_PROXY to an HTTP proxy",
            )
        host = clean(urlsplit(url).hostname or "", 255)
        # What the libraries say of a URL repeats it with its password.
        why = "that is no URL" if isinstance(cause, _NO_PROXY_URL) else _reason(root)
        return AuthorityUnreachableError(
            f"the proxy {proxy} does not work: {why}; {beyond}",
            fix="start the proxy or correct HTTPS_PROXY (or ALL_PROXY) in gatecert's environment,"
            f" or add {host} to NO_PROXY",
        )


def _reason(root: BaseException) -> str:
    """What an error comes down to, in a few words."""
    reason = root.strerror if isinstance(root, OSError) and root.strerror else str(root)
    return clean(reason, 200) or type(root).__name__


def _proxy(url: str) -> str:
    """The proxy that a URL is reached through, without credentials; empty where there is none."""
    try:
        found = select_proxy(url, get_environ_proxies(url)) or ""
    except ValueError:  # of a URL that makes no sense
        return ""
    address = found.partition("://")[2] or found
    return clean(address.rpartition("@")[2].rstrip("/"), 255)


def label(name: str, url: str) -> str:
    """How messages name an authority: its name in the configuration, and the host."""
    return f"authority {name} ({clean(urlsplit(url).netloc, 255) or 'no host'})"


def resolved(base: str, reference: str) -> str | None:
    """The URL that a reference leads to (RFC 3986 section 5); None where it makes no sense."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return None


def stopping_error() -> InterruptedOrderError:
    """What is raised wherever a stopping gatecert leaves an operation."""
    return InterruptedOrderError("gatecert is stopping; the order goes on at the next start")


def require_https(name: str, url: str) -> None:
    """Refuse anything but https:// with a host and without credentials.

    Raises:
        InsecureURLError: It is something else.
    """
    try:
        parts = urlsplit(url)
        secure = parts.scheme == "https" and bool(parts.hostname) and parts.username is None
        secure = secure and parts.port != 0  # ValueError where it is no port
    except ValueError:
        secure = False
    if not secure:
        raise InsecureURLError(
            f"authority {name}: {clean(url, 200)!r} is not an https:// URL; nothing was sent there",
            fix=f"check authorities.{name}.directory_url, or ask the authority",
        )


def _trust(name: str, ca_bundle: Path | None) -> ssl.SSLContext:
    """A context that checks certificate and host name, with our sockets.

    The system's store is preferred, as administrators add their roots there; a machine without one
    still has the roots that come with certifi.
    """
    paths = ssl.get_default_verify_paths()
    has_store = paths.cafile or (paths.capath and any(os.scandir(paths.capath)))
    cafile = str(ca_bundle) if ca_bundle else None if has_store else certifi.where()
    try:
        context = ssl.create_default_context(cafile=cafile)
    except (OSError, ssl.SSLError) as error:
        raise AuthorityError(
            f"authority {name}: the roots in {cafile} cannot be read: {clean(str(error), 200)}",
            fix=f"set authorities.{name}.ca_bundle to a readable PEM file",
        ) from error
    if ca_bundle:
        # Python 3.13 refuses what OpenSSL and other clients take from private authorities: no AKI,
        # basicConstraints that are not critical.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = DeadlineSocket
    return context


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, outermost first, through urllib3's ``reason`` and ``args``."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        inner = getattr(current, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in current.args if isinstance(arg, BaseException)), None)
        current = inner or current.__cause__ or current.__context__
