"""Proof that port 80 of this host serves a directory: a file is put there and fetched."""

from __future__ import annotations

import http.client
import secrets
import socket
import ssl
from contextlib import closing
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from gatecert.challenge.webroot import DIRECTORY, publish, withdraw
from gatecert.errors import ChallengeError
from gatecert.setup.haproxy_settings import FORWARDED
from gatecert.setup.host import HTTP, HTTPS

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT: Final = 5.0  # seconds for one request
MOST_REDIRECTS: Final = 10  # as Boulder follows them


def is_served(webroot: Path, hostname: str, *, address: str = "127.0.0.1") -> bool:
    """Put a file below a directory, fetch it as a CA does, and remove it.

    Redirects to https:// are followed without checking the certificate, as CAs do it.

    Args:
        webroot: The directory.
        hostname: The name that is asked for.
        address: The address to connect to.
    """
    token, content = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    try:
        publish(webroot, token, content)
    except ChallengeError:
        return False
    try:
        url = f"http://{hostname}/{DIRECTORY}/{token}"
        for _ in range(MOST_REDIRECTS):
            answer = _fetch(url, hostname, address)
            if answer is None or isinstance(answer, bytes):
                return answer == content.encode()
            url = urljoin(url, answer)
        return False
    finally:
        withdraw(webroot, token)


def is_forwarded(hostname: str, *, address: str = "127.0.0.1") -> bool:
    """Tell whether port 80 forwards a request for an http-01 response to gatecert's own port.

    Args:
        hostname: The name that is asked for.
        address: The address to connect to.
    """
    host, _, port = FORWARDED.rpartition(":")
    content = secrets.token_urlsafe(24).encode()
    try:
        with (
            socket.create_server((host, int(port))) as listener,
            closing(http.client.HTTPConnection(address, HTTP, timeout=TIMEOUT)) as connection,
        ):
            listener.settimeout(TIMEOUT)
            connection.request("GET", f"/{DIRECTORY}/gatecert", headers={"Host": hostname})
            forwarded, _ = listener.accept()
            with forwarded:
                forwarded.settimeout(TIMEOUT)
                forwarded.recv(4096)
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\nConnection: close"
                forwarded.sendall(f"{head}\r\n\r\n".encode() + content)
                return connection.getresponse().read(1024) == content
    except (OSError, http.client.HTTPException):
        return False


def _fetch(url: str, hostname: str, address: str) -> bytes | str | None:
    """Return what is at a URL, or the URL that it redirects to; None if there is neither."""
    parts = urlsplit(url)
    if parts.hostname != hostname or parts.scheme not in {"http", "https"}:
        return None
    port = parts.port or (HTTPS if parts.scheme == "https" else HTTP)
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT)
    try:
        if parts.scheme == "https":
            connection.connect()
            connection.sock = _any_certificate().wrap_socket(
                connection.sock, server_hostname=hostname
            )
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Host": hostname})
        response = connection.getresponse()
        if response.status in {301, 302, 303, 307, 308}:
            return response.getheader("Location")
        return response.read(1024) if response.status == http.client.OK else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _any_certificate() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # as CAs follow redirects
    return context
