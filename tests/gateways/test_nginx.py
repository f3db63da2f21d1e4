"""docs/gateways/nginx.md"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from harness.handshake import HandshakeLoop, served_certificate
from harness.process import BackgroundProcess, program
from harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateways.conftest import Open, Serves, Tell

HOSTNAME = "boston-njndubu.dynamic-m.com"


def half_a_request(root: Path) -> ssl.SSLSocket:
    """Send the first half of a request."""
    context = ssl.create_default_context(cafile=root)
    connection = context.wrap_socket(
        socket.create_connection(("127.0.0.1", 443), 5.0), server_hostname=HOSTNAME
    )
    connection.sendall(b"GET / HTTP/1.1\r\n")
    return connection


def test_nginx(open_page: Open, serves: Serves, tell: Tell, tmp_path: Path) -> None:
    scenario = open_page("nginx")
    scenario.bootstrap()
    scenario.configure_server()
    nginx = BackgroundProcess([program("nginx"), "-g", "daemon off;"], log=tmp_path / "nginx.log")
    scenario.servers.enter_context(nginx)
    wait_until(serves, "nginx at port 443", explain=nginx.tail)
    with pytest.raises(ssl.SSLCertVerificationError):
        served_certificate("127.0.0.1", 443, HOSTNAME, trusted=scenario.root)

    scenario.trust()
    loop = HandshakeLoop("127.0.0.1", 443, HOSTNAME, interval=0.01, trusted=scenario.root)
    with loop, half_a_request(scenario.root) as request:
        seconds = scenario.renew()
        loop.wait_for_leaves(2)
        request.sendall(f"Host: {HOSTNAME}\r\nConnection: close\r\n\r\n".encode())
        answer = request.recv(4096)

    assert answer.startswith(b"HTTP/1.1 ")
    assert loop.failures == []
    tell(
        f"nginx: renewed in {seconds:.2f} s; 0 of {len(loop.handshakes)} new connections refused, "
        "a request under way was answered"
    )
