"""Other private CAs, each test in its own network, and docs/private-authority.md."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography import x509

from harness.certificates import write_self_signed
from harness.challenge_test_server import ChallengeTestServer
from harness.handshake import trusted_certificate
from harness.named import Named, TsigKey, Zone
from harness.network import PrivateNetwork
from harness.nginx import Nginx
from harness.private_authority import Acme2certifier, PrivateAuthority, Serles, StepCa

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

    from harness.gatecert import Gatecert

BOSTON = "boston"
HOSTNAME = "vpn.example.com"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "private-authority.md"
HMAC_KEY = "bWFjLWtleS1vZi10aGUtdGVzdHMtd2l0aC0zMi1ieXRlcw"
PRIVATE_ADDRESS = "10.20.30.40"
MORE = ["www.example.com", "mail.example.com"]


@pytest.fixture
def network(tmp_path: Path) -> Iterator[PrivateNetwork]:
    with PrivateNetwork(tmp_path / "network", addresses=[f"{PRIVATE_ADDRESS}/32"]) as entered:
        yield entered


@pytest.fixture
def servers(network: PrivateNetwork, servers: ExitStack) -> ExitStack:  # noqa: ARG001
    """Stop the servers before the network namespace ends."""
    return servers


@pytest.fixture
def names(servers: ExitStack, tmp_path: Path) -> ChallengeTestServer:
    return servers.enter_context(ChallengeTestServer(tmp_path / "names", dns_port=53))


@pytest.fixture(params=[Acme2certifier, Serles, StepCa])
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
    listen_at(gatecert, "127.0.0.1")
    return gatecert


def use(
    gatecert: Gatecert, authority: PrivateAuthority, names: ChallengeTestServer | Named
) -> None:
    gatecert.configuration["resolver"] = {"nameservers": [names.address], "interval": "1s"}
    gatecert.configuration["authorities"]["private"] = {
        "directory_url": authority.directory_url,
        "contact": ["ops@example.com"],
        "terms_of_service_agreed": True,
        "ca_bundle": str(authority.https_certificate),
        "trusted_roots": str(authority.root),
    }


def listen_at(gatecert: Gatecert, address: str) -> None:
    gatecert.configuration["challenges"] = {
        "http-01": {"listen": [f"{address}:80"]},
        "tls-alpn-01": {"listen": [f"{address}:443"]},
    }


def prove_by_dns(
    gatecert: Gatecert, servers: ExitStack, authority: PrivateAuthority, directory: Path, zone: str
) -> Named:
    key = TsigKey()
    records = ("vpn IN A 127.0.0.1", "www IN A 127.0.0.1")
    named = servers.enter_context(
        Named(directory / "named", zones=[Zone(zone, records=records)], keys=[key], port=53)
    )
    use(gatecert, authority, named)
    gatecert.configuration["challenges"] = {
        "dns-01": {
            "provider": "rfc2136",
            "server": named.address,
            "tsig": {
                "name": key.name,
                "algorithm": key.algorithm,
                "secret_file": str(key.write_secret(directory / "tsig.secret")),
            },
            "ttl": "1s",
            "authoritative": [named.address],
        }
    }
    return named


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


# --------------------------------------------------------------------- the network


def test_a_network_is_isolated_and_has_its_own_dns(tmp_path: Path) -> None:
    with PrivateNetwork(tmp_path / "outer"), socket.create_server(("127.0.0.1", 80)) as server:
        with PrivateNetwork(tmp_path / "inner") as inner:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(server.getsockname(), timeout=5)
            shown = subprocess.check_output(inner.resolving("cat", "/etc/resolv.conf"), text=True)
        socket.create_connection(server.getsockname(), timeout=5).close()

    assert shown.splitlines()[0] == "nameserver 127.0.0.1"
    assert Path("/etc/resolv.conf").read_text("utf-8") != shown


# --------------------------------------------------------------------- enrolment


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
def test_three_names(prepared: Gatecert, authority: PrivateAuthority, kind: str) -> None:
    prepared.add_gateway(BOSTON, HOSTNAME, alternative_names=MORE, challenge=kind).write()

    result = prepared.run("enroll")

    assert result.exit_code == 0, result.errors
    assert names_in(prepared) == {HOSTNAME, *MORE}
    assert authority.answers(authority.new_account) == [201]


def test_names_and_a_wildcard_by_dns_01(
    gatecert: Gatecert, servers: ExitStack, authority: PrivateAuthority, tmp_path: Path
) -> None:
    named = prove_by_dns(gatecert, servers, authority, tmp_path, "example.com")
    more = ["www.example.com", "*.vpn.example.com"]
    gatecert.add_gateway(BOSTON, HOSTNAME, alternative_names=more, challenge="dns-01").write()

    result = gatecert.run("enroll")

    assert result.exit_code == 0, result.errors
    assert names_in(gatecert) == {HOSTNAME, *more}
    assert named.texts(f"_acme-challenge.{HOSTNAME}") == []


# For tls-alpn-01 Serles needs the in-addr.arpa name in the certificate; RFC 8738 the address.
@pytest.mark.parametrize(
    ("authority", "kind"),
    [
        (Acme2certifier, "http-01"),
        (Acme2certifier, "tls-alpn-01"),
        (Serles, "http-01"),
        (StepCa, "http-01"),
        (StepCa, "tls-alpn-01"),
    ],
    indirect=["authority"],
)
def test_a_private_address(prepared: Gatecert, names: ChallengeTestServer, kind: str) -> None:
    names.point(HOSTNAME, PRIVATE_ADDRESS)
    listen_at(prepared, PRIVATE_ADDRESS)
    prepared.add_gateway(
        BOSTON,
        HOSTNAME,
        addresses=[PRIVATE_ADDRESS],
        alternative_names=[PRIVATE_ADDRESS],
        challenge=kind,
    ).write()

    result = prepared.run("enroll")

    assert result.exit_code == 0, result.errors
    assert names_in(prepared) == {HOSTNAME, PRIVATE_ADDRESS}


# --------------------------------------------------------------------- renewal and recovery


def test_a_renewal_succeeds_after_an_outage_of_the_ca(
    prepared: Gatecert, authority: PrivateAuthority
) -> None:
    prepared.add_gateway(BOSTON, HOSTNAME, alternative_names=MORE).write()
    assert prepared.run("enroll").exit_code == 0
    first, before = live(prepared), account(prepared)
    early = prepared.run("enroll")
    assert (early.exit_code, live(prepared)) == (0, first), early.errors

    authority.process.stop()
    result = prepared.run("enroll", "--force")
    assert (result.exit_code, "cannot be reached" in result.errors) == (1, True), result.errors
    assert live(prepared) == first

    authority.start()
    result = prepared.run("enroll", "--force")
    assert result.exit_code == 0, result.errors
    assert live(prepared) != first
    assert names_in(prepared) == {HOSTNAME, *MORE}
    assert account(prepared) == before
    assert authority.answers(authority.new_account) == [201]


@pytest.mark.parametrize("authority", [Acme2certifier], indirect=True)
def test_a_certificate_is_renewed_by_renewal_information(
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


def test_a_validation_that_fails_is_given_up_at_once_and_the_next_order_succeeds(
    prepared: Gatecert, authority: PrivateAuthority
) -> None:
    prepared.configuration["challenges"]["http-01"] = {"listen": ["127.0.0.1:81"]}
    prepared.add_gateway(BOSTON, HOSTNAME, challenge="http-01").write()

    result = prepared.run("enroll")  # commands have a minute here, orders five
    assert (result.exit_code, HOSTNAME in result.errors) == (1, True), result.errors
    assert not prepared.is_enrolled(BOSTON)

    prepared.configuration["challenges"]["http-01"] = {"listen": ["127.0.0.1:80"]}
    prepared.write()
    result = prepared.run("enroll", "--force")
    assert result.exit_code == 0, result.errors
    assert prepared.is_enrolled(BOSTON)
    assert authority.answers(authority.new_account) == [201]


# --------------------------------------------------------------------- revocation


@pytest.mark.parametrize("authority", [Acme2certifier], indirect=True)
@pytest.mark.parametrize("reason", ["superseded", "keyCompromise"])
def test_a_revoked_certificate_is_on_the_crl_and_replaced(
    prepared: Gatecert, authority: Acme2certifier, reason: str
) -> None:
    prepared.add_gateway(BOSTON, HOSTNAME, key={"reuse": True}).write()
    assert prepared.run("enroll").exit_code == 0
    first = live(prepared)

    result = prepared.run("revoke", BOSTON, "--reason", reason)

    assert result.exit_code == 0, result.errors
    # It does not support revocation with the certificate's key, which is tried first for a leak.
    assert f"is revoked ({reason}), signed with the key of the account" in result.output
    assert authority.revoked() == {first.serial_number}
    assert live(prepared) != first
    assert (live(prepared).public_key() == first.public_key()) == (reason == "superseded")


# --------------------------------------------------------------------- accounts


@pytest.mark.parametrize("authority", [Acme2certifier], indirect=True)
def test_account_rollover_and_deactivation(prepared: Gatecert, authority: Acme2certifier) -> None:
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

    result = prepared.run("account", "deactivate", "--yes")
    assert result.exit_code == 0, result.errors
    assert prepared.run("enroll", "--force").exit_code == 0
    assert account(prepared)["url"] != before["url"]
    assert authority.answers(authority.new_account) == [201, 201]


@pytest.mark.parametrize("authority", [Serles], indirect=True)
def test_unsupported_operations_are_reported_and_change_nothing(
    prepared: Gatecert, authority: Serles
) -> None:
    prepared.add_gateway(BOSTON, HOSTNAME).write()
    assert prepared.run("enroll").exit_code == 0
    first, before = live(prepared), account(prepared)

    for command, words in [
        (("revoke", BOSTON), "unauthorized: not offered"),
        (("account", "rollover"), "unauthorized: not offered"),
        (("account", "deactivate", "--yes"), "the account is still valid"),
    ]:
        result = prepared.run(*command)
        assert (result.exit_code, words in result.errors) == (1, True), result.errors
    assert live(prepared) == first

    assert prepared.run("enroll", "--force").exit_code == 0
    after = account(prepared)
    assert (after["url"], after["key_fingerprint"]) == (before["url"], before["key_fingerprint"])
    assert authority.answers(authority.new_account).count(201) == 1


@pytest.mark.parametrize("authority", [StepCa], indirect=True)
def test_step_ca_revokes_and_deactivates_but_keeps_the_key(
    prepared: Gatecert, authority: StepCa
) -> None:
    prepared.add_gateway(BOSTON, HOSTNAME).write()
    assert prepared.run("enroll").exit_code == 0
    first, before = live(prepared), account(prepared)

    result = prepared.run("account", "rollover")
    assert (result.exit_code, "501" in result.errors) == (1, True), result.errors
    assert account(prepared)["key_fingerprint"] == before["key_fingerprint"]

    result = prepared.run("revoke", BOSTON)
    assert result.exit_code == 0, result.errors
    assert live(prepared) != first

    result = prepared.run("account", "deactivate", "--yes")
    assert result.exit_code == 0, result.errors
    assert prepared.run("enroll", "--force").exit_code == 0
    assert authority.answers(authority.new_account).count(201) == 2


# --------------------------------------------------------------------- private names


@pytest.mark.parametrize("kind", ["http-01", "tls-alpn-01"])
def test_private_names(prepared: Gatecert, names: ChallengeTestServer, kind: str) -> None:
    hostname, *more = private = ["gw.internal", "vpn.corp.lan", "printer.local", "vpn"]
    for name in private:
        names.point(name, "127.0.0.1")
    prepared.add_gateway(BOSTON, hostname, alternative_names=more, challenge=kind).write()

    result = prepared.run("enroll")

    assert result.exit_code == 0, result.errors
    assert names_in(prepared) == set(private)


def test_private_names_by_dns_01(
    gatecert: Gatecert, servers: ExitStack, authority: PrivateAuthority, tmp_path: Path
) -> None:
    prove_by_dns(gatecert, servers, authority, tmp_path, "corp.lan")
    more = ["www.corp.lan", "*.vpn.corp.lan"]
    gatecert.add_gateway(BOSTON, "vpn.corp.lan", alternative_names=more, challenge="dns-01").write()

    result = gatecert.run("enroll")

    assert result.exit_code == 0, result.errors
    assert names_in(gatecert) == {"vpn.corp.lan", *more}


# --------------------------------------------------------------------- docs/private-authority.md


def configuration_of(heading: str) -> str:
    """Return the configuration below a heading of the page."""
    section = PAGE.read_text("utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    (shown,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    return str(shown)


@pytest.mark.parametrize("heading", ["step-ca", "FreeIPA", "AD CS behind acme2certifier", "Serles"])
def test_the_configurations_of_the_page_are_valid(
    gatecert: Gatecert, tmp_path: Path, heading: str
) -> None:
    text = configuration_of(heading)
    directory = tmp_path / "files"
    directory.mkdir()
    for path in set(re.findall(r"/etc/[\w./-]+\.(?:pem|crt|key)", text)):
        file = directory / Path(path).name
        if file.suffix == ".key":
            write_secret(file, HMAC_KEY)
        else:
            write_self_signed(file, tmp_path / "unused.pem", ["ca.corp.internal"], days=30)
        text = text.replace(path, str(file))
    gatecert.configuration |= yaml.safe_load(text)
    gatecert.write()

    result = gatecert.run("check")

    assert result.exit_code == 0, result.errors + result.output


@pytest.mark.parametrize(
    ("authority", "heading"),
    [(StepCa, "step-ca"), (Acme2certifier, "AD CS behind acme2certifier"), (Serles, "Serles")],
    indirect=["authority"],
)
def test_the_configuration_of_the_page_ends_in_a_proven_certificate(
    gatecert: Gatecert,
    servers: ExitStack,
    authority: PrivateAuthority,
    names: ChallengeTestServer,
    tmp_path: Path,
    heading: str,
) -> None:
    """Replace only what names the machines of this test."""
    shown = yaml.safe_load(configuration_of(heading))
    ((_, ca),) = shown["authorities"].items()
    ca |= {
        "directory_url": authority.directory_url,
        "ca_bundle": str(authority.https_certificate),
        "trusted_roots": str(authority.root),
    }
    if "external_account" in ca:
        assert isinstance(authority, Acme2certifier)
        authority.process.stop()
        authority.require_binding(ca["external_account"]["key_id"], HMAC_KEY)
        authority.start()
        assert authority.requires_binding
        ca["external_account"]["hmac_key_file"] = str(write_secret(tmp_path / "eab.key", HMAC_KEY))
    gateway = shown["gateways"]["hq"]
    web = Nginx(tmp_path / "web", port=443, **gatecert.files("hq"))
    gateway["install"]["reload"] = web.reload_command
    gateway["addresses"] = ["127.0.0.1"]
    names.point(gateway["hostname"], "127.0.0.1")
    gatecert.configuration |= shown
    gatecert.configuration["resolver"] = {"nameservers": [names.address], "interval": "1s"}
    gatecert.start()
    gatecert.wait_bootstrapped("hq")
    servers.enter_context(web)

    gatecert.wait_for(lambda: gatecert.state("hq") == "trusted", "a proof", seconds=30.0)

    served = trusted_certificate("127.0.0.1", 443, gateway["hostname"], authority.root)
    subject = x509.load_der_x509_certificate(served).subject.rfc4514_string()
    common_name = f"CN={gateway['hostname']}"
    assert (common_name in subject) == ca.get("subject_common_name", False)


def write_secret(path: Path, text: str) -> Path:
    """Write a file that only this user may read."""
    path.touch(mode=0o600)
    path.write_text(text, "ascii")
    return path
