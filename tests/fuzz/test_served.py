"""Any data from a listener, and any output of a hook."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from OpenSSL import SSL
from tests.fakes.pki import Pki
from tests.fuzz.material import one_of_octets, spoilt
from tests.fuzz.promise import check_error, check_line, promised
from tests.fuzz.scenes import listener, scratch, stop_listening
from tests.fuzz.source import Make, Source, binary, just, lists, mapped, one_of

from gatecert import process
from gatecert.deadline import Deadline
from gatecert.deploy.reload import reload
from gatecert.errors import GatecertError
from gatecert.model import Endpoint, InstallPlan
from gatecert.verify.probe import probe
from gatecert.verify.served_chain import ProbeFailure

if TYPE_CHECKING:
    from collections.abc import Iterator

PKI: Final = Pki()
ROOT: Final = PKI.root()
LEAF: Final = PKI.issue("vpn.example.com", ROOT)
HANDSHAKE: Final = 22
VERSION: Final = b"\3\3"


def record(kind: int, content: bytes) -> bytes:
    """TLS records (RFC 5246 section 6.2.1)."""
    pieces = [content[at : at + 16384] for at in range(0, len(content), 16384)] or [b""]
    return b"".join(struct.pack("!B2sH", kind, VERSION, len(each)) + each for each in pieces)


def message(kind: int, content: bytes) -> bytes:
    """A handshake message (section 7.4)."""
    return bytes([kind]) + len(content).to_bytes(3, "big") + content


def flight(certificates: list[bytes], asked: bytes = b"") -> bytes:
    """Return the first flight of a TLS 1.2 server, with its certificates in clear."""
    hello = VERSION + b"\7" * 32 + b"\0" + b"\xc0\x2b" + b"\0" + b"\0\0"
    listed = b"".join(len(each).to_bytes(3, "big") + each for each in certificates)
    found = message(2, hello) + message(11, len(listed).to_bytes(3, "big") + listed)
    if asked:
        found += message(13, b"\1\x40\0\2\4\3" + len(asked).to_bytes(2, "big") + asked)
    return record(HANDSHAKE, found + message(14, b""))


def recorded() -> tuple[bytes, ...]:
    """Recorded data of a real server, with TLS 1.2 and 1.3."""
    flights = []
    for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_max_proto_version(version)
        context.use_certificate(LEAF.certificate)
        context.use_privatekey(LEAF.private_key)
        server, client = SSL.Connection(context, None), _client()
        with suppress(SSL.WantReadError):
            client.do_handshake()
        server.set_accept_state()
        server.bio_write(client.bio_read(65536))
        with suppress(SSL.WantReadError):
            server.do_handshake()
        flights.append(server.bio_read(65536))
    return tuple(flights)


def _client() -> SSL.Connection:
    client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
    client.set_connect_state()
    return client


SEEDS: Final = (
    *recorded(),
    flight([LEAF.der, ROOT.der]),
    flight([LEAF.der], asked=b"\0\x10" + b"\x30\x0e\x31\x0c\x30\x0a\6\3\x55\4\3\x0c\3abc"),
    flight([LEAF.der] * 60),
    record(21, b"\2\x28"),
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    b"220 mail.example.com ESMTP\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    record(HANDSHAKE, b"\0" * 16384) * 3,
)
ders: Make[bytes] = spoilt(just(LEAF.der, ROOT.der))
octets: Make[bytes] = one_of(
    one_of_octets(*SEEDS),
    one_of_octets(*SEEDS),
    mapped(lists(ders, 3, least=1), flight),
    mapped(lists(one_of_octets(*SEEDS), 3), b"".join),
)


@promised(octets, just("vpn.example.com", "192.0.2.1", "*.example.com"), share=8)
def test_what_a_listener_sends(said: bytes, name: str) -> None:
    listener().says = said
    found = probe(listener().endpoint, name, timeout=1.0)
    if isinstance(found, ProbeFailure):
        check_line(found.detail)
        assert len(found.detail) < 1000
    else:
        assert len(found.fingerprint) == 64
        assert len(found.chain_fingerprints) < 100


@pytest.mark.parametrize("said", [SEEDS[0], SEEDS[-1], b"\x16\3\3\xff\xff" + b"\0" * 8])
def test_a_listener_that_drips_costs_no_more_than_its_time(said: bytes) -> None:
    stop = threading.Event()

    def drip(server: socket.socket) -> None:
        channel, _ = server.accept()
        with suppress(OSError), channel:
            for each in said * 100:
                if stop.is_set():
                    return
                channel.sendall(bytes([each]))
                time.sleep(0.005)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        begin = time.monotonic()
        found = probe(Endpoint("127.0.0.1", server.getsockname()[1]), "x.example", timeout=0.3)
        seconds = time.monotonic() - begin
        stop.set()
        thread.join()

    assert isinstance(found, ProbeFailure)
    assert seconds < 1.0


def test_a_listener_that_never_ends_its_handshake_is_left() -> None:
    sent = 0

    def flood(server: socket.socket) -> None:
        nonlocal sent
        channel, _ = server.accept()
        with suppress(OSError), channel:
            channel.recv(65536)
            while sent < 1 << 28:
                sent += channel.send(record(HANDSHAKE, b"\0" * 16384))

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=flood, args=(server,), daemon=True)
        thread.start()
        found = probe(Endpoint("127.0.0.1", server.getsockname()[1]), "x.example", timeout=5.0)
        thread.join()

    assert isinstance(found, ProbeFailure)
    assert sent < 1 << 25


# --------------------------------------------------------------------------- hooks

SCRATCH: Final = scratch()
DIRECTORY: Final = SCRATCH.__enter__()
PRINTED: Final = DIRECTORY / "printed"
COMMAND: Final = DIRECTORY / "hook"
COMMAND.write_text(f'#!/bin/sh\ncat {PRINTED}\nexit "$1"\n', "ascii")
COMMAND.chmod(0o700)
ENDINGS: Final = ("0", "1", "255")


@pytest.fixture(scope="session", autouse=True)  # workers may come back to a module
def _tidy() -> Iterator[None]:
    yield
    SCRATCH.__exit__(None, None, None)
    stop_listening()


def outputs(source: Source) -> bytes:
    """Return possible output of a command: escapes and octets, and much of both."""
    piece = one_of(
        just(b"\x1b[2J", b"\x1b]0;title\x07", b"\x1bP", b"\r\n", b"\0", b"\xff", b"\x9b31m"),
        just(b"a" * 5000),
        binary(60),
    )
    return b"".join(piece(source) for _ in range(source.integer(0, 6))) * source.choice((1, 1, 40))


@promised(outputs, just(*ENDINGS), examples=60, share=1)
def test_what_a_hook_prints(printed: bytes, ending: str) -> None:
    PRINTED.write_bytes(printed)
    plan = InstallPlan(reload=(str(COMMAND), ending), reload_timeout=timedelta(seconds=1.5))
    try:
        seconds = reload(plan, gateway="vpn", hostname="x.example", live=Path("/"), version="1")
    except GatecertError as error:
        check_error(error, longest=2000)
    else:
        assert seconds > 0
        with process.started(plan.reload, process.environment()) as run:
            assert run.wait(Deadline.after(1.5))
        assert run.output == "" or run.output.isprintable()
        assert len(run.output) <= 4096
