"""STARTTLS and the PROXY protocol, each with a listener for its server side."""

from __future__ import annotations

import socket
import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gatecert.model import FailureKind
from gatecert.verify.probe import probe
from gatecert.verify.served_chain import ProbeFailure, ServedChain
from gatecert.verify.starttls import DIALOGUES, LARGEST_RESPONSE

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from tests.fakes.listeners import Authority, TLSServer

    from gatecert.model import Endpoint

pytestmark = pytest.mark.enable_socket

NAME = "gate.example.com"
FEATURES = (
    b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'><stream:features>"
    b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
)
LDAP_ANSWER = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"
# The first message of the server, and its answer to each message.
SPEECHES: dict[str, tuple[bytes, list[tuple[bytes, bytes]]]] = {
    "smtp": (
        b"220-mail.example.com\r\n220 ready\r\n",
        [(b"EHLO ", b"250-mail\r\n250 STARTTLS\r\n"), (b"STARTTLS\r\n", b"220 go ahead\r\n")],
    ),
    "imap": (b"* OK ready\r\n", [(b"a1 STARTTLS\r\n", b"* CAPABILITY X\r\na1 OK begin\r\n")]),
    "pop3": (b"+OK ready\r\n", [(b"STLS\r\n", b"+OK begin\r\n")]),
    "ftp": (b"220 FTP server\r\n", [(b"AUTH TLS\r\n", b"234 go ahead\r\n")]),
    "xmpp": (b"", [(b"<?xml ", FEATURES), (b"<starttls ", b"<proceed xmlns='x'/>")]),
    "ldap": (b"", [(b"\x30\x1d\x02\x01\x01\x77", LDAP_ANSWER)]),
    "postgres": (b"", [(struct.pack("!II", 8, 80877103), b"S")]),
}
REFUSALS: dict[str, tuple[bytes, list[tuple[bytes, bytes]]]] = {
    "smtp": (SPEECHES["smtp"][0], [(b"EHLO ", b"250 mail\r\n"), (b"STARTTLS", b"502 no\r\n")]),
    "imap": (b"* OK ready\r\n", [(b"a1 STARTTLS\r\n", b"a1 BAD what?\r\n")]),
    "pop3": (b"+OK ready\r\n", [(b"STLS\r\n", b"-ERR what?\r\n")]),
    "ftp": (b"220 FTP server\r\n", [(b"AUTH TLS\r\n", b"500 what?\r\n")]),
    "xmpp": (b"", [(b"<?xml ", b"<stream:features></stream:features>")]),
    "ldap": (b"", [(b"\x30", LDAP_ANSWER.replace(b"\x0a\x01\x00", b"\x0a\x01\x02"))]),
    "postgres": (b"", [(b"\x00", b"N")]),
}


def speaks(
    speech: tuple[bytes, list[tuple[bytes, bytes]]],
    then: Callable[[socket.socket, int, Event], None],
) -> Callable[[socket.socket, int, Event], None]:
    """Send the server side of a dialogue byte by byte, then run the next handler."""

    def handle(stream: socket.socket, number: int, stopping: Event) -> None:
        greeting, answers = speech
        for byte in greeting:
            stream.sendall(bytes([byte]))
        for expected, answer in answers:
            assert stream.recv(4096).startswith(expected)
            for byte in answer:
                stream.sendall(bytes([byte]))
        then(stream, number, stopping)

    return handle


def test_every_protocol_has_a_dialogue() -> None:
    assert set(SPEECHES) == set(REFUSALS) == set(DIALOGUES)


@pytest.mark.parametrize("protocol", list(DIALOGUES))
def test_a_handshake_after_starttls(
    protocol: str, authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    leaf = authority.leaf()
    endpoint = listen(speaks(SPEECHES[protocol], server.handler(server.context(leaf))))
    answer = probe(replace(endpoint, starttls=protocol), NAME, timeout=5)
    assert isinstance(answer, ServedChain), answer
    assert answer.fingerprint == leaf.fingerprint


@pytest.mark.parametrize("protocol", list(DIALOGUES))
def test_a_server_that_refuses_starttls(protocol: str, listen: Callable[..., Endpoint]) -> None:
    endpoint = listen(speaks(REFUSALS[protocol], lambda *_: None))
    answer = probe(replace(endpoint, starttls=protocol), NAME, timeout=5)
    assert isinstance(answer, ProbeFailure)
    assert answer.kind is FailureKind.NOT_TLS
    assert f"STARTTLS of {protocol}" in answer.detail


def test_a_server_that_never_stops_sending(listen: Callable[..., Endpoint]) -> None:
    def talks(stream: socket.socket, _: int, __: Event) -> None:
        stream.sendall(b"220-more\r\n" * LARGEST_RESPONSE)

    answer = probe(replace(listen(talks), starttls="smtp"), NAME, timeout=5)
    assert isinstance(answer, ProbeFailure)
    assert "sends too much data" in answer.detail


def test_a_silent_server_ends_at_the_deadline(
    listen: Callable[..., Endpoint],
) -> None:
    def silent(_: socket.socket, __: int, stopping: Event) -> None:
        stopping.wait(5)

    answer = probe(replace(listen(silent), starttls="imap"), NAME, timeout=0.2)
    assert isinstance(answer, ProbeFailure)
    assert answer.kind is FailureKind.TIMEOUT


# --------------------------------------------------------------------- the PROXY protocol


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("version", [1, 2])
def test_the_proxy_header_has_the_addresses_of_the_connection(
    version: int,
    host: str,
    authority: Authority,
    server: TLSServer,
    listen: Callable[..., Endpoint],
) -> None:
    leaf = authority.leaf()
    serve = server.handler(server.context(leaf))
    headers: list[bytes] = []

    def proxied(stream: socket.socket, number: int, stopping: Event) -> None:
        if version == 1:
            header = b""
            while not header.endswith(b"\r\n"):
                header += stream.recv(1)
            headers.append(header)
        else:
            start = stream.recv(16, socket.MSG_WAITALL)
            (length,) = struct.unpack("!H", start[14:])
            headers.append(start + stream.recv(length, socket.MSG_WAITALL))
        serve(stream, number, stopping)

    endpoint = listen(proxied, host)
    answer = probe(replace(endpoint, proxy_protocol=version), NAME, timeout=5)
    assert isinstance(answer, ServedChain), answer
    (header,) = headers
    family = 4 if host == "127.0.0.1" else 6
    if version == 1:
        words = header.decode("ascii").split()
        assert words[:4] == ["PROXY", f"TCP{family}", host, host]
        assert words[5] == str(endpoint.port)
    else:
        assert header[:12] == b"\r\n\r\n\x00\r\nQUIT\n"
        assert header[12:14] == bytes([0x21, 0x11 if family == 4 else 0x21])
        packed = socket.inet_pton(socket.AF_INET if family == 4 else socket.AF_INET6, host)
        assert header[16:].startswith(packed * 2)
        assert header.endswith(struct.pack("!H", endpoint.port))


# --------------------------------------------------------------------- what to set


@pytest.mark.parametrize(
    ("greeting", "hint"),
    [
        (b"220 mail.example.com ESMTP\r\n", "starttls: smtp"),
        (b"220 ProFTPD FTP Server\r\n", "starttls: ftp"),
        (b"* OK IMAP4rev1\r\n", "starttls: imap"),
        (b"+OK POP3\r\n", "starttls: pop3"),
        (b"<?xml version='1.0'?><stream:stream xmlns:stream='http://x'>", "starttls: xmpp"),
    ],
)
def test_a_greeting_suggests_the_protocol(
    greeting: bytes, hint: str, listen: Callable[..., Endpoint]
) -> None:
    def greets(stream: socket.socket, _: int, __: Event) -> None:
        stream.sendall(greeting)
        stream.recv(4096)

    answer = probe(listen(greets), NAME, timeout=5)
    assert isinstance(answer, ProbeFailure)
    assert hint in answer.detail


def test_a_closed_connection_suggests_the_proxy_protocol(listen: Callable[..., Endpoint]) -> None:
    def hangs_up(stream: socket.socket, _: int, __: Event) -> None:
        stream.recv(4096)

    endpoint = listen(hangs_up)
    answer = probe(endpoint, NAME, timeout=5)
    assert isinstance(answer, ProbeFailure)
    assert "set proxy_protocol or starttls" in answer.detail
    proxied = probe(replace(endpoint, proxy_protocol=1), NAME, timeout=5)
    assert isinstance(proxied, ProbeFailure)
    assert "proxy_protocol" not in proxied.detail


def test_another_server_name_can_be_sent(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    endpoint = listen(server.handler(server.context(authority.leaf())))
    probe(replace(endpoint, server_name="other.example.com"), NAME, timeout=5)
    assert server.asked == ["other.example.com"]


def test_ldap_lengths_may_use_the_long_form(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    """Accept the long form of BER lengths, which Active Directory uses with four bytes."""
    answer = bytes.fromhex("308400000010020101788400000007 0a0100 0400 0400")
    leaf = authority.leaf()
    speech = (b"", [(b"\x30\x1d", answer)])
    endpoint = listen(speaks(speech, server.handler(server.context(leaf))))
    found = probe(replace(endpoint, starttls="ldap"), NAME, timeout=5)
    assert isinstance(found, ServedChain), found


@pytest.mark.parametrize("protocol", ["smtp", "imap", "pop3", "ftp"])
def test_a_server_that_does_not_greet(protocol: str, listen: Callable[..., Endpoint]) -> None:
    """Check a server that begins with TLS, or waits for the PROXY protocol, and sends nothing."""

    def waits(stream: socket.socket, _: int, __: Event) -> None:
        stream.recv(4096)

    endpoint = replace(listen(waits), starttls=protocol)
    answer = probe(endpoint, NAME, timeout=0.2)
    assert isinstance(answer, ProbeFailure)
    assert answer.kind is FailureKind.TIMEOUT
    assert "remove starttls from" in answer.detail
    assert "set proxy_protocol" in answer.detail
    proxied = probe(replace(endpoint, proxy_protocol=1), NAME, timeout=0.2)
    assert isinstance(proxied, ProbeFailure)
    assert "set proxy_protocol" not in proxied.detail


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n", b"\x15\x03\x01\x00\x02\x02\x28"]
)
def test_a_server_that_expects_no_proxy_protocol(
    answer: bytes, listen: Callable[..., Endpoint]
) -> None:
    def objects(stream: socket.socket, _: int, __: Event) -> None:
        stream.recv(4096)
        stream.sendall(answer)
        stream.recv(4096)

    endpoint = listen(objects)
    plain = probe(endpoint, NAME, timeout=5)
    proxied = probe(replace(endpoint, proxy_protocol=2), NAME, timeout=5)
    assert isinstance(plain, ProbeFailure)
    assert isinstance(proxied, ProbeFailure)
    assert "remove proxy_protocol from" not in plain.detail
    assert "remove proxy_protocol from" in proxied.detail


def test_after_starttls_the_proxy_protocol_is_not_suggested(
    listen: Callable[..., Endpoint],
) -> None:
    endpoint = listen(speaks(SPEECHES["smtp"], lambda stream, *_: stream.recv(4096)))
    answer = probe(replace(endpoint, starttls="smtp"), NAME, timeout=5)
    assert isinstance(answer, ProbeFailure)
    assert "proxy_protocol" not in answer.detail
