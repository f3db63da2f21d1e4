"""HTTPS requests to one CA, on ``http.fetcher``: https:// only, bounded in size and time.

Every URL is https://, wherever it comes from: configuration, directory, resource or redirect
(RFC 8555 section 6.1, CVE-2025-54799). A signed POST is made for one URL and follows no redirect.

A CA that demands a client certificate ends the TLS handshake with an alert. nginx ends it well, and
answers every request with 400 and a page that says so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from gatecert import container
from gatecert.acme.protocol import stopping_error
from gatecert.errors import (
    AuthorityError,
    AuthorityUnreachableError,
    ClientCertificateError,
    DeadlineExceededError,
    InsecureURLError,
    clean,
)
from gatecert.http.adapter import CONNECTIONS
from gatecert.http.fetcher import FailureKind, FetchError, HttpFetcher, Response

if TYPE_CHECKING:
    from pathlib import Path

    from requests.adapters import BaseAdapter

    from gatecert.deadline import Deadline
    from gatecert.http.client_certificate import ClientCertificate

MAX_BODY_BYTES = 1 << 20  # the longest legitimate response is a chain of a few kilobytes
REQUEST_SECONDS = 30.0  # for a whole request
BAD_REQUEST = 400

_REFUSED_BY_NGINX = re.compile(rb"<title>400 ([\w ]*SSL certificate[\w ]*)</title>")
_FILES = "authorities.{name}.client_certificate and client_key"
_CHECK_URL = "check authorities.{name}.directory_url"
_FIXES = {
    FailureKind.FORBIDDEN_URL: f"{_CHECK_URL}, or ask the CA",
    FailureKind.REDIRECT: _CHECK_URL,
    FailureKind.UNREADABLE_ROOTS: "set authorities.{name}.ca_bundle to a readable PEM file",
    FailureKind.UNTRUSTED: "for a private or test CA, set authorities.{name}.ca_bundle to a PEM"
    " file with its root",
    FailureKind.UNUSABLE_CLIENT_CERTIFICATE: f"correct {_FILES}",
    FailureKind.UNRESOLVED: "check this machine's resolver",
    FailureKind.PROXY: "start the proxy, correct HTTPS_PROXY or ALL_PROXY, or add {host} to"
    " NO_PROXY",
    FailureKind.SOCKS_MISSING: "install gatecert[socks], or set HTTPS_PROXY to an HTTP proxy",
}


class Sender(Protocol):
    """The part of a transport that the ACME client uses."""

    def send(
        self, method: str, url: str, *, deadline: Deadline, body: bytes | None = None
    ) -> Response:
        """Send one request and read its response; ``body`` is a JWS."""
        ...


class AcmeTransport:
    """HTTPS to one CA; safe to use from several threads.

    Args:
        name: The CA's name in the configuration, for messages.
        ca_bundle: PEM file with the trust anchors for its HTTPS; None means the system's.
        client_certificate: For a CA that demands one.
        adapter: Sends requests in place of the network.
        request_seconds: The time a whole request may take.
        connections: The number of connections that are kept alive.
        fetcher: Fetches in place of one with the usual limits.
    """

    def __init__(  # noqa: PLR0913 - each sets something else
        self,
        name: str,
        ca_bundle: Path | None = None,
        *,
        client_certificate: ClientCertificate | None = None,
        adapter: BaseAdapter | None = None,
        request_seconds: float = REQUEST_SECONDS,
        connections: int = CONNECTIONS,
        fetcher: HttpFetcher | None = None,
    ) -> None:
        self._name = name
        self._request_seconds = request_seconds
        self._fetcher = fetcher or HttpFetcher(
            "https",
            max_bytes=MAX_BODY_BYTES,
            ca_bundle=ca_bundle,
            client_certificate=client_certificate,
            adapter=adapter,
            connections=connections,
        )

    def send(
        self, method: str, url: str, *, deadline: Deadline, body: bytes | None = None
    ) -> Response:
        """Send one request and read its response.

        Raises:
            InsecureURLError: ``url``, or the target of a redirect, is not https://.
            AuthorityUnreachableError: There is no response, or no usable one.
            ClientCertificateError: The CA refuses the client certificate, or it cannot be used.
            DeadlineExceededError: ``deadline`` passed.
            InterruptedOrderError: ``deadline`` was cancelled.
        """
        try:
            response = self._fetcher.fetch(
                method,
                url,
                deadline=deadline.sooner(self._request_seconds),
                headers={} if body is None else {"Content-Type": "application/jose+json"},
                body=body,
            )
        except FetchError as error:
            raise self._error(error, deadline) from error
        page = _REFUSED_BY_NGINX.search(response.body) if response.status == BAD_REQUEST else None
        if page is not None:
            raise self._refused(response.url, page[1].decode("ascii"))
        return response

    def _refused(self, url: str, reason: str) -> ClientCertificateError:
        return ClientCertificateError(
            f"{label(self._name, url)} refuses the client certificate: {reason}",
            fix=f"set {_FILES.format(name=self._name)} to a pair that the CA accepts and that has"
            " not ended",
        )

    def _error(self, failure: FetchError, deadline: Deadline) -> AuthorityError:
        fix = _FIXES.get(failure.kind, "")
        if failure.kind is FailureKind.FORBIDDEN_URL:
            text = f"CA {self._name}: {failure.reason}; nothing was sent there"
            return InsecureURLError(text, fix=fix.format(name=self._name))
        host = clean(urlsplit(failure.url).hostname or "", 255)
        fix = fix.format(name=self._name, host=host)
        who = label(self._name, failure.url)
        if failure.kind is FailureKind.TIMEOUT:
            return self._timeout(who, deadline)
        if failure.kind is FailureKind.UNREADABLE_ROOTS:
            return AuthorityError(f"CA {self._name}: {failure.reason}", fix=fix)
        if failure.kind is FailureKind.UNUSABLE_CLIENT_CERTIFICATE:
            text = f"CA {self._name}: {failure.reason}, so nothing was sent"
            return ClientCertificateError(text, fix=fix)
        if failure.kind is FailureKind.CLIENT_CERTIFICATE_REFUSED:
            return self._refused(failure.url, failure.reason)
        if failure.kind is FailureKind.EXPIRED:
            fix = _set_clock()
        through = f" through the proxy {failure.proxy}" if failure.proxy else ""
        text = f"{who} cannot be reached{through}: {failure.reason}"
        return AuthorityUnreachableError(text, fix=fix)

    def _timeout(self, who: str, deadline: Deadline) -> AuthorityError:
        if deadline.interrupted:
            return stopping_error()
        if deadline.passed:
            return DeadlineExceededError(f"{who} took longer than the whole operation may take")
        return AuthorityUnreachableError(
            f"{who} did not answer in full within {self._request_seconds:g} s"
        )


def label(name: str, url: str) -> str:
    """Name a CA in messages: its name in the configuration, and its host."""
    return f"CA {name} ({clean(urlsplit(url).netloc, 255) or 'no host'})"


def _set_clock() -> str:
    return container.fix_for(
        host="set the clock of this machine if it is wrong (timedatectl)",
        container="set the clock of the container's host if it is wrong",
    )
