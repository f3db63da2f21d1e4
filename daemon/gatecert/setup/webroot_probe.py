"""Proof that port 80 of this host serves a directory: a file is put there and fetched."""

from __future__ import annotations

import http.client
import secrets
import socket
import ssl
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from gatecert.challenge.webroot import DIRECTORY, publish, withdraw
from gatecert.errors import ChallengeError
from gatecert.setup.host import HTTP, HTTPS
from gatecert.setup.server_plan import FORWARDED

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
        return _follow(token, hostname, address) == content.encode()
    finally:
        withdraw(webroot, token)


def is_forwarded(hostname: str, *, address: str = "127.0.0.1") -> bool:
    """Tell whether port 80 forwards a request for an http-01 response to gatecert's own port.

    Args:
        hostname: The name that is asked for.
        address: The address to connect to.
    """
    host, _, port = FORWARDED.rpartition(":")
    token, content = secrets.token_urlsafe(24), secrets.token_urlsafe(24).encode()
    try:
        listener = socket.create_server((host, int(port)))
    except OSError:
        return False
    with listener:
        listener.settimeout(TIMEOUT)
        answering = threading.Thread(target=_answer_once, args=(listener, content), daemon=True)
        answering.start()
        found = _follow(token, hostname, address)
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread if nobody has come
        answering.join()
    return found == content


def _answer_once(listener: socket.socket, content: bytes) -> None:
    """Answer one request."""
    with suppress(OSError):
        forwarded, _ = listener.accept()
        with forwarded:
            forwarded.settimeout(TIMEOUT)
            forwarded.recv(4096)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\nConnection: close"
            forwarded.sendall(f"{head}\r\n\r\n".encode() + content)


def _follow(token: str, hostname: str, address: str) -> bytes | None:
    """Fetch a response as a CA does; return it, or None if there is none."""
    url = f"http://{hostname}/{DIRECTORY}/{token}"
    for _ in range(MOST_REDIRECTS):
        answer = _fetch(url, hostname, address)
        if answer is None or isinstance(answer, bytes):
            return answer
        url = urljoin(url, answer)
    return None


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
