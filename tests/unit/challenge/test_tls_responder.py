from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from gatecert.challenge.acme_identifier import (
    ValidationCertificate,
    make_validation_certificate,
    matches_key_authorization,
)
from gatecert.challenge.tls_responder import (
    HANDSHAKE_FAILURE,
    NO_APPLICATION_PROTOCOL,
    PROTOCOL,
    UNRECOGNIZED_NAME,
    TlsHandler,
    alert,
    server_context,
)
from gatecert.errors import StorageError
from gatecert.model import Identifier, IdentifierType

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "vpn.example.com"
KEY_AUTHORIZATION = "token.thumbprint"
ANSWER = make_validation_certificate(
    Identifier(IdentifierType.DNS, NAME), KEY_AUTHORIZATION, now=datetime.now(UTC)
)
VERSIONS = [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION]


class Client:
    """A TLS client on memory buffers."""

    def __init__(
        self,
        name: str = NAME,
        protocols: tuple[bytes, ...] = (PROTOCOL,),
        version: int = SSL.TLS1_3_VERSION,
    ) -> None:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        if protocols:
            context.set_alpn_protos(list(protocols))
        self.connection = SSL.Connection(context, None)
        if name:
            self.connection.set_tlsext_host_name(name.encode())
        self.connection.set_connect_state()
        self.received = b""

    def meet(self, handler: TlsHandler, piece: int = 1 << 16) -> bool:
        """Exchange data until one side has no more; return True if the handshake completed."""
        while True:
            try:
                self.connection.do_handshake()
                complete = True
            except SSL.WantReadError:
                complete = False
            except SSL.Error:
                return False
            output = self._output()
            if not output:
                return complete
            for start in range(0, len(output), piece):
                answer = handler.receive(output[start : start + piece])
                self.received += answer
                if answer:
                    self.connection.bio_write(answer)
                if handler.finished:
                    break

    def _output(self) -> bytes:
        try:
            return self.connection.bio_read(1 << 16)
        except SSL.WantReadError:
            return b""

    @property
    def saw_certificate(self) -> bool:
        return bool(self.connection.get_peer_cert_chain())


def no_fetch(_: str) -> None:
    raise AssertionError("nothing may have been fetched")


def handler(
    fetched: Callable[[str], None] = no_fetch, answer: ValidationCertificate | None = ANSWER
) -> TlsHandler:
    lookup = {NAME: answer}.get
    return TlsHandler(lookup, fetched, "192.0.2.1", server_context())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("piece", [1 << 16, 7])
def test_the_authority_receives_the_certificate_of_the_name(version: int, piece: int) -> None:
    fetched: list[str] = []
    server = handler(fetched.append)
    authority = Client(version=version)

    assert authority.meet(server, piece)

    assert server.finished
    assert fetched == []
    server.close()
    assert fetched == [NAME]
    assert authority.connection.get_alpn_proto_negotiated() == PROTOCOL
    certificate = authority.connection.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    assert matches_key_authorization(certificate, KEY_AUTHORIZATION)


def test_the_server_name_ignores_case() -> None:
    assert Client(NAME.upper()).meet(handler(lambda _: None))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "protocols", "number"),
    [
        (NAME, (), NO_APPLICATION_PROTOCOL),
        (NAME, (b"h2", b"http/1.1"), NO_APPLICATION_PROTOCOL),
        (NAME, (b"h2", PROTOCOL), NO_APPLICATION_PROTOCOL),
        (NAME, (PROTOCOL, b"h2"), NO_APPLICATION_PROTOCOL),
        ("other.example.com", (PROTOCOL,), UNRECOGNIZED_NAME),
        ("other.example.com", (b"h2",), UNRECOGNIZED_NAME),
        ("other.example.com", (), UNRECOGNIZED_NAME),
        ("", (PROTOCOL,), UNRECOGNIZED_NAME),
        ("", (), UNRECOGNIZED_NAME),
    ],
)
def test_other_clients_receive_only_an_alert(
    version: int, name: str, protocols: tuple[bytes, ...], number: int
) -> None:
    server = handler()
    stranger = Client(name, protocols, version)

    assert not stranger.meet(server)

    assert stranger.received == alert(number)
    assert not stranger.saw_certificate
    assert server.finished
    server.close()


def test_an_old_tls_version_is_refused() -> None:
    server = handler()
    stranger = Client(version=SSL.TLS1_1_VERSION)
    assert not stranger.meet(server)
    assert stranger.received == alert(HANDSHAKE_FAILURE)


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\xff\xff\x01"]
)
def test_other_protocols_are_refused(noise: bytes) -> None:
    server = handler()
    output = server.receive(noise + b"\0" * 70_000)
    assert output == alert(HANDSHAKE_FAILURE)
    assert server.finished


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_random_bytes_receive_at_most_an_alert(pieces: list[bytes]) -> None:
    server = handler()
    output = b""
    for piece in pieces:
        if not server.finished:
            output += server.receive(piece)
    assert output in {b"", alert(HANDSHAKE_FAILURE), alert(UNRECOGNIZED_NAME)}


def test_a_silent_client_receives_nothing() -> None:
    server = handler()
    assert server.receive(b"") == b""
    assert not server.finished


def test_an_aborted_handshake_is_not_reported_as_fetched() -> None:
    server = handler()
    authority = Client()
    with pytest.raises(SSL.WantReadError):
        authority.connection.do_handshake()
    hello = authority.connection.bio_read(1 << 16)
    assert server.receive(hello)

    broken_off = b"\x15\x03\x03\x00\x02\x02\x2a"  # bad_certificate, unencrypted
    server.receive(broken_off)

    assert server.finished
    server.close()


def test_an_unreadable_store_is_an_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: str) -> ValidationCertificate | None:
        raise StorageError("disk broken")

    server = TlsHandler(fail, no_fetch, "192.0.2.1", server_context())
    with pytest.raises(StorageError, match="disk broken"):
        Client().meet(server)
    assert capsys.readouterr().err == ""
