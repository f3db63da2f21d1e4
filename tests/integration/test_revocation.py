"""Certificates are revoked by a real CA and replaced; account keys are changed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from harness.list_server import ListServer
from harness.openssl import HandmadeAuthority

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from cryptography import x509

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.ocserv import Ocserv
    from harness.pebble import Pebble

BOSTON = "boston"


@pytest.fixture
def enrolled(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> Gatecert:
    """A gateway with `key.reuse`, without a daemon."""
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname, key={"reuse": True}).write()
    result = gatecert.run("enroll")
    assert result.exit_code == 0, result.errors
    return gatecert


def live(gatecert: Gatecert) -> x509.Certificate:
    certificate = gatecert.certificate(BOSTON)
    assert certificate is not None
    return certificate


def public_key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


# --------------------------------------------------------------------- revoke


def test_the_account_revokes_and_clients_get_the_next_certificate(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    gateway: Ocserv,
    hostname: str,
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(
        BOSTON,
        hostname,
        key={"reuse": True},
        install={"reload": gateway.reload_command, "verify": [gateway.address]},
    ).start()
    gatecert.wait_bootstrapped(BOSTON)
    gateway.start()
    gatecert.wait_for(lambda: gatecert.state(BOSTON) == "trusted", "boston to be trusted")
    first = live(gatecert)

    result = gatecert.run("revoke", BOSTON, "--reason", "superseded")

    assert result.exit_code == 0, result.errors
    assert "is revoked (superseded), signed with the key of the account" in result.output
    assert pebble.certificate_status(first.serial_number) == "Revoked"
    second = live(gatecert)
    assert second != first
    assert public_key(second) == public_key(first)
    assert pebble.certificate_status(second.serial_number) == "Valid"
    assert gatecert.state(BOSTON) == "trusted"
    gatecert.wait_logged("renewal information", times=2)  # for the new certificate as well
    assert pebble.orders() == 2


def test_a_compromised_key_signs_its_revocation_and_is_never_reused(
    enrolled: Gatecert, pebble: Pebble
) -> None:
    earlier = live(enrolled)
    assert enrolled.run("enroll", "--force").exit_code == 0
    first = live(enrolled)
    assert public_key(first) == public_key(earlier)
    result = enrolled.run("revoke", BOSTON, "--reason", "keycompromise")
    assert result.exit_code == 0, result.errors
    assert "is revoked (keyCompromise), signed with the key of the certificate" in result.output
    for certificate in (first, earlier):
        assert pebble.certificate_status(certificate.serial_number) == "Revoked"
    assert public_key(live(enrolled)) != public_key(first)


def test_a_certificate_is_revoked_without_its_account(enrolled: Gatecert, pebble: Pebble) -> None:
    first = live(enrolled)
    shutil.rmtree(enrolled.state_directory / "accounts")
    result = enrolled.run("revoke", BOSTON)
    assert result.exit_code == 0, result.errors
    assert "is revoked (unspecified), signed with the key of the certificate" in result.output
    assert pebble.certificate_status(first.serial_number) == "Revoked"
    assert public_key(live(enrolled)) != public_key(first)


def test_a_revoked_certificate_is_served_until_it_is_replaced(
    enrolled: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    first = live(enrolled)
    names.point(hostname, "203.0.113.7")
    result = enrolled.run("revoke", BOSTON, "--reason", "keyCompromise")
    assert result.exit_code == 1
    assert "203.0.113.7" in result.errors
    assert pebble.certificate_status(first.serial_number) == "Revoked"
    assert live(enrolled) == first
    assert enrolled.state(BOSTON) == "revoked"

    names.point(hostname, "127.0.0.1")
    with enrolled:
        enrolled.wait_for(lambda: live(enrolled) != first, "another certificate")
    assert public_key(live(enrolled)) != public_key(first)


def test_a_revoked_certificate_in_an_excluded_region_is_not_replaced(
    enrolled: Gatecert, pebble: Pebble
) -> None:
    first = live(enrolled)
    enrolled.configuration["gateways"][BOSTON]["region"] = "cn"
    enrolled.write()
    result = enrolled.run("revoke", BOSTON, "--reason", "cessationOfOperation")
    assert result.exit_code == 0
    assert "does not replace the revoked certificate: region cn is excluded" in result.errors
    assert pebble.certificate_status(first.serial_number) == "Revoked"
    assert live(enrolled) == first
    assert pebble.orders() == 1


# --------------------------------------------------------------------- CRLs


@pytest.fixture
def lists(servers: ExitStack) -> ListServer:
    return servers.enter_context(ListServer())


@pytest.fixture
def brought(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    hostname: str,
    lists: ListServer,
    tmp_path: Path,
) -> tuple[HandmadeAuthority, Path]:
    """A gateway with a certificate that names a CRL, unlike Pebble's."""
    authority = HandmadeAuthority(tmp_path / "authority", lists_at=lists.url)
    lists.publish(authority.revocation_list())
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names)
    gatecert.add_gateway(BOSTON, hostname, mode="custom", key={"reuse": True}).write()
    request = gatecert.run("csr", BOSTON)
    certificate = authority.sign(request.output, BOSTON)
    result = gatecert.run(
        *("import", BOSTON, "--certificate", str(certificate)),
        *("--chain", str(authority.chain)),
    )
    assert result.exit_code == 0, result.errors
    return authority, certificate


def test_a_revocation_by_the_ca_is_detected_and_the_key_replaced(
    gatecert: Gatecert,
    pebble: Pebble,
    lists: ListServer,
    brought: tuple[HandmadeAuthority, Path],
) -> None:
    authority, certificate = brought
    first = live(gatecert)
    gatecert.configuration["gateways"][BOSTON]["mode"] = "automatic"
    gatecert.start()
    gatecert.wait_logged("ready gateways=1")
    gatecert.look_again()
    gatecert.wait_for(lambda: gatecert.status(BOSTON)["revocation"], "a look at the list")
    seen = gatecert.status(BOSTON)["revocation"]
    assert (seen["revoked"], seen["source"], seen["problem"]) == (False, lists.url, "")
    assert "revocation-ok" in gatecert.run("doctor", BOSTON, "--json").output
    assert pebble.orders() == 0

    authority.revoke(certificate, "keyCompromise")
    lists.publish(authority.revocation_list())
    gatecert.look_again()
    gatecert.wait_for(lambda: live(gatecert) != first, "another certificate")

    assert public_key(live(gatecert)) != public_key(first)
    gatecert.wait_logged(f"certificate revoked gateway={BOSTON}")
    assert f"reason=keyCompromise list={lists.url}" in gatecert.process.output
    assert pebble.orders() == 1
    assert lists.answers[0] == lists.answers[-1] == 200


def test_an_unreachable_crl_host_is_reported_and_a_revocation_known_before_is_kept(
    gatecert: Gatecert,
    pebble: Pebble,
    lists: ListServer,
    brought: tuple[HandmadeAuthority, Path],
) -> None:
    authority, certificate = brought
    lists.stop()
    result = gatecert.run("enroll")
    assert result.exit_code == 0, result.errors
    assert f"the CRL {lists.url} cannot be downloaded" in result.errors
    seen = gatecert.status(BOSTON)["revocation"]
    assert (seen["revoked"], lists.url in seen["problem"]) == (None, True)
    assert "revocation-unknown" in gatecert.run("doctor", BOSTON, "--json").output

    lists.start()
    authority.revoke(certificate, "superseded")
    lists.publish(authority.revocation_list())
    assert gatecert.run("enroll").exit_code == 0
    status = gatecert.status(BOSTON)
    assert (status["state"], status["revocation"]["reason"]) == ("revoked", "superseded")
    doctor = gatecert.run("doctor", BOSTON, "--json")
    assert (doctor.exit_code, "certificate-revoked" in doctor.output) == (1, True)
    refused = gatecert.run("revoke", BOSTON)
    assert (refused.exit_code, "ask its issuer, CN=Company Issuing" in refused.errors) == (2, True)
    assert pebble.orders() == 0


# --------------------------------------------------------------------- accounts


def test_the_daemon_continues_with_a_new_account_key(enrolled: Gatecert, pebble: Pebble) -> None:
    key_file = enrolled.state_directory / "accounts" / "pebble" / "key.pem"
    before = enrolled.run("account", "show", "--json").json()["accounts"][0]
    old_key = key_file.read_bytes()
    assert (before["status"], before["contact"]) == ("valid", ["mailto:ops@example.com"])

    with enrolled:
        enrolled.wait_logged("ready gateways=1")
        result = enrolled.run("account", "rollover")
        assert result.exit_code == 0, result.errors
        first = live(enrolled)
        assert enrolled.run("enroll", "--force").exit_code == 0
        assert live(enrolled) != first

    after = enrolled.run("account", "show", "--json").json()["accounts"][0]
    assert after["url"] == before["url"]
    assert after["key_fingerprint"] != before["key_fingerprint"]
    assert pebble.process.output.count("accounts in memory") == 1

    key_file.write_bytes(old_key)
    shown = enrolled.run("account", "show")
    assert "none yet" in shown.output, shown.output


def test_an_account_is_deactivated_only_after_confirmation_and_then_created_anew(
    enrolled: Gatecert,
) -> None:
    asked = enrolled.run("account", "deactivate")
    assert (asked.exit_code, "use --yes" in asked.errors) == (2, True)
    first = enrolled.run("account", "show", "--json").json()["accounts"][0]
    assert first["status"] == "valid"

    result = enrolled.run("account", "deactivate", "pebble", "--yes")
    assert result.exit_code == 0, result.errors
    assert "the next order of boston registers a new account" in result.errors
    assert enrolled.run("account", "show", "--json").json()["accounts"][0]["status"] == "none"

    assert enrolled.run("enroll", "--force").exit_code == 0
    second = enrolled.run("account", "show", "--json").json()["accounts"][0]
    assert second["url"] != first["url"]
