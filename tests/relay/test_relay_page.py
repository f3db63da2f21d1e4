"""docs/relay.md as written: trusted, served and renewed from a network with one way out."""

from __future__ import annotations

import socket

import pytest
from cryptography import x509

from .relay_network import (
    GATEWAY,
    HOSTNAME,
    RELAY_ADDRESS,
    VPN,
    FieldGateway,
    GatewayCredentials,
    Relay,
)


def test_a_gateway_reaches_nothing_but_the_relay(field: FieldGateway) -> None:
    del field
    socket.create_connection((RELAY_ADDRESS, 443), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((RELAY_ADDRESS, 8000), timeout=5)
    with pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("198.51.100.1", 53), timeout=5)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", 53), timeout=5)


def test_trusted_served_and_renewed(field: FieldGateway, relay: Relay) -> None:
    checked = field.gatecert.run("check")
    assert (checked.exit_code, checked.errors) == (0, ""), checked.errors
    assert f"{HOSTNAME}, not looked up, enrolled with relay as validated there" in checked.output

    field.start()
    field.wait_trusted()

    first = field.live
    names = first.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [HOSTNAME]
    field.wait_served()
    found = field.findings()
    assert {"names-not-looked-up", "client-certificate-ok", "authority-ok"} <= found.keys()
    assert not {"caa-ok", "caa-unknown", "challenge-ok"} & found.keys()
    assert f"{HOSTNAME}, not looked up" in field.gatecert.run("status", VPN).output

    relay.suggest_renewal_at_once()
    field.gatecert.look_again()
    field.gatecert.wait_for(lambda: field.live != first, "a renewed certificate", seconds=60.0)
    field.wait_trusted()
    field.wait_served()
    assert field.live.public_key() != first.public_key()


def test_a_spent_budget_keeps_the_certificate(
    field: FieldGateway, relay: Relay, credentials: GatewayCredentials
) -> None:
    field.start()
    field.wait_trusted()
    first = field.live
    spent = [1 + relay.order_without_end(field.etc)]
    for number in range(413, 416):
        credentials.make_gateway(f"site000{number}")
        spent.append(relay.order_without_end(credentials.directory))
    assert (spent, sum(spent)) == ([6, 6, 6, 3], 21)

    result = field.gatecert.run("enroll", "--force")

    assert "the relay has placed enough orders for now" in result.errors + result.output
    assert field.gatecert.last_error(VPN) == "rate-limited"
    assert (field.live, field.gatecert.state(VPN)) == (first, "trusted")


def test_only_known_gateways_are_let_in(
    field: FieldGateway, credentials: GatewayCredentials
) -> None:
    assert "client-certificate-ok" in field.findings()

    field.take(GatewayCredentials(credentials.directory / "another"))
    assert "The SSL certificate error" in field.findings()["client-certificate"]

    del field.gatecert.configuration["authorities"]["relay"]["client_certificate"]
    del field.gatecert.configuration["authorities"]["relay"]["client_key"]
    field.gatecert.write()
    assert "No required SSL certificate was sent" in field.findings()["client-certificate"]
    result = field.gatecert.run("enroll")
    assert result.exit_code == 1
    assert "refuses the client certificate" in result.errors


def test_a_gateway_gets_no_other_name(
    field: FieldGateway, relay: Relay, credentials: GatewayCredentials
) -> None:
    other = "site000413.ddns.example"
    field.settings["alternative_names"] = [other]
    field.gatecert.write()

    result = field.gatecert.run("enroll")
    assert (result.exit_code, "rejectedIdentifier" in result.errors) == (1, True), result.errors

    relay.admit(credentials, allowed=[HOSTNAME, other])
    result = field.gatecert.run("enroll", "--force")
    assert result.exit_code == 1
    assert f"let the CA take {other} as validated" in result.errors

    relay.admit(credentials, allowed=[HOSTNAME, other], prevalidated=[HOSTNAME, other])
    result = field.gatecert.run("enroll", "--force")
    assert result.exit_code == 0, result.errors

    relay.lock_out(GATEWAY)
    result = field.gatecert.run("enroll", "--force")
    assert (result.exit_code, "HTTP 403" in result.errors) == (1, True), result.errors
