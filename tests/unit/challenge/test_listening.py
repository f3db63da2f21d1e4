from __future__ import annotations

import errno
import os
import socket
import threading
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.unit.challenge.conftest import LOOPBACK, free_port

from gatecert.challenge import listening as module
from gatecert.challenge.listening import holders, listen, serves
from gatecert.challenge.responder import PREFIX, Responder
from gatecert.errors import AddressInUseError, ChallengeError
from gatecert.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    wildcards = (Endpoint("::", port), Endpoint("0.0.0.0", port))  # noqa: S104 - as configured
    close(listen(wildcards, nobody_is_ours))


def test_a_port_can_be_taken_again_at_once(endpoint: Endpoint) -> None:
    for _ in range(3):
        close(listen([endpoint], nobody_is_ours))


@pytest.mark.usefixtures("stranger")
def test_a_stranger_is_named_and_left_alone(endpoint: Endpoint) -> None:
    with pytest.raises(AddressInUseError) as caught:
        listen([endpoint], nobody_is_ours)

    name = psutil.Process().name()
    assert str(caught.value).startswith(f"{endpoint} is taken by {name} (pid {os.getpid()}): ")
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
    with pytest.raises(ChallengeError, match="no address to answer http-01 on"):
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

    with pytest.raises(AddressInUseError, match="is taken by another process"):
        listen([endpoint], nobody_is_ours)


# --------------------------------------------------------------------------- holder


def test_nobody_holds_a_free_port(endpoint: Endpoint) -> None:
    assert holders(endpoint) == ("", ())


@pytest.mark.parametrize("failure", [psutil.AccessDenied(1), OSError("no /proc")])
def test_a_holder_that_cannot_be_seen(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    def denied(_: str) -> None:
        raise failure

    monkeypatch.setattr(psutil, "net_connections", denied)

    assert holders(Endpoint(LOOPBACK, 80)) == ("", ())


def test_a_port_that_is_held_on_another_address(endpoint: Endpoint) -> None:
    other = Endpoint("127.0.0.2", endpoint.port)
    everywhere = Endpoint("0.0.0.0", endpoint.port)  # noqa: S104 - as configured
    with socket.create_server((other.host, other.port)):
        close(listen([endpoint], nobody_is_ours))
        assert holders(endpoint) == ("", ())
        with pytest.raises(AddressInUseError) as caught:
            listen([everywhere], nobody_is_ours)
    assert f"(pid {os.getpid()}) on {other}: " in str(caught.value)
    assert caught.value.fix.startswith(
        "set challenges.http-01.listen to the address that the names point to, with port "
        f"{endpoint.port}, if that is none of 127.0.0.2; otherwise stop it"
    )


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])  # noqa: S104 - somebody else's
def test_a_port_that_is_held_on_every_address(endpoint: Endpoint, wildcard: str) -> None:
    family = socket.AF_INET6 if ":" in wildcard else socket.AF_INET
    with (
        socket.create_server(
            (wildcard, endpoint.port), family=family, dualstack_ipv6=family == socket.AF_INET6
        ),
        pytest.raises(AddressInUseError) as caught,
    ):
        listen([endpoint], nobody_is_ours)
    assert f" on {Endpoint(wildcard, endpoint.port)}: " in str(caught.value)
    assert caught.value.fix.startswith("let it listen on other addresses than 127.0.0.1; ")


# --------------------------------------------------------------------------- serves


def test_a_gatecert_on_the_same_state_is_known_by_its_answer(endpoint: Endpoint) -> None:
    listeners = listen([endpoint], nobody_is_ours)
    responder = Responder(listeners, {"abc": "abc.def"}.get, lambda _: None)

    assert serves(endpoint, "abc", "abc.def")
    assert not serves(endpoint, "abc", "abc.other")
    assert not serves(endpoint, "unknown", "unknown.def")
    responder.stop()
    assert not serves(endpoint, "abc", "abc.def")


def test_the_wildcard_is_asked_on_loopback() -> None:
    wildcard = Endpoint("0.0.0.0", free_port())  # noqa: S104 - as configured
    responder = Responder(
        listen([wildcard], nobody_is_ours), {"abc": "abc.def"}.get, lambda _: None
    )

    assert serves(wildcard, "abc", "abc.def")
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
    assert not serves(endpoint, "abc", "abc.def")
    thread.join()

    monkeypatch.setattr(module, "PROBE_SECONDS", 0.05)
    assert not serves(endpoint, "abc", "abc.def")
    assert PREFIX.startswith("/")
