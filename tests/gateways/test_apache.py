"""docs/gateways/apache.md"""

from __future__ import annotations

import shutil
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.handshake import HandshakeLoop, served_certificate
from harness.process import BackgroundProcess, program
from harness.waiting import wait_until

from .conftest import HOSTNAME, PROJECT

if TYPE_CHECKING:
    from tests.gateways.conftest import Open, Serves, Tell

FOREGROUND = ". /etc/apache2/envvars && exec apache2 -D FOREGROUND"
REDIRECTING = PROJECT / "docs" / "challenges" / "apache-http-01-webroot.conf"


def half_a_request(root: Path) -> ssl.SSLSocket:
    """Send the first half of a request."""
    context = ssl.create_default_context(cafile=root)
    connection = context.wrap_socket(
        socket.create_connection(("127.0.0.1", 443), 5.0), server_hostname=HOSTNAME
    )
    connection.sendall(b"GET / HTTP/1.1\r\n")
    return connection


def answer_at_80(path: str) -> str:
    """Return what Apache answers at port 80."""
    with socket.create_connection(("127.0.0.1", 80), 5.0) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {HOSTNAME}\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(4096), b"")).decode()


@pytest.mark.parametrize("redirects", [False, True], ids=["default site", "redirecting site"])
def test_apache(
    open_page: Open, serves: Serves, tell: Tell, tmp_path: Path, *, redirects: bool
) -> None:
    scenario = open_page("apache")
    if redirects:
        shutil.copy(REDIRECTING, "/etc/apache2/sites-enabled/redirect.conf")
    scenario.bootstrap()
    scenario.configure_server()
    apache = BackgroundProcess([program("sh"), "-c", FOREGROUND], log=tmp_path / "apache.log")
    scenario.servers.enter_context(apache)
    wait_until(serves, "Apache at port 443", explain=apache.tail)
    with pytest.raises(ssl.SSLCertVerificationError):
        served_certificate("127.0.0.1", 443, HOSTNAME, trusted=scenario.root)
    assert (f"Location: https://{HOSTNAME}/page" in answer_at_80("/page")) == redirects

    scenario.trust()
    loop = HandshakeLoop("127.0.0.1", 443, HOSTNAME, interval=0.01, trusted=scenario.root)
    with loop, half_a_request(scenario.root) as request:
        seconds = scenario.renew()
        loop.wait_for_leaves(2)
        request.sendall(f"Host: {HOSTNAME}\r\nConnection: close\r\n\r\n".encode())
        answer = request.recv(4096)

    assert answer.startswith(b"HTTP/1.1 ")
    assert loop.failures == []
    assert list(Path("/var/www/html/.well-known/acme-challenge").iterdir()) == []
    tell(
        f"Apache: renewed in {seconds:.2f} s; 0 of {len(loop.handshakes)} new connections refused, "
        "a request under way was answered"
    )
