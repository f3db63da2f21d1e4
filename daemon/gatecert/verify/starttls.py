"""What comes before the TLS handshake: the PROXY protocol, and the dialogues that end in STARTTLS.

- SMTP (RFC 3207), IMAP and POP3 (RFC 2595), FTP (RFC 4217), XMPP (RFC 6120 section 5), LDAP
  (RFC 4511 section 4.14), PostgreSQL (SSLRequest, "Message Formats" of its manual).
- The PROXY protocol, versions 1 and 2, as HAProxy's doc/proxy-protocol.txt has it, with the
  addresses of the connection itself.

Everything shares the deadline of the probe, and what a server says is read up to a limit.
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

MOST_TALK: Final = 64 * 1024  # bytes
READ_SIZE: Final = 4096  # bytes
SHOWN: Final = 80  # characters of what a server said

MUTE: Final = (
    "accepts connections and says nothing: if it begins with TLS, leave starttls out of"
    " install.verify"
)
MUTE_UNPROXIED: Final = f"{MUTE}; if it expects the PROXY protocol, set proxy_protocol"

PROXY_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
VERSION_2_PROXY: Final = 0x21
TCP_OVER: Final = {4: 0x11, 6: 0x21}

# ExtendedRequest with the name 1.3.6.1.4.1.1466.20037, message 1.
LDAP_START_TLS: Final = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x16" + b"1.3.6.1.4.1.1466.20037"
LDAP_MESSAGE_ID: Final = 3  # bytes
LDAP_RESPONSE: Final = b"\x78"
LDAP_SUCCESS: Final = b"\x0a\x01\x00"
POSTGRES_SSL_REQUEST: Final = struct.pack("!II", 8, 80877103)


class Talk:
    """A conversation over a connection, by one deadline.

    Args:
        stream: The connection.
        deadline: When to stop.
        mute: Why a server may say nothing at all.
    """

    def __init__(self, stream: socket.socket, deadline: Deadline, mute: str = MUTE) -> None:
        self._stream = stream
        self._deadline = deadline
        self._mute = mute
        self._heard = b""
        self._is_mute = True

    def say(self, data: bytes) -> None:
        """Send all of it."""
        self._stream.settimeout(remaining_seconds(self._deadline))
        self._stream.sendall(data)

    def hear(self, complete: Callable[[bytes], bool]) -> bytes:
        """Read until what was read is complete.

        Raises:
            ProbeError: The server says nothing at all or too much, or closes the connection.
            TimeoutError: It does not say the rest in time.
        """
        while not complete(self._heard):
            data = self._receive()
            if not data:
                raise ProbeError(
                    FailureKind.RESET, "closes the connection before TLS may begin" + self._said()
                )
            self._heard += data
            if len(self._heard) > MOST_TALK:
                raise ProbeError(FailureKind.NOT_TLS, "talks without end before TLS may begin")
        heard, self._heard = self._heard, b""
        return heard

    def _receive(self) -> bytes:
        try:
            self._stream.settimeout(remaining_seconds(self._deadline))
            data = self._stream.recv(READ_SIZE)
        except TimeoutError:
            if not self._is_mute:
                raise
            raise ProbeError(FailureKind.TIMEOUT, self._mute) from None
        self._is_mute = False
        return data

    def expect(self, heard: bytes, good: bool, protocol: str) -> None:  # noqa: FBT001 - reads as such
        """Go on only where the answer was a good one.

        Raises:
            ProbeError: It was not.
        """
        if not good:
            said = clean(heard.decode("utf-8", "replace"), SHOWN)
            raise ProbeError(
                FailureKind.NOT_TLS, f"does not begin TLS by STARTTLS of {protocol}: {said!r}"
            )

    def _said(self) -> str:
        said = clean(self._heard.decode("utf-8", "replace"), SHOWN)
        return f" (it said {said!r})" if said else ""


def send_proxy_header(stream: socket.socket, version: int, deadline: Deadline) -> None:
    """Say whose connection this is, by the PROXY protocol: our own."""
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
    Talk(stream, deadline).say(header)


def start_tls(
    stream: socket.socket, endpoint: Endpoint, server_name: str, deadline: Deadline
) -> None:
    """Bring a connection to the point where TLS begins.

    Args:
        stream: Just connected.
        endpoint: Where to; its ``starttls`` is one of ``DIALOGUES``.
        server_name: Whom XMPP asks for.
        deadline: When to stop.

    Raises:
        ProbeError: The server does not go along.
        OSError: The connection broke.
    """
    mute = MUTE if endpoint.proxy_protocol else MUTE_UNPROXIED
    DIALOGUES[endpoint.starttls](Talk(stream, deadline, mute), server_name)


def _smtp(talk: Talk, _: str) -> None:
    greeting = talk.hear(_is_reply)
    talk.expect(greeting, greeting.startswith(b"220"), "smtp")
    talk.say(b"EHLO localhost\r\n")
    talk.hear(_is_reply)
    talk.say(b"STARTTLS\r\n")
    answer = talk.hear(_is_reply)
    talk.expect(answer, answer.startswith(b"220"), "smtp")


def _ftp(talk: Talk, _: str) -> None:
    greeting = talk.hear(_is_reply)
    talk.expect(greeting, greeting.startswith(b"220"), "ftp")
    talk.say(b"AUTH TLS\r\n")
    answer = talk.hear(_is_reply)
    talk.expect(answer, answer.startswith(b"234"), "ftp")


def _imap(talk: Talk, _: str) -> None:
    greeting = talk.hear(_is_line)
    talk.expect(greeting, greeting.startswith((b"* OK", b"* PREAUTH")), "imap")
    talk.say(b"a1 STARTTLS\r\n")
    answer = talk.hear(lambda heard: heard.endswith(b"\r\n") and b"a1 " in heard)
    talk.expect(answer, b"A1 OK" in answer.upper(), "imap")


def _pop3(talk: Talk, _: str) -> None:
    greeting = talk.hear(_is_line)
    talk.expect(greeting, greeting.startswith(b"+OK"), "pop3")
    talk.say(b"STLS\r\n")
    answer = talk.hear(_is_line)
    talk.expect(answer, answer.startswith(b"+OK"), "pop3")


def _xmpp(talk: Talk, server_name: str) -> None:
    talk.say(
        f"<?xml version='1.0'?><stream:stream to='{server_name}' xmlns='jabber:client'"
        " xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>".encode()
    )
    features = talk.hear(lambda heard: b"</stream:features>" in heard or b"stream:error" in heard)
    talk.expect(features, b"<starttls" in features, "xmpp")
    talk.say(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    answer = talk.hear(lambda heard: heard.rstrip().endswith(b">"))
    talk.expect(answer, b"<proceed" in answer, "xmpp")


def _ldap(talk: Talk, _: str) -> None:
    talk.say(LDAP_START_TLS)
    answer = talk.hear(_is_ldap_message)
    message = _contents(answer)
    response = message[LDAP_MESSAGE_ID:]
    good = response[:1] == LDAP_RESPONSE and _contents(response).startswith(LDAP_SUCCESS)
    talk.expect(answer, good, "ldap")


def _postgres(talk: Talk, _: str) -> None:
    talk.say(POSTGRES_SSL_REQUEST)
    answer = talk.hear(lambda heard: len(heard) >= 1)
    talk.expect(answer, answer == b"S", "postgres")


def _is_line(heard: bytes) -> bool:
    return heard.endswith(b"\r\n")


def _is_reply(heard: bytes) -> bool:
    """Whether the last line is the end of a reply (RFC 5321 section 4.2): "220 " and not "220-"."""
    last = heard.rstrip(b"\r\n").rpartition(b"\n")[2]
    return heard.endswith(b"\n") and last[:3].isdigit() and last[3:4] != b"-"


def _is_ldap_message(heard: bytes) -> bool:
    """Whether a BER element is whole."""
    start, length = _element(heard)
    return bool(length) and len(heard) >= start + length


def _contents(element: bytes) -> bytes:
    """What a BER element holds."""
    start, length = _element(element)
    return element[start : start + length]


def _element(data: bytes) -> tuple[int, int]:
    """Where the contents of a BER element begin, and how long they are; 0 where it is cut short.

    A length stands in one byte, or in as many as the first one says (X.690 section 8.1.3). Active
    Directory always writes four.
    """
    if len(data) < 2:  # noqa: PLR2004 - tag and length
        return 0, 0
    digits = data[1] & 0x7F if data[1] & 0x80 else 0
    start = 2 + digits
    if len(data) < start:
        return 0, 0
    return start, int.from_bytes(data[2:start], "big") if digits else data[1]


DIALOGUES: Final[dict[str, Callable[[Talk, str], None]]] = {
    "smtp": _smtp,
    "imap": _imap,
    "pop3": _pop3,
    "ldap": _ldap,
    "postgres": _postgres,
    "ftp": _ftp,
    "xmpp": _xmpp,
}
