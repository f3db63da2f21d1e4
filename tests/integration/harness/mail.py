"""Connections to mail servers on loopback: TLS from the start, or after STARTTLS."""

from __future__ import annotations

import hashlib
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from harness.handshake import HANDSHAKE_TIMEOUT, Handshake, HandshakeLoop

if TYPE_CHECKING:
    from pathlib import Path

PORTS: Final = (25, 587, 143, 993)
# The commands that lead to TLS, each with the beginning of the line that ends its answer.
SMTP: Final = ((b"", b"220 "), (b"EHLO localhost\r\n", b"250 "), (b"STARTTLS\r\n", b"220 "))
IMAP: Final = ((b"", b"* OK"), (b"a STARTTLS\r\n", b"a OK"))
DIALOGUES: Final = {25: SMTP, 587: SMTP, 143: IMAP, 993: ()}


def connect(port: int) -> socket.socket:
    """Connect to a mail server on loopback."""
    return socket.create_connection(("127.0.0.1", port), HANDSHAKE_TIMEOUT)


def begin_tls(
    connection: socket.socket, port: int, name: str, trusted: Path | None = None
) -> ssl.SSLSocket:
    """Make a TLS handshake, as a client of that port does.

    Args:
        connection: A new connection.
        port: One of ``PORTS``.
        name: As for ``served_certificate``.
        trusted: As for ``served_certificate``.

    Raises:
        OSError: The server offers no TLS, or its certificate is not trusted.
    """
    for command, ending in DIALOGUES[port]:
        connection.sendall(command)
        _read_answer(connection, ending)
    context = ssl.create_default_context(cafile=trusted)
    if trusted is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=name)


def _read_answer(connection: socket.socket, ending: bytes) -> None:
    answer = b""
    while not any(line.startswith(ending) for line in answer.split(b"\n")[:-1]):
        received = connection.recv(4096)
        if not received or answer.startswith(b"4"):
            raise ConnectionError(f"answered {answer!r}")
        answer += received


@dataclass
class MailLoop(HandshakeLoop):
    """Handshakes with one port of a mail server."""

    def _shake(self, started: float) -> Handshake:
        try:
            with (
                connect(self.port) as connection,
                begin_tls(connection, self.port, self.name, self.trusted) as secured,
            ):
                leaf = secured.getpeercert(binary_form=True) or b""
        except OSError as error:
            return Handshake(started, error=f"{time.monotonic() - started:.2f} s: {error}")
        return Handshake(started, fingerprint=hashlib.sha256(leaf).hexdigest())
