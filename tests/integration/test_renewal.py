"""Automatic renewals, as clients see them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from harness.handshake import HandshakeLoop
from harness.nginx import Nginx
from harness.pebble import PebbleOptions

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from conftest import StartPebble
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.ocserv import Ocserv
    from harness.pebble import Pebble

BOSTON = "boston"
PARIS = "paris"
RENEWALS = 3


def test_three_renewals_in_a_minute_drop_no_connection(
    servers: ExitStack,
    gatecert: Gatecert,
    start_pebble: StartPebble,
    names: ChallengeTestServer,
    gateway: Ocserv,
    hostname: str,
    tmp_path: Path,
) -> None:
    pebble = start_pebble(PebbleOptions(profiles={"minute": 60}))
    web = Nginx(tmp_path / "nginx", **gatecert.files(PARIS))
    gatecert.use(pebble, names, profile="minute")
    gatecert.add_gateway(
        BOSTON,
        hostname,
        # ocserv keeps key and certificate in two processes and reloads them one after
        # the other; only with the same key does no handshake fail.
        key={"reuse": True},
        install={"reload": gateway.reload_command, "verify": [gateway.address]},
    )
    gatecert.add_gateway(
        PARIS,
        "paris.example.com",
        install={"reload": web.reload_command, "verify": [web.address]},
    )
    gatecert.start()
    gatecert.wait_bootstrapped(BOSTON)
    gatecert.wait_bootstrapped(PARIS)
    gateway.start()
    servers.enter_context(web)
    names.point(hostname, "127.0.0.1")
    names.point("paris.example.com", "127.0.0.1")
    gatecert.wait_for(
        lambda: {gatecert.state(name) for name in (BOSTON, PARIS)} == {"trusted"},
        "both gateways to be trusted",
    )

    boston = servers.enter_context(
        HandshakeLoop("127.0.0.1", gateway.port, hostname, trusted=pebble.root)
    )
    paris = servers.enter_context(
        HandshakeLoop("127.0.0.1", web.port, "paris.example.com", trusted=pebble.root)
    )
    boston.wait_for_leaves(1 + RENEWALS, seconds=RENEWALS * 60)
    paris.wait_for_leaves(1 + RENEWALS, seconds=60)

    for loop in (boston, paris):
        assert loop.failures == []
        assert loop.rate >= 10
    # There were no needless orders: each certificate was served, or is about to be.
    served = len(boston.fingerprints) + len(paris.fingerprints)
    assert pebble.certificates() <= served + 2


def test_a_renewal_window_in_the_past_renews_at_once_and_once(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).start()
    gatecert.wait_enrolled(BOSTON)
    first = gatecert.certificate(BOSTON)
    assert first is not None

    now = datetime.now(UTC)
    pebble.set_renewal_window(
        first.public_bytes(serialization.Encoding.PEM).decode("ascii"),
        now - timedelta(hours=2),
        now - timedelta(hours=1),
        explanation_url="https://example.com/why",
    )
    gatecert.look_again()
    gatecert.wait_for(lambda: gatecert.certificate(BOSTON) != first, "a renewal")
    gatecert.look_again()
    gatecert.wait_logged("starting a pass over every gateway", times=2)
    time.sleep(2)  # several times the duration of an order

    assert pebble.orders() == 2
    assert "is a replacement of" in pebble.process.output
    assert "https://example.com/why" in gatecert.process.output
