from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from tests.fakes.loopback import LOOPBACK, exchange, free_port
from tests.fakes.token_store import Tokens

from gatecert.challenge import tls_alpn01
from gatecert.challenge.acme_identifier import matches_key_authorization, server_name
from gatecert.challenge.solver import Challenge, LeftoverCleaner, SelfTestingSolver, Solver
from gatecert.challenge.tls_alpn01 import TlsAlpn01Solver, serves_challenge, token_key
from gatecert.config.schema.challenge import TlsAlpn01Settings
from gatecert.deadline import Deadline
from gatecert.errors import AddressInUseError, ChallengeError, StorageError
from gatecert.model import Endpoint, Identifier, IdentifierType

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.enable_socket


NAME = "vpn.example.com"


def challenge(name: str = NAME, key: str = "abc") -> Challenge:
    identifier = Identifier(IdentifierType.DNS, name)
    return Challenge("tls-alpn-01", identifier, key, f"{key}.thumbprint")


def validate(
    endpoint: Endpoint, name: str = "vpn.example.com", protocol: str = "acme-tls/1"
) -> x509.Certificate:
    """Return the certificate that an authority receives."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    with (
        socket.create_connection((endpoint.host, endpoint.port), timeout=5) as channel,
        context.wrap_socket(channel, server_hostname=name) as secured,
    ):
        assert secured.selected_alpn_protocol() == "acme-tls/1"
        assert secured.recv(1) == b""
        return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")


def is_listening(endpoint: Endpoint) -> bool:
    try:
        socket.create_connection((endpoint.host, endpoint.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def new_solver(endpoint: Endpoint, tokens: Tokens) -> TlsAlpn01Solver:
    return TlsAlpn01Solver(TlsAlpn01Settings(listen=(endpoint,)), tokens)


@pytest.fixture
def solver(endpoint: Endpoint, tokens: Tokens) -> Iterator[TlsAlpn01Solver]:
    made = new_solver(endpoint, tokens)
    yield made
    for name in ("vpn.example.com", "two.example.com"):
        for token in ("abc", "def"):
            made.clean_up(challenge(name, token))


def test_hosts_that_do_not_answer_are_named(
    solver: TlsAlpn01Solver, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    tokens.put_token("tls-alpn-01", token_key(NAME), "abc.thumbprint")
    tokens.missing = ("gw-b",)
    solver.wait(challenge(), Deadline.after(1))
    (line,) = caplog.messages
    assert line.startswith("hosts that do not answer tls-alpn-01 for vpn.example.com: gw-b;")


def test_the_response_is_served_from_present_to_clean_up(
    solver: TlsAlpn01Solver, endpoint: Endpoint, tokens: Tokens
) -> None:
    protocol: Solver = solver
    assert not is_listening(endpoint)

    protocol.present(challenge())
    protocol.wait(challenge(), Deadline.after(1))
    assert matches_key_authorization(validate(endpoint), "abc.thumbprint")

    protocol.clean_up(challenge())
    assert not is_listening(endpoint)
    assert tokens.kept == {}


def test_other_clients_receive_no_certificate(solver: TlsAlpn01Solver, endpoint: Endpoint) -> None:
    solver.present(challenge())
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        validate(endpoint, protocol="h2")
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        validate(endpoint, "other.example.com")
    assert exchange(endpoint, b"GET / HTTP/1.1\r\n\r\n") == b"\x15\x03\x03\x00\x02\x02\x28"
    assert not solver.wait_for_request(challenge(), 0)


def test_each_name_has_its_own_certificate(solver: TlsAlpn01Solver, endpoint: Endpoint) -> None:
    solver.present(challenge())
    solver.present(challenge("two.example.com", "def"))

    assert matches_key_authorization(validate(endpoint), "abc.thumbprint")
    assert matches_key_authorization(validate(endpoint, "two.example.com"), "def.thumbprint")

    solver.clean_up(challenge())
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        validate(endpoint)
    assert matches_key_authorization(validate(endpoint, "two.example.com"), "def.thumbprint")


@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8::7"])
def test_an_ip_address_is_validated_by_its_reverse_name(
    solver: TlsAlpn01Solver, endpoint: Endpoint, address: str
) -> None:
    identifier = Identifier(IdentifierType.IP, address)
    wanted = Challenge("tls-alpn-01", identifier, "abc", "abc.thumbprint")
    solver.present(wanted)
    try:
        assert matches_key_authorization(
            validate(endpoint, server_name(identifier)), "abc.thumbprint"
        )
    finally:
        solver.clean_up(wanted)


def test_wait_for_request_returns_after_the_handshake(
    solver: TlsAlpn01Solver, endpoint: Endpoint
) -> None:
    solver.present(challenge())
    assert not solver.wait_for_request(challenge(), 0.01)

    authority = threading.Thread(target=validate, args=(endpoint,))
    started = time.monotonic()
    authority.start()
    assert solver.wait_for_request(challenge(), 5)
    assert time.monotonic() - started < 1
    authority.join()
    assert not solver.wait_for_request(challenge("two.example.com"), 0)


def test_one_name_is_validated_for_one_order_at_a_time(
    solver: TlsAlpn01Solver, endpoint: Endpoint
) -> None:
    solver.present(challenge())
    with pytest.raises(ChallengeError, match="another gateway"):
        solver.present(challenge(NAME, "def"))

    solver.clean_up(challenge(NAME, "def"))
    assert matches_key_authorization(validate(endpoint), "abc.thumbprint")
    solver.present(challenge())  # the same order may present again


def test_two_solvers_with_the_same_store_answer_for_each_other(
    solver: TlsAlpn01Solver, endpoint: Endpoint, tokens: Tokens
) -> None:
    solver.present(challenge())
    beside = new_solver(endpoint, tokens)
    beside.present(challenge("two.example.com", "def"))
    try:
        for _ in range(10):  # the kernel picks either listener
            assert matches_key_authorization(validate(endpoint), "abc.thumbprint")
            assert matches_key_authorization(
                validate(endpoint, "two.example.com"), "def.thumbprint"
            )
    finally:
        beside.clean_up(challenge("two.example.com", "def"))


def test_a_port_of_another_program_is_not_shared(
    solver: TlsAlpn01Solver, endpoint: Endpoint, tokens: Tokens
) -> None:
    other = new_solver(endpoint, Tokens())
    other.present(challenge("other.example.com"))
    try:
        with pytest.raises(AddressInUseError) as caught:
            solver.present(challenge())
    finally:
        other.clean_up(challenge("other.example.com"))

    assert "acme-tls/1" in caught.value.fix
    assert "challenges.tls-alpn-01.listen" in caught.value.fix
    assert tokens.kept == {}
    solver.present(challenge())
    assert is_listening(endpoint)


def test_an_error_without_any_address(tokens: Tokens) -> None:
    solver = new_solver(Endpoint("192.0.2.1", free_port()), tokens)
    with pytest.raises(ChallengeError, match=r"no address to listen on for tls-alpn-01") as caught:
        solver.present(challenge())
    assert caught.value.fix == "correct challenges.tls-alpn-01.listen"


def test_a_name_that_a_certificate_cannot_contain_is_refused(
    solver: TlsAlpn01Solver, tokens: Tokens
) -> None:
    with pytest.raises(ChallengeError, match="a certificate cannot contain"):
        solver.present(challenge("münchen.example"))
    assert tokens.kept == {}


class BrokenTokens(Tokens):
    def __init__(self, kept: Tokens | None = None) -> None:
        super().__init__()
        if kept is not None:
            self.kept, self.abandoned = kept.kept, kept.abandoned

    def remove_token(self, kind: str, token: str) -> None:
        raise StorageError(f"disk broken at {kind} {token}")


def test_a_token_that_cannot_be_removed_is_only_logged(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    solver = new_solver(endpoint, BrokenTokens())
    solver.present(challenge())
    solver.clean_up(challenge())
    assert "cannot remove a token" in caplog.text
    assert not is_listening(endpoint)


def test_responses_of_crashed_processes_are_removed(
    solver: TlsAlpn01Solver, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    for kind in ("http-01", "tls-alpn-01"):
        tokens.put_token(kind, "gone", "x.y")
    tokens.abandoned |= tokens.kept.keys()
    assert isinstance(solver, LeftoverCleaner)
    solver.remove_leftovers()
    assert tokens.kept == {"gone": "x.y"}
    tokens.put_token("tls-alpn-01", "gone", "x.y")
    new_solver(Endpoint("127.0.0.1", 1), BrokenTokens(tokens)).remove_leftovers()
    assert "disk broken" in caplog.text


def test_token_keys_have_a_fixed_length() -> None:
    assert len(token_key("a." * 120)) == len(token_key("a")) == 43
    assert token_key("a") != token_key("b")


def test_other_listeners_do_not_serve_the_challenge(endpoint: Endpoint) -> None:
    assert not serves_challenge(endpoint, challenge())
    with socket.create_server((LOOPBACK, 0)) as silent:
        stranger = Endpoint(LOOPBACK, silent.getsockname()[1])

        def hang_up() -> None:
            silent.accept()[0].close()

        threading.Thread(target=hang_up).start()
        assert not serves_challenge(stranger, challenge())


def test_a_self_test_leaves_nothing_behind(
    solver: TlsAlpn01Solver, endpoint: Endpoint, tokens: Tokens
) -> None:
    assert isinstance(solver, SelfTestingSolver)
    assert solver.self_test() == ()
    assert solver.self_test(["vpn.example.com"]) == ()
    assert not is_listening(endpoint)
    assert tokens.kept == {}


def test_a_self_test_names_the_process_on_the_port(
    solver: TlsAlpn01Solver, endpoint: Endpoint
) -> None:
    with (
        socket.create_server((endpoint.host, endpoint.port)),
        pytest.raises(AddressInUseError, match=str(endpoint)),
    ):
        solver.self_test()


def test_a_test_response_that_is_not_served_is_reported(
    solver: TlsAlpn01Solver, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_alpn01, "serves_challenge", lambda *_: False)
    (complaint,) = solver.self_test(["vpn.example.com"])
    assert complaint.endswith(f"is not served at {endpoint}")
