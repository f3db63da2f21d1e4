from __future__ import annotations

import errno
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.fakes.loopback import LOOPBACK, free_port

from gatecert.challenge.http_responder import PREFIX, http_responder
from gatecert.challenge.listening import (
    NOTHING_PRESENTED,
    PortHolder,
    find_port_holder,
    hold,
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


def is_not_ours(_: Endpoint) -> bool:
    return False


@pytest.fixture
def both() -> tuple[Endpoint, Endpoint]:
    port = free_port()
    return Endpoint("::1", port), Endpoint(LOOPBACK, port)


@pytest.fixture
def stranger(endpoint: Endpoint) -> Iterator[socket.socket]:
    """Listen with SO_REUSEPORT like another program, such as HAProxy."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((endpoint.host, endpoint.port))
        listener.listen()
        yield listener


def close(listeners: list[socket.socket]) -> None:
    for listener in listeners:
        listener.close()


def test_both_address_families_share_a_port(both: tuple[Endpoint, Endpoint]) -> None:
    listeners = listen(both, is_not_ours)

    assert [listener.family for listener in listeners] == [socket.AF_INET6, socket.AF_INET]
    for endpoint in both:
        socket.create_connection((endpoint.host, endpoint.port), timeout=5).close()
    close(listeners)


def test_both_wildcard_addresses_share_a_port() -> None:
    port = free_port()
    wildcards = (Endpoint("::", port), Endpoint(WILDCARD, port))
    close(listen(wildcards, is_not_ours))


def test_a_port_can_be_reused_at_once(endpoint: Endpoint) -> None:
    for _ in range(3):
        close(listen([endpoint], is_not_ours))


@pytest.mark.usefixtures("stranger")
def test_another_program_on_the_port_is_named(endpoint: Endpoint) -> None:
    with pytest.raises(AddressInUseError) as caught:
        listen([endpoint], is_not_ours)

    name = psutil.Process().name()
    assert str(caught.value).startswith(f"{endpoint} is in use by {name} (pid {os.getpid()}): ")
    assert caught.value.fix


def test_bound_ports_are_released_after_an_error(
    endpoint: Endpoint, stranger: socket.socket
) -> None:
    first = Endpoint(LOOPBACK, free_port())
    with pytest.raises(AddressInUseError):
        listen([first, endpoint], is_not_ours)

    close(listen([first], is_not_ours))
    assert stranger.fileno() >= 0


@pytest.mark.usefixtures("stranger")
def test_a_port_of_another_gatecert_is_shared(endpoint: Endpoint) -> None:
    asked: list[Endpoint] = []

    def is_ours(it: Endpoint) -> bool:
        asked.append(it)
        return True

    close(listen([endpoint], is_ours))

    assert asked == [endpoint]


def test_a_listener_that_closes_during_the_probe_is_no_error(
    endpoint: Endpoint, stranger: socket.socket
) -> None:
    def closing(_: Endpoint) -> bool:
        stranger.close()
        return False

    close(listen([endpoint], closing))


def test_an_address_that_this_host_lacks_is_skipped(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    elsewhere = Endpoint("192.0.2.1", endpoint.port)

    listeners = listen([elsewhere, endpoint], is_not_ours)

    assert len(listeners) == 1
    assert "not listening address=192.0.2.1" in caplog.text
    close(listeners)


def test_an_address_family_that_this_host_lacks_is_skipped(
    both: tuple[Endpoint, Endpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.socket

    def without_ipv6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, kind)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    listeners = listen(both, is_not_ours)
    monkeypatch.undo()

    assert [listener.family for listener in listeners] == [socket.AF_INET]
    close(listeners)


@pytest.mark.parametrize("endpoints", [[], [Endpoint("192.0.2.1", 80)]])
def test_an_error_without_any_address(endpoints: list[Endpoint]) -> None:
    with pytest.raises(ChallengeError, match="no address to listen on for http-01"):
        listen(endpoints, is_not_ours)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "port 80 needs CAP_NET_BIND_SERVICE"),
        (errno.EPERM, "port 80 needs CAP_NET_BIND_SERVICE"),
        (errno.ENOBUFS, "cannot listen on 127.0.0.1:80: No buffer space available"),
    ],
)
def test_a_refused_bind_is_an_error(
    monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", refused)

    with pytest.raises(ChallengeError, match=message):
        listen([Endpoint(LOOPBACK, 80)], is_not_ours)


def test_a_failed_listen_is_an_error(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    monkeypatch.setattr(socket.socket, "listen", refused)

    with pytest.raises(AddressInUseError, match="is in use by another process"):
        listen([endpoint], is_not_ours)


# --------------------------------------------------------------------------- processes on a port


def test_a_free_port_has_no_process(endpoint: Endpoint) -> None:
    assert find_port_holder(endpoint) == PortHolder((), "")
    assert listening_process(endpoint.port) is None


@pytest.mark.parametrize("failure", [psutil.AccessDenied(1), OSError("no /proc")])
def test_a_process_that_cannot_be_determined(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def denied(_: str) -> None:
        raise failure

    monkeypatch.setattr(psutil, "net_connections", denied)

    assert find_port_holder(Endpoint(WILDCARD, 80)) == PortHolder((), "")
    assert listening_process(80) is None


def listening_at(*hosts: str) -> Callable[[str], list[object]]:
    """Return a psutil function that reports a listener on port 80 of these addresses."""
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
def test_only_conflicting_listeners_are_named(
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    taken: str,
    collides: bool,  # noqa: FBT001 - a parameter
) -> None:
    monkeypatch.setattr(psutil, "net_connections", listening_at(taken))
    assert find_port_holder(Endpoint(host, 80)).addresses == ((taken,) if collides else ())
    assert f"(pid {os.getpid()})" in (listening_process(80) or "")


def test_a_port_in_use_at_one_address_is_free_at_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(psutil, "net_connections", listening_at("127.0.0.1"))

    def refused(*_: object) -> None:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))

    monkeypatch.setattr(socket.socket, "bind", refused)
    with pytest.raises(AddressInUseError, match=r"listens on port 80 at 127\.0\.0\.1") as caught:
        listen([Endpoint(WILDCARD, 80)], is_not_ours)
    assert "set challenges.http-01.listen to the address that the CA connects to" in (
        caught.value.fix
    )


# --------------------------------------------------------------------------- serves_token


def test_a_gatecert_with_the_same_state_directory_serves_the_token(endpoint: Endpoint) -> None:
    listeners = listen([endpoint], is_not_ours)
    responder = http_responder(listeners, {"abc": "abc.def"}.get, lambda _: None)

    assert serves_token(endpoint, "abc", "abc.def")
    assert not serves_token(endpoint, "abc", "abc.other")
    assert not serves_token(endpoint, "unknown", "unknown.def")
    responder.stop()
    assert not serves_token(endpoint, "abc", "abc.def")


def test_a_wildcard_address_is_probed_on_loopback() -> None:
    wildcard = Endpoint(WILDCARD, free_port())
    responder = http_responder(
        listen([wildcard], is_not_ours), {"abc": "abc.def"}.get, lambda _: None
    )

    assert serves_token(wildcard, "abc", "abc.def")
    responder.stop()


def test_another_protocol_or_silence_does_not_serve_the_token(
    endpoint: Endpoint, stranger: socket.socket
) -> None:
    def greet() -> None:
        channel, _ = stranger.accept()
        with channel:
            channel.sendall(b"220 mail.example.com ESMTP\r\n")

    thread = threading.Thread(target=greet)
    thread.start()
    assert not serves_token(endpoint, "abc", "abc.def")
    thread.join()

    assert not serves_token(endpoint, "abc", "abc.def", timeout=0.05)
    assert PREFIX.startswith("/")


@pytest.mark.parametrize("answer", [b"", NOTHING_PRESENTED])
def test_a_held_port_is_shared(endpoint: Endpoint, answer: bytes) -> None:
    with hold(endpoint) as core, ThreadPoolExecutor(1) as pool:
        core.settimeout(5)

        def turn_away() -> None:
            with core.accept()[0] as connection:
                connection.recv(1024)
                connection.sendall(answer)

        turned_away = pool.submit(turn_away)
        close(listen([endpoint], is_not_ours))
        turned_away.result()


def test_a_port_is_held_only_if_nobody_listens(endpoint: Endpoint) -> None:
    (listener,) = listen([endpoint], is_not_ours)
    with listener, pytest.raises(OSError, match="in use"):
        hold(endpoint)


def test_another_program_that_answers_nothing_is_not_shared_with(endpoint: Endpoint) -> None:
    """The port is its own; only processes of this user share what they hold."""
    with socket.create_server((endpoint.host, endpoint.port)) as stranger:
        stranger.settimeout(5)

        def turn_away() -> None:
            stranger.accept()[0].close()

        thread = threading.Thread(target=turn_away)
        thread.start()
        with pytest.raises(AddressInUseError):
            listen([endpoint], is_not_ours)
        thread.join()
