from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.keys import rsa_key

from gatecert.model import Endpoint, FailureKind
from gatecert.verify.served_chain import ProbeFailure, ServedChain
from gatecert.verify.verdict import CONFIRMATIONS, compare_served_chain, probe_listeners, prove
from gatecert.verify.watch import WatchState, compare, is_silent

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from tests.fakes.listeners import Authority, Issued, TLSServer

    from gatecert.model import CertificateSummary, Verdict

NAME = "gate.example.com"
NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
ENDPOINT = Endpoint("127.0.0.1", 443)
PATIENT = timedelta(seconds=5)
SHORT = timedelta(milliseconds=150)


def ask(
    endpoints: list[Endpoint],
    summary: CertificateSummary,
    timeout: timedelta = PATIENT,
    one_handshake: timedelta = PATIENT,
) -> Verdict:
    return prove(
        endpoints,
        NAME,
        summary,
        timeout=timeout,
        one_handshake=one_handshake,
    )


def served_chain(
    leaf: str, *chain: str, ends_in_root: bool = False, subject: str = "CN=other"
) -> ServedChain:
    return ServedChain(ENDPOINT, leaf, chain, subject, "CN=issuer", NOW, ends_in_root)


@pytest.fixture
def summary(authority: Authority) -> CertificateSummary:
    """Return the summary of a certificate with two intermediates."""
    leaf = authority.leaf().summary()
    return type(leaf)(
        subject="CN=gate",
        issuer="CN=first",
        identifiers=(),
        not_before=NOW,
        not_after=NOW + timedelta(days=90),
        fingerprint="aa" * 32,
        chain_fingerprints=("bb" * 32, "cc" * 32),
        key_fingerprint="",
        is_bootstrap=False,
        certificate_id="",
    )


LEAF, FIRST, SECOND, ROOT, STRANGER = "aa" * 32, "bb" * 32, "cc" * 32, "dd" * 32, "ee" * 32

# --------------------------------------------------------------------------- the comparison


@pytest.mark.parametrize(
    ("answer", "matches", "detail"),
    [
        (
            served_chain(LEAF, FIRST, SECOND),
            True,
            "127.0.0.1:443 serves the installed certificate (sha256 aaaaaaaaaaaa, ends 2027-02-21)",
        ),
        (
            served_chain(LEAF, FIRST, SECOND, ROOT, ends_in_root=True),
            True,
            (
                "127.0.0.1:443 serves the installed certificate (sha256 aaaaaaaaaaaa,"
                " ends 2027-02-21)"
                " (and its root, which clients do not need)"
            ),
        ),
        (
            served_chain(LEAF),
            False,
            (
                "127.0.0.1:443 serves the installed certificate without its"
                " intermediate certificates"
                " (0 of 2 sent): let it read fullchain.pem"
            ),
        ),
        (
            served_chain(LEAF, FIRST),
            False,
            (
                "127.0.0.1:443 serves the installed certificate without its"
                " intermediate certificates"
                " (1 of 2 sent): let it read fullchain.pem"
            ),
        ),
        (
            served_chain(LEAF, FIRST, SECOND, STRANGER),
            False,
            (
                "127.0.0.1:443 serves the installed certificate, followed by 1 certificates that"
                " do not"
                " belong to its chain"
            ),
        ),
        (
            served_chain(LEAF, FIRST, SECOND, STRANGER, ROOT, ends_in_root=True),
            False,
            (
                "127.0.0.1:443 serves the installed certificate, followed by 2 certificates that"
                " do not"
                " belong to its chain"
            ),
        ),
        (
            served_chain(LEAF, SECOND, FIRST),
            False,
            ("127.0.0.1:443 serves the installed certificate with other intermediate certificates"),
        ),
        (
            served_chain(STRANGER, FIRST, SECOND),
            False,
            (
                "127.0.0.1:443 still serves the certificate for CN=other (issued by CN=issuer,"
                " sha256 eeeeeeeeeeee, ends 2026-11-23) instead of the installed certificate"
                " (sha256 aaaaaaaaaaaa, ends 2027-02-21)"
            ),
        ),
        (
            served_chain(STRANGER, subject=""),
            False,
            (
                "127.0.0.1:443 still serves the certificate for no name (issued by CN=issuer,"
                " sha256 eeeeeeeeeeee, ends 2026-11-23) instead of the installed certificate"
                " (sha256 aaaaaaaaaaaa, ends 2027-02-21)"
            ),
        ),
        (
            ProbeFailure(ENDPOINT, FailureKind.REFUSED, "refuses connections"),
            False,
            "127.0.0.1:443 refuses connections",
        ),
    ],
)
def test_the_comparison_with_the_installed_certificate(
    summary: CertificateSummary,
    answer: ServedChain | ProbeFailure,
    matches: bool,  # noqa: FBT001 - a parameter of the table
    detail: str,
) -> None:
    probe = compare_served_chain(answer, summary)
    assert (probe.endpoint, probe.matches, probe.detail) == (ENDPOINT, matches, detail)
    assert probe.fingerprint == getattr(answer, "fingerprint", "")


def test_without_listeners_the_verdict_is_served(summary: CertificateSummary) -> None:
    verdict = ask([], summary)
    assert verdict.served
    assert verdict.probes == ()


# --------------------------------------------------------------------------- real listeners


@pytest.mark.enable_socket
def test_the_installed_certificate_matches_at_once(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    leaf = authority.leaf()
    endpoint = listen(server.handler(server.context(leaf)))
    verdict = ask([endpoint], leaf.summary())
    assert verdict.served
    assert server.asked == [NAME] * (1 + CONFIRMATIONS)


@pytest.mark.enable_socket
def test_a_self_signed_certificate_matches(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    bootstrap = authority.self_signed()
    endpoint = listen(server.handler(server.context(bootstrap)))
    assert ask([endpoint], bootstrap.summary()).served


@pytest.mark.enable_socket
def test_a_root_at_the_end_of_the_chain_matches(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    leaf = authority.leaf()
    endpoint = listen(server.handler(server.context(leaf, leaf.above)))
    verdict = ask([endpoint], leaf.summary())
    assert verdict.served
    assert "its root" in verdict.detail


@pytest.mark.enable_socket
def test_a_certificate_replaced_during_the_wait_matches(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    old, new = authority.leaf(), authority.leaf()
    before, after = server.context(old), server.context(new)
    endpoint = listen(server.handler(before, before, after))
    started = time.monotonic()
    assert ask([endpoint], new.summary()).served
    assert time.monotonic() - started < 2.0
    assert len(server.asked) == 3 + CONFIRMATIONS


@pytest.mark.enable_socket
def test_a_listener_that_is_closed_for_a_moment(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    new = authority.leaf()
    serve = server.handler(server.context(new))

    def restarting(stream: socket.socket, number: int, stopping: Event) -> None:
        if number > 0:
            serve(stream, number, stopping)

    assert ask([listen(restarting)], new.summary()).served


@pytest.mark.enable_socket
def test_an_old_certificate_until_the_deadline_does_not_match(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    old, new = authority.leaf("old.example"), authority.leaf()
    endpoint = listen(server.handler(server.context(old)))
    started = time.monotonic()
    verdict = ask([endpoint], new.summary(), SHORT)
    assert SHORT.total_seconds() <= time.monotonic() - started < 1.5
    assert not verdict.served
    assert verdict.probes[0].fingerprint == old.fingerprint
    assert f"{endpoint} still serves the certificate for {NAME} (issued by CN=" in verdict.detail
    assert old.fingerprint[:12] in verdict.detail
    assert len(server.asked) > 1


@pytest.mark.enable_socket
def test_handshakes_with_a_listener_are_spaced(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    endpoint = listen(server.handler(server.context(authority.leaf("old.example"))))
    assert not ask([endpoint], authority.leaf().summary(), timedelta(milliseconds=600)).served
    assert len(server.asked) <= 5 + CONFIRMATIONS


@pytest.mark.enable_socket
def test_the_last_conclusive_answer_is_kept(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    old, new = authority.leaf("old.example"), authority.leaf()
    serve = server.handler(server.context(old))

    def falls_silent(stream: socket.socket, number: int, stopping: Event) -> None:
        if number == 0:
            serve(stream, number, stopping)
        stopping.wait(5)

    verdict = ask([listen(falls_silent)], new.summary(), SHORT)
    assert f"still serves the certificate for {NAME} (issued by CN=" in verdict.detail
    assert old.fingerprint[:12] in verdict.detail


@pytest.mark.enable_socket
def test_with_a_zero_timeout_there_is_a_single_attempt(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    old, new = authority.leaf(), authority.leaf()
    endpoint = listen(server.handler(server.context(old)))
    assert not ask([endpoint], new.summary(), timedelta(0)).served
    assert ask([endpoint], old.summary(), timedelta(0)).served
    assert len(server.asked) == 2 + 2 * CONFIRMATIONS


@pytest.mark.enable_socket
def test_a_silent_listener_delays_no_other(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    def silent(_: socket.socket, __: int, stopping: Event) -> None:
        stopping.wait(5)

    leaf = authority.leaf()
    good = listen(server.handler(server.context(leaf)))
    bad = listen(silent)
    verdict = ask([bad, good], leaf.summary(), SHORT, SHORT)
    assert [probe.matches for probe in verdict.probes] == [False, True]
    assert [probe.endpoint for probe in verdict.probes] == [bad, good]
    assert verdict.detail.startswith(
        f"{bad} accepts connections but did not finish a TLS handshake"
    )


@pytest.mark.enable_socket
def test_probe_listeners_returns_every_answer(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    leaf = authority.leaf()
    good = listen(server.handler(server.context(leaf)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = Endpoint("127.0.0.1", listener.getsockname()[1])
    first, second = probe_listeners([good, closed], NAME)
    assert isinstance(first, ServedChain)
    assert first.fingerprint == leaf.fingerprint
    assert isinstance(second, ProbeFailure)
    assert second.kind is FailureKind.REFUSED


# --------------------------------------------------------------------- two kinds of key


def both_of(first: Issued, second: Issued) -> CertificateSummary:
    return replace(
        first.summary(),
        key_algorithm="ecdsa",
        second=replace(second.summary(), key_algorithm="rsa"),
    )


@pytest.mark.enable_socket
def test_each_key_type_gets_its_own_certificate(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    first = authority.leaf()
    second = authority.leaf(key=rsa_key())
    context = server.context(first)
    server.context(second)
    context.load_cert_chain(next(server.directory.glob(f"{second.fingerprint[:16]}-*.pem")))
    endpoint = listen(server.handler(context))
    pair = both_of(first, second)

    verdict = ask([endpoint], pair, SHORT, SHORT)

    assert verdict.served, verdict.detail
    assert [each.fingerprint for each in verdict.probes] == [first.fingerprint, second.fingerprint]
    assert f"{endpoint} (ECDSA) serves" in verdict.detail
    assert f"{endpoint} (RSA) serves" in verdict.detail
    answers = probe_listeners([endpoint], NAME, algorithms=pair.algorithms)
    assert [each.algorithm for each in answers] == ["ecdsa", "rsa"]
    (anything,) = probe_listeners([endpoint], NAME)
    assert compare_served_chain(anything, pair).matches


@pytest.mark.enable_socket
def test_a_server_with_one_of_two_certificates_does_not_match(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    first = authority.leaf()
    second = authority.leaf(key=rsa_key())
    endpoint = listen(server.handler(server.context(first)))
    verdict = ask([endpoint], both_of(first, second), SHORT, SHORT)
    assert [each.matches for each in verdict.probes] == [True, False]
    assert f"{endpoint} (RSA) rejects clients that accept only RSA keys" in verdict.detail
    (answer,) = probe_listeners([endpoint], NAME, algorithms=["rsa"])
    assert isinstance(answer, ProbeFailure)
    assert not is_silent(answer)


def test_of_a_pair_the_certificate_of_the_accepted_key_type_counts(authority: Authority) -> None:
    first, second = authority.leaf(), authority.leaf("other")
    pair = both_of(first, second)
    assert pair.served_to("ecdsa") is pair
    assert pair.served_to("rsa") is pair.second
    assert pair.served_to("", second.fingerprint) is pair.second
    assert pair.served_to("", "neither") is pair
    alone = first.summary()
    assert alone.served_to("rsa") is alone
    assert alone.algorithms == ("",)


# --------------------------------------------------------------------------- every address


@pytest.mark.enable_socket
def test_a_listener_that_serves_two_certificates_is_mixed(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    old, new = server.context(authority.leaf()), authority.leaf()
    endpoint = listen(server.handler(*(server.context(new), old) * 100))
    verdict = ask([endpoint], new.summary(), SHORT)
    assert not verdict.served
    assert verdict.mixed
    assert "two servers share the port" in verdict.detail
    assert "(pid " in verdict.detail


@pytest.mark.enable_socket
def test_a_late_answer_of_an_old_worker_is_not_mixed(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    old, new = server.context(authority.leaf()), authority.leaf()
    fresh = server.context(new)
    endpoint = listen(server.handler(fresh, old, fresh, old, fresh))
    verdict = ask([endpoint], new.summary())
    assert (verdict.served, verdict.mixed) == (True, False)


@pytest.mark.enable_socket
def test_probe_listeners_returns_each_certificate_once(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    one, two = authority.leaf(), authority.leaf()
    endpoint = listen(server.handler(*(server.context(one), server.context(two)) * 10))
    found = {
        each.fingerprint
        for each in probe_listeners([endpoint], NAME)
        if isinstance(each, ServedChain)
    }
    assert found == {one.fingerprint, two.fingerprint}


@pytest.mark.enable_socket
def test_every_address_of_a_host_must_match(
    authority: Authority,
    server: TLSServer,
    listen: Callable[..., Endpoint],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leaf = authority.leaf()
    good = listen(server.handler(server.context(leaf)))
    found = [(2, 1, 6, "", (each, good.port)) for each in ("127.0.0.1", "127.0.0.2")]
    resolve = socket.getaddrinfo

    def look_up(host: str, *more: object, **named: object) -> object:
        return found if host[0].isalpha() else resolve(host, *more, **named)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    verdict = ask([replace(good, host="gate.internal")], leaf.summary(), SHORT)
    assert not verdict.served
    (wrong,) = [each for each in verdict.probes if not each.matches]
    assert f"gate.internal:{good.port} (127.0.0.2) refuses connections" in wrong.detail

    local = ask([replace(good, host="localhost")], leaf.summary(), SHORT)
    assert local.served
    assert all(
        isinstance(each, ServedChain)
        for each in probe_listeners([replace(good, host="localhost")], NAME)
    )


@pytest.mark.enable_socket
def test_another_port_of_localhost_does_not_replace_a_closed_one(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    leaf = authority.leaf()
    good = replace(listen(server.handler(server.context(leaf))), host="localhost")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = Endpoint("localhost", taken.getsockname()[1])
    verdict = ask([good, closed], leaf.summary(), SHORT)
    assert not verdict.served
    assert f"localhost:{closed.port}" in verdict.detail
    silent = [
        each for each in probe_listeners([good, closed], NAME) if isinstance(each, ProbeFailure)
    ]
    assert {each.endpoint.port for each in silent} == {closed.port}


# --------------------------------------------------------------------------- confirmations


@pytest.mark.enable_socket
def test_confirmations_share_the_time_limit_of_one_handshake(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    leaf = authority.leaf()
    serve = server.handler(server.context(leaf))

    def serves_once(stream: socket.socket, number: int, stopping: Event) -> None:
        if number:
            stopping.wait(5)
        else:
            serve(stream, number, stopping)

    endpoint = listen(serves_once)
    started = time.monotonic()
    ask([endpoint], leaf.summary(), timedelta(0), timedelta(seconds=0.4))
    probe_listeners([endpoint], NAME, timeout=timedelta(seconds=0.4))
    assert time.monotonic() - started < 4 * 0.4


@pytest.mark.enable_socket
def test_there_are_no_confirmations_while_stopping(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    leaf = authority.leaf()
    endpoint = listen(server.handler(server.context(leaf)))
    cancelled = threading.Event()
    cancelled.set()
    verdict = prove(
        [endpoint],
        NAME,
        leaf.summary(),
        timeout=PATIENT,
        cancelled=cancelled,
    )
    assert verdict.served
    assert server.asked == [NAME]


@pytest.mark.enable_socket
def test_a_second_server_that_fails_handshakes_is_mixed(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    leaf = authority.leaf()
    serve = server.handler(server.context(leaf))

    def serves_every_other(stream: socket.socket, number: int, stopping: Event) -> None:
        if number % 2:
            stream.recv(4096)
            stream.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        else:
            serve(stream, number, stopping)

    endpoint = listen(serves_every_other)
    verdict = ask([endpoint], leaf.summary(), SHORT)
    assert (verdict.served, verdict.mixed) == (False, True)
    assert "two servers share the port" in verdict.detail
    sight = compare(probe_listeners([endpoint], NAME), leaf.summary())
    assert sight.state is WatchState.MIXED


@pytest.mark.enable_socket
def test_a_server_that_limits_connections_is_not_mixed(
    authority: Authority, server: TLSServer, listen: Callable[..., Endpoint]
) -> None:
    leaf = authority.leaf()
    serve = server.handler(server.context(leaf))

    def hangs_up_after_the_first(stream: socket.socket, number: int, stopping: Event) -> None:
        if not number:
            serve(stream, number, stopping)

    verdict = ask([listen(hangs_up_after_the_first)], leaf.summary(), SHORT)
    assert (verdict.served, verdict.mixed) == (True, False)
