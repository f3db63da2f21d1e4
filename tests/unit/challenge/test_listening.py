from __future__ import annotations

import errno
import os
import socket
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.fakes.loopback import LOOPBACK, free_port

from gatecert.challenge import listening as module
from gatecert.challenge.http_responder import PREFIX, HttpResponder
from gatecert.challenge.listening import (
    PortHolder,
    find_port_holder,
    listen,
    listening_process,
    serves_token,
)
from gatecert.errors import AddressInUseError, ChallengeError
from gatecert.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WILDCARD = "0.0.0.0"  # noqa: S104 - nothing is bound there

pytestmark = pytest.mark.enable_socket


def nobody_is_ours(_: Endpoint) -> bool:
    return False


@pytest.fixture
def both() -> tuple[Endpoint, Endpoint]:
    port = free_port()
    return Endpoint("::1", port), Endpoint(LOOPBACK, port)


@pytest.fixture
def stranger(endpoint: Endpoint) -> Iterator[socket.socket]:
    """Somebody who shares ports as well, as haproxy does."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((endpoint.host, endpoint.port))
        listener.listen()
        yield listener


def close(listeners: list[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


def test_both_families_on_one_port(both: tuple[Endpoint, Endpoint]) -> None:
    listeners = listen(both, nobody_is_ours)

    assert [listener.family for listener in listeners] == [socket.AF_INET6, socket.AF_INET]
    for endpoint in both:
        socket.create_connection((endpoint.host, endpoint.port), timeout=5).close()
    close(listeners)


def test_both_wildcards_on_one_port() -> None:
    port = free_port()
    wildcards = (Endpoint("::", port), Endpoint(WILDCARD, port))
    close(listen(wildcards, nobody_is_ours))


def test_a_port_can_be_taken_again_at_once(endpoint: Endpoint) -> None:
    for _ in range(3):
        close(listen([endpoint], nobody_is_ours))


@pytest.mark.usefixtures("stranger")
def test_a_stranger_is_named_and_left_alone(endpoint: Endpoint) -> None:
    with pytest.raises(AddressInUseError) as caught:
        listen([endpoint], nobody_is_ours)

    name = psutil.Process().name()
    assert str(caught.value).startswith(f"{endpoint} is in use by {name} (pid {os.getpid()}): ")
    assert caught.value.fix


def test_what_was_bound_before_a_stranger_was_met_is_given_back(
    endpoint: Endpoint, stranger: socket.socket
) -> None:
    first = Endpoint(LOOPBACK, free_port())
    with pytest.raises(AddressInUseError):
        listen([first, endpoint], nobody_is_ours)

    close(listen([first], nobody_is_ours))
    assert stranger.fileno() >= 0


@pytest.mark.usefixtures("stranger")
def test_one_of_ours_is_shared_with(endpoint: Endpoint) -> None:
    asked: list[Endpoint] = []

    def is_ours(it: Endpoint) -> bool:
        asked.append(it)
        return True

    close(listen([endpoint], is_ours))

    assert asked == [endpoint]


def test_one_that_closes_while_it_is_asked_is_no_stranger(
    endpoint: Endpoint, stranger: socket.socket
) -> None:
    def closing(_: Endpoint) -> bool:
        stranger.close()
        return False

    close(listen([endpoint], closing))


def test_an_address_that_this_host_does_not_have_is_left_out(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    elsewhere = Endpoint("192.0.2.1", endpoint.port)

    listeners = listen([elsewhere, endpoint], nobody_is_ours)

    assert len(listeners) == 1
    assert "not listening address=192.0.2.1" in caplog.text
    close(listeners)


def test_a_family_that_this_host_does_not_have_is_left_out(
    both: tuple[Endpoint, Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.socket

    def without_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, kind)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    listeners = listen(both, nobody_is_ours)
    monkeypatch.undo()

    assert [listener.family for listener in listeners] == [socket.AF_INET]
    close(listeners)


@pytest.mark.parametrize("endpoints", [[], [Endpoint("192.0.2.1", 80)]])
def test_nothing_to_listen_on(endpoints: list[Endpoint]) -> None:
    with pytest.raises(ChallengeError, match="no address to listen on for http-01"):
        listen(endpoints, nobody_is_ours)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "port 80 needs CAP_NET_BIND_SERVICE"),
        (errno.EPERM, "port 80 needs CAP_NET_BIND_SERVICE"),
        (errno.ENOBUFS, "cannot listen on 127.0.0.1:80: No buffer space available"),
    ],
)
def test_listening_that_is_refused(
    monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", refused)

    with pytest.raises(ChallengeError, match=message):
        listen([Endpoint(LOOPBACK, 80)], nobody_is_ours)


def test_listening_that_fails_after_binding(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    monkeypatch.setattr(socket.socket, "listen", refused)

    with pytest.raises(AddressInUseError, match="is in use by another process"):
        listen([endpoint], nobody_is_ours)


# --------------------------------------------------------------------------- holder


def test_nobody_holds_a_free_port(endpoint: Endpoint) -> None:
    assert find_port_holder(endpoint) == PortHolder((), "")
    assert listening_process(endpoint.port) is None


@pytest.mark.parametrize("failure", [psutil.AccessDenied(1), OSError("no /proc")])
def test_a_holder_that_cannot_be_seen(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def denied(_: str) -> None:
        raise failure

    monkeypatch.setattr(psutil, "net_connections", denied)

    assert find_port_holder(Endpoint(WILDCARD, 80)) == PortHolder((), "")
    assert listening_process(80) is None


def listening_at(*hosts: str) -> Callable[[str], list[object]]:
    """What psutil sees of somebody at port 80 of these addresses."""
    seen = [
        SimpleNamespace(
            status=psutil.CONN_LISTEN, laddr=SimpleNamespace(ip=host, port=80), pid=os.getpid()
        )
        for host in hosts
    ]
    return lambda _kind: list(seen)


@pytest.mark.parametrize(
    ("host", "taken", "collides"),
    [
        (WILDCARD, WILDCARD, True),
        (WILDCARD, "127.0.0.1", True),
        (WILDCARD, "::", True),
        (WILDCARD, "::1", False),
        ("::", WILDCARD, False),
        ("::", "::1", True),
        ("192.0.2.1", WILDCARD, True),
        ("192.0.2.1", "127.0.0.1", False),
        ("192.0.2.1", "192.0.2.1", True),
    ],
)
def test_only_who_is_in_the_way_is_named(
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    taken: str,
    collides: bool,  # noqa: FBT001 - a parameter
) -> None:
    monkeypatch.setattr(psutil, "net_connections", listening_at(taken))
    assert find_port_holder(Endpoint(host, 80)).addresses == ((taken,) if collides else ())
    assert f"(pid {os.getpid()})" in (listening_process(80) or "")


def test_a_port_that_is_taken_at_one_address_is_free_at_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(psutil, "net_connections", listening_at("127.0.0.1"))

    def refused(*_: object) -> None:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    monkeypatch.setattr(socket.socket, "bind", refused)
    with pytest.raises(AddressInUseError, match=r"listens on port 80 at 127\.0\.0\.1") as caught:
        listen([Endpoint(WILDCARD, 80)], nobody_is_ours)
    assert "set challenges.http-01.listen to the address that the CA connects to" in (
        caught.value.fix
    )


# --------------------------------------------------------------------------- serves


def test_a_gatecert_on_the_same_state_is_known_by_its_answer(endpoint: Endpoint) -> None:
    listeners = listen([endpoint], nobody_is_ours)
    responder = HttpResponder(listeners, {"abc": "abc.def"}.get, lambda _: None)

    assert serves_token(endpoint, "abc", "abc.def")
    assert not serves_token(endpoint, "abc", "abc.other")
    assert not serves_token(endpoint, "unknown", "unknown.def")
    responder.stop()
    assert not serves_token(endpoint, "abc", "abc.def")


def test_the_wildcard_is_asked_on_loopback() -> None:
    wildcard = Endpoint(WILDCARD, free_port())
    responder = HttpResponder(
        listen([wildcard], nobody_is_ours), {"abc": "abc.def"}.get, lambda _: None
    )

    assert serves_token(wildcard, "abc", "abc.def")
    responder.stop()


def test_a_stranger_who_speaks_no_http_or_nothing_at_all(
    endpoint: Endpoint, stranger: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greet() -> None:
        channel, _ = stranger.accept()
        with channel:
            channel.sendall(b"220 mail.example.com ESMTP\r\n")

    thread = threading.Thread(target=greet)
    thread.start()
    assert not serves_token(endpoint, "abc", "abc.def")
    thread.join()

    monkeypatch.setattr(module, "PROBE_SECONDS", 0.05)
    assert not serves_token(endpoint, "abc", "abc.def")
    assert PREFIX.startswith("/")
