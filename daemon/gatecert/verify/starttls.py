"""The steps before the TLS handshake: the PROXY protocol and STARTTLS.

- SMTP (RFC 3207), IMAP and POP3 (RFC 2595), FTP (RFC 4217), XMPP (RFC 6120 section 5), LDAP
  (RFC 4511 section 4.14), PostgreSQL (SSLRequest, "Message Formats" of its manual).
- The PROXY protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt), with the addresses of the
  connection itself.

All steps share the deadline of the probe, and the size of a server's answers is limited.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, Final

from gatecert.errors import clean
from gatecert.model import FailureKind
from gatecert.verify.connect import ProbeError, remaining_seconds

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from gatecert.deadline import Deadline
    from gatecert.model import Endpoint

LARGEST_RESPONSE: Final = 64 * 1024  # bytes
READ_SIZE: Final = 4096  # bytes
SHOWN: Final = 80  # characters of a server's answer

NO_GREETING: Final = (
    "accepts connections but sends no greeting: if it begins with TLS, remove starttls from"
    " install.verify"
)
NO_GREETING_NO_PROXY: Final = f"{NO_GREETING}; if it expects the PROXY protocol, set proxy_protocol"

PROXY_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
VERSION_2_PROXY: Final = 0x21
TCP_OVER: Final = {4: 0x11, 6: 0x21}

# ExtendedRequest with the name 1.3.6.1.4.1.1466.20037, message 1.
LDAP_START_TLS: Final = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + b"1.3.6.1.4.1.1466.20037"
LDAP_MESSAGE_ID: Final = 3  # bytes
LDAP_RESPONSE: Final = b"\x78"
LDAP_SUCCESS: Final = b"\x0a\x01\x00"
POSTGRES_SSL_REQUEST: Final = struct.pack("!II", 8, 80877103)


class PlaintextConnection:
    """A connection before TLS, with a deadline.

    Args:
        stream: The socket.
        deadline: The deadline of the probe.
        no_greeting: The failure to report for a server that sends nothing.
    """

    def __init__(
        self, stream: socket.socket, deadline: Deadline, no_greeting: str = NO_GREETING
    ) -> None:
        self._stream = stream
        self._deadline = deadline
        self._no_greeting = no_greeting
        self._buffer = b""
        self._nothing_received = True

    def send(self, data: bytes) -> None:
        """Send all of the data."""
        self._stream.settimeout(remaining_seconds(self._deadline))
        self._stream.sendall(data)

    def receive(self, complete: Callable[[bytes], bool]) -> bytes:
        """Read until the received data is complete.

        Raises:
            ProbeError: The server sends nothing or too much, or closes the connection.
            TimeoutError: The rest does not arrive in time.
        """
        while not complete(self._buffer):
            data = self._read()
            if not data:
                raise ProbeError(
                    FailureKind.RESET,
                    "closes the connection before TLS begins" + self._received(),
                )
            self._buffer += data
            if len(self._buffer) > LARGEST_RESPONSE:
                raise ProbeError(FailureKind.NOT_TLS, "sends too much data before TLS begins")
        received, self._buffer = self._buffer, b""
        return received

    def _read(self) -> bytes:
        try:
            self._stream.settimeout(remaining_seconds(self._deadline))
            data = self._stream.recv(READ_SIZE)
        except TimeoutError:
            if not self._nothing_received:
                raise
            raise ProbeError(FailureKind.TIMEOUT, self._no_greeting) from None
        self._nothing_received = False
        return data

    def require(self, received: bytes, good: bool, protocol: str) -> None:  # noqa: FBT001 - reads as such
        """Check that an answer was the expected one.

        Raises:
            ProbeError: It was not.
        """
        if not good:
            said = clean(received.decode("utf-8", "replace"), SHOWN)
            raise ProbeError(
                FailureKind.NOT_TLS,
                f"does not start TLS by STARTTLS of {protocol}: it sent {said!r}",
            )

    def _received(self) -> str:
        said = clean(self._buffer.decode("utf-8", "replace"), SHOWN)
        return f" (it sent {said!r})" if said else ""


def send_proxy_header(stream: socket.socket, version: int, deadline: Deadline) -> None:
    """Send a PROXY protocol header with the addresses of this connection."""
    source, source_port = stream.getsockname()[:2]
    destination, destination_port = stream.getpeername()[:2]
    addresses = [ipaddress.ip_address(each.partition("%")[0]) for each in (source, destination)]
    family = addresses[0].version
    if version == 1:
        text = f"PROXY TCP{family} {addresses[0]} {addresses[1]} {source_port} {destination_port}"
        header = f"{text}\r\n".encode("ascii")
    else:
        body = b"".join(each.packed for each in addresses)
        body += struct.pack("!HH", source_port, destination_port)
        header = PROXY_SIGNATURE + struct.pack("!BBH", VERSION_2_PROXY, TCP_OVER[family], len(body))
        header += body
    PlaintextConnection(stream, deadline).send(header)


def start_tls(
    stream: socket.socket, endpoint: Endpoint, server_name: str, deadline: Deadline
) -> None:
    """Run the STARTTLS dialogue of a protocol.

    Args:
        stream: A new connection.
        endpoint: The listener; its ``starttls`` is a key of ``DIALOGUES``.
        server_name: The domain of an XMPP stream.
        deadline: The deadline of the probe.

    Raises:
        ProbeError: The server refuses.
        OSError: The connection broke.
    """
    no_greeting = NO_GREETING if endpoint.proxy_protocol else NO_GREETING_NO_PROXY
    DIALOGUES[endpoint.starttls](PlaintextConnection(stream, deadline, no_greeting), server_name)


def _smtp(connection: PlaintextConnection, _: str) -> None:
    greeting = connection.receive(_is_reply)
    connection.require(greeting, greeting.startswith(b"220"), "smtp")
    connection.send(b"EHLO localhost\r\n")
    connection.receive(_is_reply)
    connection.send(b"STARTTLS\r\n")
    answer = connection.receive(_is_reply)
    connection.require(answer, answer.startswith(b"220"), "smtp")


def _ftp(connection: PlaintextConnection, _: str) -> None:
    greeting = connection.receive(_is_reply)
    connection.require(greeting, greeting.startswith(b"220"), "ftp")
    connection.send(b"AUTH TLS\r\n")
    answer = connection.receive(_is_reply)
    connection.require(answer, answer.startswith(b"234"), "ftp")


def _imap(connection: PlaintextConnection, _: str) -> None:
    greeting = connection.receive(_is_line)
    connection.require(greeting, greeting.startswith((b"* OK", b"* PREAUTH")), "imap")
    connection.send(b"a1 STARTTLS\r\n")
    answer = connection.receive(lambda received: received.endswith(b"\r\n") and b"a1 " in received)
    connection.require(answer, b"A1 OK" in answer.upper(), "imap")


def _pop3(connection: PlaintextConnection, _: str) -> None:
    greeting = connection.receive(_is_line)
    connection.require(greeting, greeting.startswith(b"+OK"), "pop3")
    connection.send(b"STLS\r\n")
    answer = connection.receive(_is_line)
    connection.require(answer, answer.startswith(b"+OK"), "pop3")


def _xmpp(connection: PlaintextConnection, server_name: str) -> None:
    connection.send(
        f"<?xml version='1.0'?><stream:stream to='{server_name}' xmlns='jabber:client'"
        " xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>".encode()
    )
    features = connection.receive(
        lambda received: b"</stream:features>" in received or b"stream:error" in received
    )
    connection.require(features, b"<starttls" in features, "xmpp")
    connection.send(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    answer = connection.receive(lambda received: received.rstrip().endswith(b">"))
    connection.require(answer, b"<proceed" in answer, "xmpp")


def _ldap(connection: PlaintextConnection, _: str) -> None:
    connection.send(LDAP_START_TLS)
    answer = connection.receive(_is_ldap_message)
    message = _contents(answer)
    response = message[LDAP_MESSAGE_ID:]
    good = response[:1] == LDAP_RESPONSE and _contents(response).startswith(LDAP_SUCCESS)
    connection.require(answer, good, "ldap")


def _postgres(connection: PlaintextConnection, _: str) -> None:
    connection.send(POSTGRES_SSL_REQUEST)
    answer = connection.receive(lambda received: len(received) >= 1)
    connection.require(answer, answer == b"S", "postgres")


def _is_line(received: bytes) -> bool:
    return received.endswith(b"\r\n")


def _is_reply(received: bytes) -> bool:
    """Check that the last line ends a reply (RFC 5321 section 4.2): "220 ", not "220-"."""
    last = received.rstrip(b"\r\n").rpartition(b"\n")[2]
    return received.endswith(b"\n") and last[:3].isdigit() and last[3:4] != b"-"


def _is_ldap_message(received: bytes) -> bool:
    """Check that a BER element is complete."""
    start, length = _element(received)
    return bool(length) and len(received) >= start + length


def _contents(element: bytes) -> bytes:
    """Return the contents of a BER element."""
    start, length = _element(element)
    return element[start : start + length]


def _element(data: bytes) -> tuple[int, int]:
    """Return start and length of the contents of a BER element; 0 if it is truncated.

    A length is one byte, or the number of bytes that the first one gives (X.690 section 8.1.3).
    Active Directory always uses four.
    """
    if len(data) < 2:  # noqa: PLR2004 - tag and length
        return 0, 0
    digits = data[1] & 0x7F if data[1] & 0x80 else 0
    start = 2 + digits
    if len(data) < start:
        return 0, 0
    return start, int.from_bytes(data[2:start], "big") if digits else data[1]


DIALOGUES: Final[dict[str, Callable[[PlaintextConnection, str], None]]] = {
    "smtp": _smtp,
    "imap": _imap,
    "pop3": _pop3,
    "ldap": _ldap,
    "postgres": _postgres,
    "ftp": _ftp,
    "xmpp": _xmpp,
}
