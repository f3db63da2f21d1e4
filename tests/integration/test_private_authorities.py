"""Private authorities of two other makes, each test in a network of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from harness.challenge_test_server import ChallengeTestServer
from harness.named import Named, TsigKey, Zone
from harness.network import PrivateNetwork
from harness.private_authority import Acme2certifier, PrivateAuthority, Serles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from harness.gatecert import Gatecert

BOSTON = "boston"
HOSTNAME = "vpn.example.com"
MORE = ["www.example.com", "mail.example.com"]


@pytest.fixture
def network(tmp_path: Path) -> Iterator[PrivateNetwork]:
    with PrivateNetwork(tmp_path / "network", addresses=["10.20.30.40/32"]) as entered:
        yield entered


@pytest.fixture
def servers(network: PrivateNetwork, servers: ExitStack) -> ExitStack:  # noqa: ARG001
    """Ended before the network is left."""
    return servers


@pytest.fixture
def names(servers: ExitStack, tmp_path: Path) -> ChallengeTestServer:
    return servers.enter_context(ChallengeTestServer(tmp_path / "names", dns_port=53))


@pytest.fixture(params=[Acme2certifier, Serles])
def authority(
    request: pytest.FixtureRequest,
    servers: ExitStack,
    network: PrivateNetwork,
    tmp_path: Path,
) -> PrivateAuthority:
    made: PrivateAuthority = request.param(tmp_path / "authority", network)
    return servers.enter_context(made)


@pytest.fixture
def prepared(
    gatecert: Gatecert, authority: PrivateAuthority, names: ChallengeTestServer
) -> Gatecert:
    for name in (HOSTNAME, *MORE):
        names.point(name, "127.0.0.1")
    use(gatecert, authority, names)
    gatecert.configuration["challenges"] = {
        "http-01": {"listen": ["127.0.0.1:80"]},
        "tls-alpn-01": {"listen": ["127.0.0.1:443"]},
    }
    return gatecert


def use(
    gatecert: Gatecert, authority: PrivateAuthority, names: ChallengeTestServer | Named
) -> None:
    gatecert.configuration["resolver"] = {"nameservers": [names.address], "interval": "1s"}
    gatecert.configuration["authorities"]["private"] = {
        "directory_url": authority.directory_url,
        "contact": ["ops@example.com"],
        "ca_bundle": str(authority.https_certificate),
        "trusted_roots": str(authority.root),
    }


def names_in(gatecert: Gatecert) -> set[str]:
    certificate = gatecert.certificate(BOSTON)
    assert certificate is not None
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return {str(name.value) for name in extension.value}


def live(gatecert: Gatecert) -> x509.Certificate:
    certificate = gatecert.certificate(BOSTON)
    assert certificate is not None
    return certificate


def account(gatecert: Gatecert) -> dict[str, Any]:
    shown: dict[str, Any] = gatecert.run("account", "show", "--json").json()["accounts"][0]
    return shown


# --------------------------------------------------------------------- enrolment


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
def test_three_names(prepared: Gatecert, authority: PrivateAuthority, kind: str) -> None:
    prepared.add_gateway(BOSTON, HOSTNAME, alternative_names=MORE, challenge=kind).write()

    result = prepared.run("enroll")

    assert result.exit_code == 0, result.errors
    assert names_in(prepared) == {HOSTNAME, *MORE}
    assert (account(prepared)["status"], account(prepared)["problem"]) == ("valid", "")
    assert authority.answers(authority.new_account) == [201]


def test_names_and_a_wildcard_by_dns_01(
    gatecert: Gatecert, servers: ExitStack, authority: PrivateAuthority, tmp_path: Path
) -> None:
    key = TsigKey()
    zone = Zone("example.com", records=("vpn IN A 127.0.0.1", "www IN A 127.0.0.1"))
    named = servers.enter_context(Named(tmp_path / "named", zones=[zone], keys=[key], port=53))
    use(gatecert, authority, named)
    gatecert.configuration["challenges"] = {
        "dns-01": {
            "provider": "rfc2136",
            "server": named.address,
            "tsig": {
                "name": key.name,
                "algorithm": key.algorithm,
                "secret_file": str(key.write_secret(tmp_path / "tsig.secret")),
            },
            "ttl": "1s",
            "authoritative": [named.address],
        }
    }
    more = ["www.example.com", "*.vpn.example.com"]
    gatecert.add_gateway(BOSTON, HOSTNAME, alternative_names=more, challenge="dns-01").write()

    result = gatecert.run("enroll")

    assert result.exit_code == 0, result.errors
    assert names_in(gatecert) == {HOSTNAME, *more}
    assert named.texts(f"_acme-challenge.{HOSTNAME}") == []


# --------------------------------------------------------------------- renewal


def test_a_renewal_has_the_same_account(prepared: Gatecert, authority: PrivateAuthority) -> None:
    prepared.add_gateway(BOSTON, HOSTNAME, alternative_names=MORE).write()
    assert prepared.run("enroll").exit_code == 0
    first = live(prepared)
    early = prepared.run("enroll")
    assert (early.exit_code, live(prepared)) == (0, first), early.errors

    result = prepared.run("enroll", "--force")

    assert result.exit_code == 0, result.errors
    assert live(prepared) != first
    assert names_in(prepared) == {HOSTNAME, *MORE}
    assert authority.answers(authority.new_account) == [201]


@pytest.mark.parametrize("authority", [Acme2certifier], indirect=True)
def test_a_certificate_is_renewed_when_the_authority_says_so(
    prepared: Gatecert, authority: Acme2certifier
) -> None:
    authority.process.stop()
    authority.suggest_renewal_at_once()
    authority.start()
    prepared.add_gateway(BOSTON, HOSTNAME).write()
    assert prepared.run("enroll").exit_code == 0
    first = live(prepared)

    result = prepared.run("enroll")

    assert result.exit_code == 0, result.errors
    assert live(prepared) != first
    assert authority.answers(authority.new_account) == [201]


# --------------------------------------------------------------------- revocation


@pytest.mark.parametrize("authority", [Acme2certifier], indirect=True)
@pytest.mark.parametrize("reason", ["superseded", "keyCompromise"])
def test_what_is_revoked_is_on_the_list_of_the_authority_and_replaced(
    prepared: Gatecert, authority: Acme2certifier, reason: str
) -> None:
    prepared.add_gateway(BOSTON, HOSTNAME, key={"reuse": True}).write()
    assert prepared.run("enroll").exit_code == 0
    first = live(prepared)

    result = prepared.run("revoke", BOSTON, "--reason", reason)

    assert result.exit_code == 0, result.errors
    # It does not know revocation by the key of the certificate, which is tried first for a leak.
    assert f"is revoked ({reason}), by the key of the account" in result.output
    assert authority.revoked() == {first.serial_number}
    assert live(prepared) != first
    assert (live(prepared).public_key() == first.public_key()) == (reason == "superseded")


@pytest.mark.parametrize("authority", [Serles], indirect=True)
def test_an_authority_that_cannot_revoke_is_quoted(prepared: Gatecert, authority: Serles) -> None:
    prepared.add_gateway(BOSTON, HOSTNAME).write()
    assert prepared.run("enroll").exit_code == 0
    first = live(prepared)

    result = prepared.run("revoke", BOSTON)

    assert result.exit_code == 1
    assert "unauthorized: not offered" in result.errors
    assert live(prepared) == first
    assert authority.answers("/newOrder") == [201]


# --------------------------------------------------------------------- accounts


@pytest.mark.parametrize("authority", [Acme2certifier], indirect=True)
def test_the_account_gets_another_key(prepared: Gatecert, authority: Acme2certifier) -> None:
    prepared.add_gateway(BOSTON, HOSTNAME).write()
    assert prepared.run("enroll").exit_code == 0
    before = account(prepared)

    result = prepared.run("account", "rollover")

    assert result.exit_code == 0, result.errors
    after = account(prepared)
    assert after["url"] == before["url"]
    assert after["key_fingerprint"] != before["key_fingerprint"]
    assert prepared.run("enroll", "--force").exit_code == 0
    assert authority.answers(authority.new_account) == [201]


@pytest.mark.parametrize("authority", [Serles], indirect=True)
def test_a_key_that_cannot_be_changed_stays_in_use(prepared: Gatecert, authority: Serles) -> None:
    prepared.add_gateway(BOSTON, HOSTNAME).write()
    assert prepared.run("enroll").exit_code == 0
    before = account(prepared)

    result = prepared.run("account", "rollover")

    assert (result.exit_code, "not offered" in result.errors) == (1, True), result.errors
    assert prepared.run("enroll", "--force").exit_code == 0
    after = account(prepared)
    assert (after["url"], after["key_fingerprint"]) == (before["url"], before["key_fingerprint"])
    assert 201 not in authority.answers(authority.new_account)[1:]


@pytest.mark.parametrize("authority", [Acme2certifier], indirect=True)
def test_an_account_is_given_up_and_another_one_made(
    prepared: Gatecert, authority: Acme2certifier
) -> None:
    prepared.add_gateway(BOSTON, HOSTNAME).write()
    assert prepared.run("enroll").exit_code == 0
    first = account(prepared)

    result = prepared.run("account", "deactivate", "--yes")

    assert result.exit_code == 0, result.errors
    assert prepared.run("enroll", "--force").exit_code == 0
    assert account(prepared)["url"] != first["url"]
    assert authority.answers(authority.new_account) == [201, 201]


@pytest.mark.parametrize("authority", [Serles], indirect=True)
def test_an_account_stays_where_the_authority_ignores_that_it_is_given_up(
    prepared: Gatecert, authority: Serles
) -> None:
    prepared.add_gateway(BOSTON, HOSTNAME).write()
    assert prepared.run("enroll").exit_code == 0
    first = account(prepared)

    result = prepared.run("account", "deactivate", "--yes")

    assert result.exit_code == 1, result.output
    assert "the account is still valid" in result.errors
    assert account(prepared) == first
    assert authority.answers(authority.new_account) == [201]


# --------------------------------------------------------------------- failure and recovery


def test_an_authority_that_is_down_costs_nothing_and_is_used_again(
    prepared: Gatecert, authority: PrivateAuthority
) -> None:
    prepared.add_gateway(BOSTON, HOSTNAME).write()
    assert prepared.run("enroll").exit_code == 0
    first, before = live(prepared), account(prepared)
    authority.process.stop()

    result = prepared.run("enroll", "--force")
    assert (result.exit_code, "cannot be reached" in result.errors) == (1, True), result.errors
    assert live(prepared) == first

    authority.start()
    result = prepared.run("enroll", "--force")
    assert result.exit_code == 0, result.errors
    assert live(prepared) != first
    assert account(prepared) == before
