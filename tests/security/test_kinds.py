"""A responder answers challenges of its own type only.

While a gateway is validated by tls-alpn-01, a client that knows its name can compute the name of
the stored response, and ask the http-01 responder for it.
"""

from __future__ import annotations

import http.client
import socket
import sys
from base64 import urlsafe_b64encode
from contextlib import ExitStack, closing
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from harness.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

PREFIX = "/.well-known/acme-challenge/"
# Passes a socket on as systemd does (sd_listen_fds(3)), and becomes the command.
ACTIVATE = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "http-01"}
os.execv(sys.argv[2], sys.argv[2:])
"""


def guesses(hostname: str) -> list[str]:
    """Return names under which a response to a handshake for this hostname may be stored."""
    digest = sha256(hostname.encode()).digest()
    hashes = [urlsafe_b64encode(digest).decode().rstrip("="), digest.hex(), hostname]
    return [f"tls-alpn-01{mark}{each}" for each in hashes for mark in "_.-/"] + hashes


def fetch(port: int, name: str) -> tuple[int, bytes]:
    """Ask the http-01 responder for a response."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", PREFIX + name)
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.mark.attack(
    "fetch a response to tls-alpn-01 over HTTP, by the name that it is stored under"
)
@pytest.mark.parametrize("holder", ["worker", "systemd"])
def test_http_01_answers_nothing_of_tls_alpn_01(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    servers: ExitStack,
    holder: str,
) -> None:
    http, tls = "http.example.com", "tls.example.com"
    port = free_port()
    gatecert.use(pebble, names)
    gatecert.configuration["challenges"] = {
        "http-01": {"listen": [f"127.0.0.1:{port}"]},
        "tls-alpn-01": {"listen": [f"127.0.0.1:{free_port()}"]},
    }
    for name, kind in ((http, "http-01"), (tls, "tls-alpn-01")):
        names.point(name, "127.0.0.1")
        gatecert.add_gateway(name.partition(".")[0], name, challenge=kind)
    # The CA waits for answers that never come, so both responses stay available.
    for silent in (pebble.ports.http01, pebble.ports.tls_alpn01):
        servers.enter_context(socket.create_server(("127.0.0.1", silent)))
    if holder == "systemd":
        listener = servers.enter_context(socket.create_server(("127.0.0.1", port)))
        command = [*gatecert.command, "run"]
        number = str(listener.fileno())
        gatecert.process.argv = (sys.executable, "-c", ACTIVATE, number, *command)
        gatecert.process.inherited = {listener.fileno()}
    gatecert.start()

    def stored() -> list[Path]:
        directory = gatecert.state_directory / "challenges"
        found = sorted(directory.iterdir()) if directory.is_dir() else []
        return [each for each in found if not each.name.startswith(".")]

    gatecert.wait_for(lambda: len(stored()) == 2, "both responses")
    gatecert.wait_for(
        lambda: any(fetch(port, each.name)[0] == HTTPStatus.OK for each in stored()),
        "the response to http-01",
    )
    answered = {}
    for path in stored():
        text = path.read_text("ascii").partition("\n")[0]
        answered[path.name] = (fetch(port, path.name), text.encode())

    (own,) = [name for name, (_, text) in answered.items() if text.startswith(name.encode() + b".")]
    assert answered[own][0] == (200, answered[own][1])
    for name in {*answered, *guesses(tls), *guesses(http)} - {own}:
        assert fetch(port, name)[0] == 404, name
