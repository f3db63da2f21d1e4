"""Rows 37, 38 and 50: a certificate that cannot be proven, and one that is worse than the last."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from tests.faults import peers
from tests.faults.forger import Forger
from tests.faults.proxy.faults import Body
from tests.faults.scene import HOSTNAME, VPN, Scene, issued, refused
from tests.faults.test_gateway import der, script, served

from harness.nginx import Nginx
from harness.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.peers import Peer

    from harness.gatecert import Gatecert

NOT_HERE, HERE = "127.0.0.9", "127.0.0.1"


def bootstrapped(scene: Scene, *, more: str = "") -> tuple[Gatecert, Nginx]:
    """A server that has started with the bootstrap certificate; nothing is ordered yet."""
    gatecert = scene.gatecert()
    scene.names.point(HOSTNAME, NOT_HERE)
    refused(gatecert.run("enroll"), "waiting")
    server = Nginx(scene.directory / "nginx", **gatecert.files(VPN), more=more)
    scene.servers.enter_context(server)
    gatecert.configuration["gateways"][VPN]["install"] = {
        "reload": server.reload_command,
        "verify": [server.address],
        "verify_timeout": "1s",
    }
    gatecert.write()
    scene.names.point(HOSTNAME, HERE)
    return gatecert, server


# ---------------------------------------------------------------------- 37


@pytest.mark.parametrize("command", [["sytemctl", "reload", "nginx"], ["/nonexistent/reload"]])
def test_row_37_the_reload_command_is_missing(scene: Scene, command: list[str]) -> None:
    gatecert, server = bootstrapped(scene)
    install = gatecert.configuration["gateways"][VPN]["install"]
    right, install["reload"] = install["reload"], command
    gatecert.write()
    refused(gatecert.run("enroll"), command[0], "stays in place")
    live = gatecert.certificate(VPN)
    assert gatecert.is_enrolled(VPN)
    assert served(server) != der(live)
    status = gatecert.status(VPN)
    assert (status["state"], status["last_error"]["code"]) == ("not-served", "reload-failed")

    install["reload"] = right
    gatecert.write()
    issued(gatecert.run("enroll"))
    assert gatecert.certificate(VPN) == live
    assert served(server) == der(live)
    assert scene.pebble.orders() == 1


def test_peer_row_37(peer: Peer, scene: Scene) -> None:
    log = scene.directory / "hook.log"
    result = peers.run(peer, peer.command(*peer.hook("sytemctl reload nginx")))
    assert not result.succeeded, "claims success; nothing was reloaded"
    assert peers.leaf(peer) is not None, "has no certificate at all"
    hook = script(scene.directory / "reload", f"echo run >> {log}")
    peers.run(peer, peer.renewal(*peer.hook(hook)))
    assert log.exists(), "a hook that failed is never run again"
    assert scene.pebble.orders() == 1, "orders again"


# ---------------------------------------------------------------------- 38

KINDS = ("PROXY protocol", "strict virtual host", "STARTTLS")


class Greeter:
    """Greets as a mail server does, and speaks no TLS before STARTTLS."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._greet, daemon=True)
        self._thread.start()

    def _greet(self) -> None:
        with suppress(OSError):
            while True:
                stream, _ = self._socket.accept()
                with suppress(OSError), stream:
                    stream.sendall(b"220 mail.example.com ESMTP\r\n")
                    stream.settimeout(2)
                    stream.recv(4096)
                    stream.sendall(b"500 what?\r\n")

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def greeter() -> Iterator[Greeter]:
    with closing(Greeter()) as server:
        yield server


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("when", ["enrolment", "near the end"])
def test_row_38_a_listener_that_cannot_be_proven(
    scene: Scene, greeter: Greeter, kind: str, when: str
) -> None:
    proxied, strict = free_port(), free_port()
    gatecert, server = bootstrapped(
        scene,
        more=f"listen 127.0.0.1:{proxied} ssl proxy_protocol;\n return 204; }}\n"
        f"server {{ listen 127.0.0.1:{strict} ssl; ssl_reject_handshake on;",
    )
    forger = Forger(scene.directory)
    authority = {"trusted_roots": str(forger.root)}
    if when == "near the end":
        scene.rules.add("certificate", Body(forger.for_minutes))
        gatecert.configuration["authorities"]["pebble"].update(authority)
        issued(gatecert.write().run("enroll"))
        scene.rules.clear()
    scene.rules.add("certificate", Body(forger.honest))
    before = gatecert.certificate(VPN)
    addresses = (f"127.0.0.1:{proxied}", f"127.0.0.1:{strict}", greeter.address)
    install = {
        **gatecert.configuration["gateways"][VPN]["install"],
        "verify": [dict(zip(KINDS, addresses, strict=True))[kind]],
    }
    first, second, third = (
        scene.gatecert(install=dict(install), authority=authority, clock=clock)
        for clock in ("", "+60s", "+600s")
    )
    refused(first.write().run("enroll", "--force"), *install["verify"], "stays in place")
    better = gatecert.certificate(VPN)
    assert gatecert.is_enrolled(VPN)
    assert better != before
    assert first.status(VPN)["last_error"]["code"] == "not-served"
    orders = scene.pebble.orders()

    refused(second.write().run("enroll"))
    assert gatecert.certificate(VPN) == better

    third.configuration["gateways"][VPN]["install"]["verify"] = [server.address]
    third.write()
    issued(third.run("enroll"))
    assert served(server) == der(better)
    assert gatecert.certificate(VPN) == better
    assert scene.pebble.orders() == orders


# ---------------------------------------------------------------------- 50


@pytest.mark.parametrize("surprise", ["minutes", "unknown root"])
def test_row_50_an_authority_that_issues_something_worse(scene: Scene, surprise: str) -> None:
    """Chains may end anywhere, and this machine trusts the root of the first certificate."""
    forger = Forger(scene.directory)

    def at(clock: str) -> Gatecert:
        gatecert = scene.gatecert(
            clock=clock,
            environment={"SSL_CERT_FILE": str(forger.root)},
            install={"keep_versions": 2},
        )
        del gatecert.configuration["authorities"]["pebble"]["trusted_roots"]
        return gatecert.write()

    gatecert = at("")
    scene.rules.add("certificate", Body(forger.honest))
    issued(gatecert.run("enroll"))
    good, kept = gatecert.certificate(VPN), gatecert.live(VPN).resolve()

    scene.rules.clear()
    if surprise == "minutes":
        scene.rules.add("certificate", Body(forger.for_minutes))
        refused(gatecert.run("enroll", "--force"), "before the one in use")
    else:
        refused(gatecert.run("enroll", "--force"), "--accept-untrusted")
    assert gatecert.certificate(VPN) == good
    code = {"minutes": "short-lived", "unknown root": "untrusted-root"}[surprise]
    assert gatecert.status(VPN)["last_error"]["code"] == code
    assert scene.pebble.orders() == 2
    for clock in ("+3600s", "+72000s"):
        at(clock).run("enroll")
        assert gatecert.certificate(VPN) == good
    assert kept.is_dir()
    assert scene.pebble.orders() == 2

    if surprise == "unknown root":
        issued(at("").run("enroll", "--accept-untrusted"))
        assert gatecert.certificate(VPN) != good
        assert gatecert.is_enrolled(VPN)
        assert scene.pebble.orders() == 2


def test_peer_row_50(peer: Peer, scene: Scene) -> None:
    forger = Forger(scene.directory)
    scene.rules.add("certificate", Body(forger.honest))
    peers.issue(peer)
    before = peers.leaf(peer)
    scene.rules.clear()
    scene.rules.add("certificate", Body(forger.for_minutes))
    peers.run(peer, peer.renewal(force=True))
    assert peers.leaf(peer) == before, "replaces a certificate of 90 days by one of minutes"
