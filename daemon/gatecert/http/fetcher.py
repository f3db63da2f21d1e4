"""HTTP and HTTPS requests to hosts that may be slow, broken or hostile.

ACME requests (``acme.transport``) and CRL downloads (``revocation.crl_download``) use this module.

- Every URL has the one scheme that the fetcher was made for, redirects included. Only GET and HEAD
  follow redirects, five at most or as many as the fetcher allows, and a redirect's body is not
  read. The log does not show the query of a URL, which may contain a password.
- One deadline covers a whole request (``adapter``).
- A body has a maximum size and is not decompressed.
- The environment names proxies (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY) and nothing else: no
  .netrc, no trust anchors. No error repeats a proxy's password. No cookie is kept.
- Connections are kept alive, but one that has been idle for long is not reused.
- A client certificate is read again when its files have changed. If they cannot be used then, as
  between the replacement of one and of the other, the former one is used.
"""

from __future__ import annotations

import logging
import re
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import requests
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

from gatecert import __version__
from gatecert.errors import CertificateError, clean
from gatecert.http.adapter import (
    CONNECTIONS,
    DeadlineAdapter,
    RootsError,
    current_deadline,
    tls_context,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from requests.adapters import BaseAdapter

    from gatecert.deadline import Deadline
    from gatecert.http.client_certificate import ClientCertificate, Stamp

logger = logging.getLogger(__name__)

USER_AGENT = f"gatecert/{__version__}"
CONNECT_SECONDS = 5.0  # per address; also for the TLS handshake
IDLE_SECONDS = 30.0  # servers commonly close idle connections after a minute
MAX_HOSTS = 1000  # of which the proxies are remembered
MAX_REDIRECTS = 5
REDIRECTS = {301, 302, 303, 307, 308}

# Alerts about a client certificate (RFC 8446 section 6.2), by OpenSSL's names of the reasons.
_CLIENT_ALERTS = re.compile(
    r"ALERT_(CERTIFICATE_\w+|(?:BAD|UNSUPPORTED)_CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)$"
)

# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED in openssl/x509_vfy.h.
_VALIDITY_ERRORS = {9, 10}

_INVALID_PROXY_URL = (LocationParseError, requests.exceptions.InvalidProxyURL)
_PROXY_ERRORS = (  # with a proxy, every connection is made to the proxy
    *_INVALID_PROXY_URL,
    ProxyError,
    ProxySchemeUnknown,
    ConnectTimeoutError,
)


class FailureKind(Enum):
    """The reason of a failed fetch."""

    FORBIDDEN_URL = auto()
    REDIRECT = auto()
    TIMEOUT = auto()
    TOO_LARGE = auto()
    UNREADABLE_ROOTS = auto()
    UNTRUSTED = auto()
    EXPIRED = auto()
    UNUSABLE_CLIENT_CERTIFICATE = auto()
    CLIENT_CERTIFICATE_REFUSED = auto()
    UNRESOLVED = auto()
    PROXY = auto()
    SOCKS_MISSING = auto()
    CONNECTION = auto()


@dataclass(eq=False)
class FetchError(Exception):
    """A fetch that failed; users turn it into an error for the operator.

    Attributes:
        url: The URL in question, which may be the target of a redirect.
        reason: A few words, cleaned.
        proxy: The proxy that a failed connection went through, without credentials.
        status: HTTP status of a response that is too large; 0 otherwise.
    """

    kind: FailureKind
    url: str
    reason: str
    proxy: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response, read in full.

    Attributes:
        headers: Names in any case.
        url: The final URL, after redirects.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class HttpFetcher:
    """Fetches over one scheme; safe to use from several threads.

    Args:
        scheme: ``http`` or ``https``.
        max_bytes: Largest body.
        ca_bundle: PEM file with the trust anchors for HTTPS; None means the system's.
        client_certificate: For servers that demand one.
        adapter: Sends requests in place of the network.
        connections: The number of connections to one host that are kept alive.
        connect_seconds: The time to connect to one address.
        idle_seconds: Connections that were idle for longer are not used again.
        redirects: How many redirects are followed; none where a request contains a password.
    """

    def __init__(  # noqa: PLR0913 - each limits something else
        self,
        scheme: str,
        *,
        max_bytes: int,
        ca_bundle: Path | None = None,
        client_certificate: ClientCertificate | None = None,
        adapter: BaseAdapter | None = None,
        connections: int = CONNECTIONS,
        connect_seconds: float = CONNECT_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        redirects: int = MAX_REDIRECTS,
    ) -> None:
        self._redirects = redirects
        self._connect_seconds = connect_seconds
        self._idle_seconds = idle_seconds
        self._scheme = scheme
        self._max_bytes = max_bytes
        self._ca_bundle = ca_bundle
        self._client_certificate = client_certificate
        self._stamp: Stamp = ()
        self._adapter = adapter
        self._connections = connections
        self._lock = threading.Lock()
        self._proxies: dict[str, dict[str, str]] = {}
        self._last_use = time.monotonic()

    def _connected(self) -> BaseAdapter:
        """Return what sends requests; threads that begin together share its connections."""
        client = self._client_certificate
        with self._lock:
            stamp = client.stamp() if client is not None else ()
            if self._adapter is None or stamp != self._stamp:
                self._adapter = self._reconnected()
                self._stamp = stamp
            return self._adapter

    def _reconnected(self) -> BaseAdapter:
        """Return connections with the files as they are now; former ones if they are unusable."""
        if self._scheme != "https":
            return DeadlineAdapter(None, self._connections)
        try:
            context = tls_context(self._ca_bundle, self._client_certificate)
        except CertificateError as error:
            if self._adapter is None:
                raise
            logger.warning("former client certificate still used error=%s", error)
            return self._adapter
        return DeadlineAdapter(context, self._connections)

    def fetch(
        self,
        method: str,
        url: str,
        *,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """Send a request and read the response, following redirects of GET and HEAD.

        Raises:
            FetchError: There is no usable response.
        """
        request = partial(self._exchange, method, headers=headers or {}, body=body)
        for _ in range(self._redirects + 1):
            response = self._within(deadline, url, request)
            location = response.headers.get("Location", "")
            if response.status not in REDIRECTS or not location:
                return response
            if method not in {"GET", "HEAD"}:
                raise FetchError(FailureKind.REDIRECT, url, f"it redirects a {method}")
            url = resolve_url(url, location) or location
        reason = "too many redirects" if self._redirects else "it redirects"
        raise FetchError(FailureKind.REDIRECT, url, reason)

    def close(self) -> None:
        """Close idle connections."""
        self._connected().close()

    def _within(
        self, deadline: Deadline, url: str, request: Callable[[str, Deadline], Response]
    ) -> Response:
        if not is_fetchable(url, self._scheme):
            reason = f"{clean(url, 200)!r} is not an {self._scheme}:// URL"
            raise FetchError(FailureKind.FORBIDDEN_URL, url, reason)
        token = current_deadline.set(deadline)
        try:
            if time.monotonic() - self._last_use > self._idle_seconds:
                self.close()
            if deadline.passed:
                raise TimeoutError
            return request(url, deadline)
        except RootsError as error:
            raise FetchError(FailureKind.UNREADABLE_ROOTS, url, str(error)) from error
        except CertificateError as error:
            kind = FailureKind.UNUSABLE_CLIENT_CERTIFICATE
            raise FetchError(kind, url, error.message) from error
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # ValueError: raised by the libraries for some URLs that cannot be sent anywhere.
            if deadline.passed:
                raise FetchError(FailureKind.TIMEOUT, url, "no answer in time") from error
            raise _failure(url, error) from error
        finally:
            self._last_use = time.monotonic()
            current_deadline.reset(token)

    def _exchange(
        self,
        method: str,
        url: str,
        deadline: Deadline,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Response:
        connect = max(deadline.within(self._connect_seconds), 0.001)  # zero would mean non-blocking
        # The adapter alone: a session would merge settings and keep cookies for each request.
        response = self._connected().send(
            _request(method, url, headers, body),
            stream=True,
            timeout=(connect, max(deadline.remaining, 0.001)),
            proxies=self._proxies_for(url),
        )
        content = b""
        try:
            if response.status_code not in REDIRECTS:
                content = self._read(response, url, deadline)
                response.raw.release_conn()
        finally:
            response.close()  # hangs up unless the connection was released
        shown = url.partition("?")[0]
        logger.debug("request method=%s url=%s status=%d", method, shown, response.status_code)
        return Response(response.status_code, CaseInsensitiveDict(response.headers), content, url)

    def _proxies_for(self, url: str) -> dict[str, str]:
        """Return the proxies for a URL; the environment is read once for each host."""
        host = urlsplit(url).netloc
        found = self._proxies.get(host)
        if found is None:
            if len(self._proxies) >= MAX_HOSTS:
                self._proxies.clear()
            found = self._proxies[host] = get_environ_proxies(url)
        return found

    def _read(self, response: requests.Response, url: str, deadline: Deadline) -> bytes:
        content = bytearray()
        while piece := response.raw.read1(1 << 16, decode_content=False):
            content += piece
            if len(content) > self._max_bytes:
                reason = f"the response has more than {self._max_bytes >> 20} MiB"
                status = response.status_code
                raise FetchError(FailureKind.TOO_LARGE, url, reason, status=status)
            if deadline.passed:
                raise TimeoutError
        return bytes(content)


def _request(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None
) -> requests.PreparedRequest:
    prepared = requests.PreparedRequest()
    prepared.prepare_method(method)
    prepared.prepare_url(url, None)
    prepared.prepare_headers({"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers})
    prepared.prepare_body(body, None)
    return prepared


def is_fetchable(url: str, scheme: str) -> bool:
    """Check that a URL has this scheme and a host, and neither credentials nor a bad port."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme == scheme
            and bool(parts.hostname)
            and parts.username is None
            and parts.port != 0  # ValueError if it is not a number, or too large
        )
    except ValueError:
        return False


def resolve_url(base: str, reference: str) -> str | None:
    """Resolve a URL reference (RFC 3986 section 5); None if it is malformed."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return None


def _failure(url: str, error: Exception) -> FetchError:
    """Classify an exception of the libraries."""
    causes = list(_causes(error))
    reason = _reason(causes[-1])
    proxy = _proxy(url)
    for cause in causes:
        if proxy and isinstance(cause, requests.exceptions.InvalidSchema):
            text = f"the proxy {proxy} is a SOCKS proxy, and PySocks is not installed"
            return FetchError(FailureKind.SOCKS_MISSING, url, text)
        if proxy and isinstance(cause, _PROXY_ERRORS):
            # The libraries' text about a malformed URL repeats it with its password.
            why = "its URL is malformed" if isinstance(cause, _INVALID_PROXY_URL) else reason
            return FetchError(FailureKind.PROXY, url, f"the proxy {proxy} does not work: {why}")
        if isinstance(cause, ssl.SSLCertVerificationError):
            expired = cause.verify_code in _VALIDITY_ERRORS
            kind = FailureKind.EXPIRED if expired else FailureKind.UNTRUSTED
            text = f"its TLS certificate is not trusted: {cause.verify_message}"
            return FetchError(kind, url, text)
        if isinstance(cause, ssl.SSLError) and (alert := _CLIENT_ALERTS.search(cause.reason or "")):
            words = alert[1].replace("_", " ").lower()
            return FetchError(FailureKind.CLIENT_CERTIFICATE_REFUSED, url, words)
        if isinstance(cause, NameResolutionError):
            return FetchError(FailureKind.UNRESOLVED, url, "its name does not resolve")
    return FetchError(FailureKind.CONNECTION, url, reason, proxy)


def _reason(root: BaseException) -> str:
    reason = root.strerror if isinstance(root, OSError) and root.strerror else str(root)
    return clean(reason, 200) or type(root).__name__


def _proxy(url: str) -> str:
    """Return the proxy for a URL, without credentials; empty if there is none."""
    try:
        found = select_proxy(url, get_environ_proxies(url)) or ""
    except ValueError:  # malformed URL
        return ""
    address = found.partition("://")[2] or found
    return clean(address.rpartition("@")[2].rstrip("/"), 255)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and its causes, outermost first; urllib3 has them in ``reason`` or args."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        inner = getattr(current, "reason", None)
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in current.args if isinstance(arg, BaseException)), None)
        current = inner or current.__cause__ or current.__context__
