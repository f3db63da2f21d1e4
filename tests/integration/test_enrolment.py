"""From an untrusted gateway to a trusted one, and what must not happen meanwhile."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from harness.handshake import served_certificate
from harness.openconnect import authenticate
from harness.pebble import PebbleOptions

if TYPE_CHECKING:
    from conftest import StartPebble
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.ocserv import Ocserv
    from harness.pebble import Pebble

BOSTON = "boston"
UNTOUCHED = ["GET /dir"]  # the harness waits for the directory


def test_an_untrusted_gateway_becomes_a_trusted_one(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    gateway: Ocserv,
    hostname: str,
) -> None:
    gatecert.use(pebble, names).add_gateway(
        BOSTON,
        hostname,
        install={"reload": gateway.reload_command, "verify": [gateway.address]},
    )
    gatecert.start()
    gatecert.wait_bootstrapped(BOSTON)
    gateway.start()

    before = authenticate(gateway, hostname, pebble.root)
    names.point(hostname, "127.0.0.1")
    gatecert.wait_for(lambda: gatecert.state(BOSTON) == "trusted", "the gateway to be trusted")
    after = authenticate(gateway, hostname, pebble.root)

    assert before.refusal == "signer not found"
    assert after.trusted, after.output
    served = served_certificate("127.0.0.1", gateway.port, hostname, trusted=pebble.root)
    live = gatecert.certificate(BOSTON)
    assert live is not None
    assert served == live.public_bytes(serialization.Encoding.DER)
    assert pebble.orders() == 1


def test_a_name_that_does_not_point_here_costs_no_order(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1", "2001:db8::bad")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).start()
    gatecert.wait_for(lambda: gatecert.state(BOSTON) == "waiting", "the gateway to wait")

    status = gatecert.status(BOSTON)
    assert "2001:db8::bad" in status["detail"]
    assert status["last_error"]["code"] == "name-not-here"
    assert status["last_error"]["fix"]
    assert pebble.orders() == 0

    names.point(hostname, "127.0.0.1")
    gatecert.wait_enrolled(BOSTON)
    assert pebble.orders() == 1


@pytest.mark.parametrize(
    ("trouble", "word"),
    [("unknown", "no A or AAAA record"), ("failing", "SERVFAIL"), ("elsewhere", "203.0.113.66")],
)
def test_unusable_names_are_distinguished(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    hostname: str,
    trouble: str,
    word: str,
) -> None:
    if trouble == "failing":
        names.fail(hostname)
    if trouble == "elsewhere":
        names.point(hostname, "203.0.113.66")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()

    result = gatecert.run("enroll")

    assert result.exit_code == 1
    assert word in result.errors
    assert pebble.requests() == UNTOUCHED


@pytest.mark.parametrize("name", ["vpn.example.cn", "vpn.example.中国", "vpn.example.xn--fiqz9s"])
def test_an_excluded_region_never_reaches_the_authority(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, name: str
) -> None:
    names.point("vpn.example.cn", "127.0.0.1")
    names.point("vpn.example.xn--fiqs8s", "127.0.0.1")
    names.point("vpn.example.xn--fiqz9s", "127.0.0.1")
    gatecert.use(pebble, names).add_gateway("beijing", name).write()

    result = gatecert.run("enroll")

    assert result.exit_code == 0, result.errors
    status = gatecert.status("beijing")
    assert status["state"] == "skipped"
    assert status["words"] == "skipped (region cn)"
    assert gatecert.certificate("beijing") is not None
    assert not gatecert.is_enrolled("beijing")
    assert pebble.requests() == UNTOUCHED


def test_enrolment_succeeds_with_half_of_the_nonces_refused(
    gatecert: Gatecert,
    start_pebble: StartPebble,
    names: ChallengeTestServer,
    hostname: str,
) -> None:
    pebble = start_pebble(PebbleOptions(rejected_nonces=50))
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()

    result = gatecert.run("enroll")

    assert result.exit_code == 0, result.errors
    assert gatecert.is_enrolled(BOSTON)
    assert pebble.orders() == 1


def test_polling_follows_retry_after(
    gatecert: Gatecert,
    start_pebble: StartPebble,
    names: ChallengeTestServer,
    hostname: str,
) -> None:
    pebble = start_pebble(
        PebbleOptions(slowest_validation=2, retry_after=1, reused_authorizations=0)
    )
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()

    result = gatecert.run("enroll")

    assert result.exit_code == 0, result.errors
    polls = [request for request in pebble.requests() if request.startswith("POST /authZ")]
    assert 1 <= len(polls) <= 5


def test_many_gateways_share_one_responder(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer
) -> None:
    gatecert.use(pebble, names)
    wanted = [f"gateway{number}" for number in range(5)]
    for name in wanted:
        names.point(f"{name}.example.com", "127.0.0.1")
        gatecert.add_gateway(name, f"{name}.example.com")
    gatecert.write()

    result = gatecert.run("enroll")

    assert result.exit_code == 0, result.errors
    assert all(gatecert.is_enrolled(name) for name in wanted)
    assert pebble.certificates() == len(wanted)
    assert pebble.accounts() == 1


def test_a_chain_that_ends_in_another_root_never_becomes_live(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names, trusted_roots=str(pebble.https_certificate))
    gatecert.add_gateway(BOSTON, hostname).write()

    result = gatecert.run("enroll")

    assert result.exit_code == 1
    assert not gatecert.is_enrolled(BOSTON)
    assert gatecert.certificate(BOSTON) is not None


def test_a_ca_with_an_untrusted_https_certificate_gets_no_request(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname)
    del gatecert.configuration["authorities"]["pebble"]["ca_bundle"]
    gatecert.write()

    result = gatecert.run("enroll")

    assert result.exit_code == 1
    assert "ca_bundle" in result.errors
    assert "Traceback" not in result.errors
    assert pebble.requests() == UNTOUCHED
    with pytest.raises(ssl.SSLCertVerificationError):
        served_certificate("127.0.0.1", pebble.ports.acme, "localhost", trusted=pebble.root)
