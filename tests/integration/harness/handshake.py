"""TLS handshakes, as clients make them."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from harness.waiting import wait_until

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

HANDSHAKE_TIMEOUT = 5.0  # seconds
OVERLAP = 1.0  # seconds in which a server that was reloaded may hand over a last connection


def served_certificate(host: str, port: int, name: str, *, trusted: Path | None = None) -> bytes:
    """Return the leaf that a server presents, DER.

    Every handshake proves possession of the key, so a key and a certificate that do
    not match fail here, trusted or not.

    Args:
        host: Address to connect to.
        port: TCP port.
        name: Sent as SNI; checked against the certificate when ``trusted`` is given.
        trusted: Roots, PEM. None accepts any certificate.

    Raises:
        ssl.SSLError: The handshake failed, or the certificate is not trusted.
        OSError: The connection failed.
    """
    context = ssl.create_default_context(cafile=trusted)
    if trusted is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((host, port), HANDSHAKE_TIMEOUT) as connection,
        context.wrap_socket(connection, server_hostname=name) as secured,
    ):
        leaf = secured.getpeercert(binary_form=True)
    if leaf is None:
        raise ssl.SSLError(f"{host}:{port} presented no certificate")
    return leaf


def trusted_certificate(host: str, port: int, name: str, trusted: Path) -> bytes:
    """Return the leaf that a server presents, DER, as soon as it is trusted.

    Raises:
        WaitedTooLongError: It is not trusted within ``OVERLAP`` seconds.
    """

    def leaf() -> bytes:
        try:
            return served_certificate(host, port, name, trusted=trusted)
        except ssl.SSLCertVerificationError:
            return b""

    return wait_until(leaf, f"a trusted certificate at {host}:{port}", seconds=OVERLAP)


def issuer(certificate: bytes) -> str:
    """Return the issuer's name of a certificate (DER), RFC 4514."""
    return x509.load_der_x509_certificate(certificate).issuer.rfc4514_string()


@dataclass(frozen=True, slots=True)
class Handshake:
    """One handshake of a loop.

    Attributes:
        at: On ``time.monotonic()``.
        fingerprint: SHA-256 of the served leaf, empty after a failure.
        error: The reason of a failure, empty after success.
    """

    at: float
    fingerprint: str = ""
    error: str = ""


@dataclass
class HandshakeLoop:
    """Handshakes in the background, one after the other, and their results.

    Attributes:
        interval: Seconds from the start of one handshake to the start of the next.
        trusted: As for ``served_certificate``.
    """

    host: str
    port: int
    name: str
    interval: float = 0.05
    trusted: Path | None = None
    handshakes: list[Handshake] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event, repr=False)
    _thread: threading.Thread | None = field(default=None, repr=False)

    @property
    def failures(self) -> list[Handshake]:
        """The failed handshakes."""
        return [each for each in self.handshakes if each.error]

    @property
    def fingerprints(self) -> list[str]:
        """The served leaves in order, one entry for each change that lasts.

        For ``OVERLAP`` seconds after a change, the leaf before it comes from a process that the
        server has replaced.
        """
        seen: list[str] = []
        changed = 0.0
        for each in self.handshakes:
            overlaps = each.fingerprint in seen[-2:-1] and each.at < changed + OVERLAP
            if each.fingerprint and each.fingerprint not in seen[-1:] and not overlaps:
                seen.append(each.fingerprint)
                changed = each.at
        return seen

    @property
    def rate(self) -> float:
        """The number of handshakes a second."""
        if len(self.handshakes) < 2:
            return 0.0
        return (len(self.handshakes) - 1) / (self.handshakes[-1].at - self.handshakes[0].at)

    def wait_for_leaves(self, count: int, *, seconds: float = 10.0) -> None:
        """Wait until the server has served ``count`` leaves."""
        wait_until(
            lambda: len(self.fingerprints) >= count,
            f"{count} certificates one after the other at {self.host}:{self.port}",
            seconds=seconds,
            explain=lambda: "\n".join(str(each) for each in self.handshakes[-5:]),
        )

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="handshakes", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(2 * HANDSHAKE_TIMEOUT)

    def _run(self) -> None:
        while not self._ended.is_set():
            started = time.monotonic()
            self.handshakes.append(self._shake(started))
            self._ended.wait(max(0.0, started + self.interval - time.monotonic()))

    def _shake(self, started: float) -> Handshake:
        try:
            leaf = served_certificate(self.host, self.port, self.name, trusted=self.trusted)
        except OSError as error:  # ssl.SSLError is one
            return Handshake(started, error=f"{type(error).__name__}: {error}")
        return Handshake(started, fingerprint=hashlib.sha256(leaf).hexdigest())


@dataclass
class RequestLoop(HandshakeLoop):
    """Whole HTTP requests, each on a connection of its own; any answer but 200 is a failure."""

    def _shake(self, started: float) -> Handshake:
        context = ssl.create_default_context(cafile=self.trusted)
        try:
            with (
                socket.create_connection((self.host, self.port), HANDSHAKE_TIMEOUT) as connection,
                context.wrap_socket(connection, server_hostname=self.name) as secured,
            ):
                leaf = secured.getpeercert(binary_form=True) or b""
                secured.sendall(f"GET / HTTP/1.0\r\nHost: {self.name}\r\n\r\n".encode())
                answer = b"".join(iter(lambda: secured.recv(4096), b""))
        except OSError as error:
            return Handshake(started, error=f"{type(error).__name__}: {error}")
        if not answer.startswith(b"HTTP/1.1 200 "):
            return Handshake(started, error=f"answered {answer[:40]!r}")
        return Handshake(started, fingerprint=hashlib.sha256(leaf).hexdigest())
