"""docs/gateways/haproxy.md"""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from harness.handshake import HandshakeLoop, served_certificate
from harness.process import BackgroundProcess, program
from harness.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateways.conftest import Open, Serves, Tell

HOSTNAME = "boston-njndubu.dynamic-m.com"


class Visitor(http.client.HTTPSConnection):
    """A browser with a persistent connection."""

    def __init__(self, root: Path) -> None:
        self._context = ssl.create_default_context(cafile=root)
        super().__init__(HOSTNAME, context=self._context, timeout=5.0)

    def connect(self) -> None:
        plain = socket.create_connection(("127.0.0.1", 443), self.timeout)
        self.sock = self._context.wrap_socket(plain, server_hostname=HOSTNAME)

    def get(self) -> bytes:
        self.request("GET", "/")
        return self.getresponse().read()


def test_haproxy(open_page: Open, serves: Serves, tell: Tell, tmp_path: Path) -> None:
    scenario = open_page("haproxy")
    scenario.bootstrap()
    scenario.configure_server()
    haproxy = BackgroundProcess(
        [program("haproxy"), "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"],
        log=tmp_path / "haproxy.log",
    )
    scenario.servers.enter_context(haproxy)
    wait_until(serves, "HAProxy at port 443", explain=haproxy.tail)
    with pytest.raises(ssl.SSLCertVerificationError):
        served_certificate("127.0.0.1", 443, HOSTNAME, trusted=scenario.root)

    scenario.trust()
    loop = HandshakeLoop("127.0.0.1", 443, HOSTNAME, interval=0.01, trusted=scenario.root)
    with closing(Visitor(scenario.root)) as visitor, loop:
        assert visitor.get() == b"boston"
        own_port = visitor.sock.getsockname()[1]
        seconds = scenario.renew()
        loop.wait_for_leaves(2)
        assert visitor.get() == b"boston"
        assert visitor.sock.getsockname()[1] == own_port

    assert loop.failures == []
    assert "Reexecuting" not in haproxy.output
    tell(
        f"HAProxy: renewed in {seconds:.2f} s; 0 of {len(loop.handshakes)} new connections "
        "refused, an open one went on, nothing was reloaded"
    )
