"""The client CAs that a listener requests, compared and read from real handshakes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from OpenSSL import SSL

from gatecert.model import Endpoint, FailureKind, Probe
from gatecert.verify.client_ca_request import expect_client_cas, format_names
from gatecert.verify.probe import probe
from gatecert.verify.served_chain import ProbeFailure, ServedChain
from gatecert.verify.verdict import prove_with

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from threading import Event

    from tests.fakes.listeners import Authority, Issued

HERE = Endpoint("127.0.0.1", 443)
NOW = datetime(2026, 11, 23, tzinfo=UTC)
ROOTS, INTERMEDIATES = frozenset({"CN=one", "CN=two"}), frozenset({"CN=branch"})


def judged(*asked: str, nothing: bool = False) -> Probe:
    served = ServedChain(
        HERE,
        "ab" * 32,
        (),
        "",
        "",
        NOW,
        ends_in_root=False,
        requested_client_cas=None if nothing else asked,
    )
    return expect_client_cas(ROOTS, INTERMEDIATES)(served)


@pytest.mark.parametrize(
    "asked",
    [("CN=one", "CN=two"), ("CN=two", "CN=branch", "CN=one"), ("CN=one",) * 2 + ("CN=two",)],
)
def test_a_request_for_exactly_these_cas_matches(asked: tuple[str, ...]) -> None:
    answer = judged(*asked)

    assert answer.matches
    assert answer.fingerprint == "ab" * 32
    assert answer.detail == "127.0.0.1:443 requests client certificates of 'CN=one', 'CN=two'"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ((), "requests a client certificate, but names no client CA"),
        (("CN=one",), "does not request client certificates of 'CN=two'"),
        (("CN=one", "CN=two", "CN=old"), "still requests those of 'CN=old'"),
        (
            ("CN=one", "CN=old"),
            "does not request client certificates of 'CN=two' and requests those of 'CN=old'",
        ),
    ],
)
def test_a_request_for_other_cas_is_described(asked: tuple[str, ...], words: str) -> None:
    answer = judged(*asked)

    assert not answer.matches
    assert answer.detail == f"127.0.0.1:443 {words}"


def test_no_certificate_request_is_described() -> None:
    assert judged(nothing=True).detail == (
        "127.0.0.1:443 requests no client certificate in its TLS handshake"
    )


def test_a_failed_handshake_is_described() -> None:
    answer = expect_client_cas(ROOTS)(
        ProbeFailure(HERE, FailureKind.REFUSED, "refuses connections")
    )

    assert not answer.matches
    assert answer.detail == "127.0.0.1:443 refuses connections"


def test_many_names_are_cut() -> None:
    assert format_names(f"CN={number}" for number in range(7)).endswith("'CN=4' and 2 more")
    assert format_names(["CN=evil\nline"]) == "'CN=evil line'"


# --------------------------------------------------------------------------- in handshakes


def serves(
    issued: Issued, *authorities: Issued, version: int, wanted: bool = True
) -> Callable[[socket.socket, int, Event], None]:
    """Return a listener that requests certificates of these CAs but does not require one."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_max_proto_version(version)
    context.use_certificate(issued.certificate)
    context.use_privatekey(issued.key)
    if wanted:
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        for authority in authorities:
            context.add_client_ca(authority.certificate)

    def handle(stream: socket.socket, _: int, __: Event) -> None:
        stream.settimeout(None)  # OpenSSL wants a blocking socket
        tls = SSL.Connection(context, stream)
        tls.set_accept_state()
        try:
            tls.do_handshake()
            tls.shutdown()
        except SSL.Error:
            pass

    return handle


@pytest.mark.enable_socket
@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_the_requested_cas_are_read_from_the_handshake(
    authority: Authority, listen: Callable[..., Endpoint], version: int
) -> None:
    leaf = authority.leaf()
    endpoint = listen(serves(leaf, authority.root, authority.middle, version=version))

    answer = probe(endpoint, "gate.example.com", timeout=5)

    assert isinstance(answer, ServedChain)
    assert answer.requested_client_cas == ("CN=root of the test", "CN=intermediate of the test")
    verdict = prove_with(
        expect_client_cas(
            frozenset({"CN=root of the test"}), frozenset({"CN=intermediate of the test"})
        ),
        [endpoint],
        "gate.example.com",
        timeout=timedelta(seconds=5),
    )
    assert verdict.served


@pytest.mark.enable_socket
@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_a_request_for_any_ca_differs_from_no_request(
    authority: Authority, listen: Callable[..., Endpoint], version: int
) -> None:
    for wanted, asked in ((True, ()), (False, None)):
        endpoint = listen(serves(authority.leaf(), version=version, wanted=wanted))
        answer = probe(endpoint, "gate.example.com", timeout=5)
        assert isinstance(answer, ServedChain)
        assert answer.requested_client_cas == asked
