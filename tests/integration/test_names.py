"""Every kind of name that a CA issues for, each validated by a suitable challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from harness.named import Named, TsigKey, Zone
from harness.pebble import Pebble, PebbleOptions

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert

BOSTON = "boston"
HOSTNAME = "vpn.example.com"
INTERNATIONAL = "münchen.example.com"
MUNICH = "xn--mnchen-3ya.example.com"
HERE = ["127.0.0.1", "::1"]


def issued_for(gatecert: Gatecert) -> set[str]:
    """Return the names in the gateway's live certificate."""
    certificate = gatecert.certificate(BOSTON)
    assert certificate is not None
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = names.get_values_for_type(x509.IPAddress)
    return {*names.get_values_for_type(x509.DNSName), *map(str, addresses)}


def listen_on(port: int) -> dict[str, list[str]]:
    return {"listen": [f"127.0.0.1:{port}", f"[::1]:{port}"]}


def enrol(gatecert: Gatecert, **gateway: Any) -> str:  # noqa: ANN401 - any keys
    """Enrol the gateway and return the output."""
    gatecert.add_gateway(BOSTON, **gateway, addresses=HERE).write()
    result = gatecert.run("enroll")
    assert result.exit_code == 0, result.errors
    return result.output + result.errors


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
def test_international_names_and_addresses_of_both_families(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, kind: str
) -> None:
    for name in (HOSTNAME, MUNICH):
        names.point(name, "127.0.0.1")
    gatecert.use(pebble, names)
    gatecert.configuration["challenges"] = {
        "http-01": listen_on(pebble.ports.http01),
        "tls-alpn-01": listen_on(pebble.ports.tls_alpn01),
    }

    enrol(
        gatecert,
        hostname=INTERNATIONAL,
        alternative_names=[HOSTNAME, "127.0.0.1", "0:0:0:0:0:0:0:1"],
        challenge=kind,
    )

    assert issued_for(gatecert) == {MUNICH, HOSTNAME, "127.0.0.1", "::1"}
    assert pebble.orders() == 1
    status = gatecert.status(BOSTON)
    assert status["hostname"] == f"{INTERNATIONAL} ({MUNICH})"


def test_one_order_with_another_challenge_for_each_kind_of_name(
    gatecert: Gatecert, servers: ExitStack, tmp_path: Path
) -> None:
    key = TsigKey()
    zone = Zone("example.com", records=("vpn IN A 127.0.0.1", "xn--mnchen-3ya IN A 127.0.0.1"))
    named = servers.enter_context(Named(tmp_path / "named", zones=[zone], keys=[key]))
    options = PebbleOptions(reused_authorizations=0)
    pebble = servers.enter_context(
        Pebble(tmp_path / "pebble", dns_server=named.address, options=options)
    )
    secret_file = key.write_secret(tmp_path / "tsig.secret")
    gatecert.use(pebble, named)
    gatecert.configuration["challenges"] = {
        "http-01": listen_on(pebble.ports.http01),
        "dns-01": {
            "provider": "rfc2136",
            "server": named.address,
            "tsig": {"name": key.name, "algorithm": key.algorithm, "secret_file": str(secret_file)},
            "ttl": "1s",
            "authoritative": [named.address],
        },
    }

    said = enrol(
        gatecert,
        hostname=HOSTNAME,
        alternative_names=["*.example.com", INTERNATIONAL, "127.0.0.1", "::1"],
    )

    assert issued_for(gatecert) == {HOSTNAME, "*.example.com", MUNICH, "127.0.0.1", "::1"}
    assert pebble.orders() == 1
    assert "by dns-01 (only a TXT record can validate a wildcard)" in said
    assert f"{HOSTNAME}" in said.split("by http-01")[0]
    assert named.texts("_acme-challenge.example.com") == []


def test_a_name_that_does_not_point_here_is_validated_by_a_record(
    gatecert: Gatecert, servers: ExitStack, tmp_path: Path
) -> None:
    key = TsigKey()
    zone = Zone("example.com", records=("vpn IN A 203.0.113.66",))
    named = servers.enter_context(Named(tmp_path / "named", zones=[zone], keys=[key]))
    pebble = servers.enter_context(Pebble(tmp_path / "pebble", dns_server=named.address))
    secret_file = key.write_secret(tmp_path / "tsig.secret")
    gatecert.use(pebble, named)
    gatecert.configuration["challenges"]["dns-01"] = {
        "provider": "rfc2136",
        "server": named.address,
        "tsig": {"name": key.name, "algorithm": key.algorithm, "secret_file": str(secret_file)},
        "authoritative": [named.address],
    }

    said = enrol(gatecert, hostname=HOSTNAME)

    assert "by dns-01 (vpn.example.com does not point here)" in said
    assert "203.0.113.66" in said


@pytest.mark.parametrize(
    ("gateway", "told"),
    [
        (
            {"hostname": HOSTNAME, "alternative_names": ["*.example.com"]},
            "the wildcard *.example.com requires dns-01",
        ),
        (
            {"hostname": HOSTNAME, "alternative_names": ["127.0.0.256"]},
            "127.0.0.256",
        ),
        (
            {"hostname": "127.0.0.1"},
            "is an IP address; write a DNS name here",
        ),
        (
            {"hostname": HOSTNAME, "alternative_names": ["exa_mple..com"]},
            "exa_mple..com",
        ),
        (
            {"hostname": HOSTNAME, "alternative_names": ["xn--a.example.com"]},
            "is not a valid international name",
        ),
    ],
)
def test_names_that_cannot_be_validated_are_reported_at_once(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    gateway: dict[str, Any],
    told: str,
) -> None:
    gatecert.use(pebble, names)
    gatecert.add_gateway(BOSTON, **gateway).write()

    result = gatecert.run("check")

    assert result.exit_code == 2
    assert told in result.errors
    assert len(result.errors.splitlines()) == 1
