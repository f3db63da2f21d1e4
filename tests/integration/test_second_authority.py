"""A CA other than Pebble: Caddy's, with dns-01 and a real BIND."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from harness.caddy import Caddy
from harness.named import Named, TsigKey, Zone
from harness.pebble import Pebble

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from harness.gatecert import Gatecert

BOSTON = "boston"
HOSTNAME = "vpn.example.com"


@pytest.fixture
def named(servers: ExitStack, tmp_path: Path, gatecert: Gatecert) -> Named:
    """The DNS server, with gatecert configured to update it."""
    key = TsigKey()
    zone = Zone("example.com", records=("vpn IN A 127.0.0.1",))
    named = servers.enter_context(Named(tmp_path / "named", zones=[zone], keys=[key]))
    gatecert.configuration["resolver"] = {"nameservers": [named.address], "interval": "1s"}
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
    gatecert.add_gateway(BOSTON, HOSTNAME, alternative_names=["*.example.com"], challenge="dns-01")
    return named


@pytest.fixture
def caddy(servers: ExitStack, tmp_path: Path, named: Named, gatecert: Gatecert) -> Caddy:
    caddy = servers.enter_context(Caddy(tmp_path / "caddy", dns_server=named.address))
    use(gatecert, caddy)
    return caddy


def use(gatecert: Gatecert, caddy: Caddy) -> None:
    """Enrol with this CA."""
    gatecert.configuration["authorities"]["caddy"] = {
        "directory_url": caddy.directory_url,
        "contact": ["ops@example.com"],
        "ca_bundle": str(caddy.https_certificate),
        "trusted_roots": str(caddy.root),
    }
    gatecert.write()


def names_in(gatecert: Gatecert) -> set[str]:
    certificate = gatecert.certificate(BOSTON)
    assert certificate is not None
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(extension.value.get_values_for_type(x509.DNSName))


def test_enrolment_renewal_and_the_same_account(
    gatecert: Gatecert, caddy: Caddy, named: Named
) -> None:
    first = gatecert.run("enroll")
    assert first.exit_code == 0, first.errors
    assert names_in(gatecert) == {HOSTNAME, "*.example.com"}
    before = gatecert.certificate(BOSTON)
    accounts = gatecert.state_directory / "accounts" / "caddy" / "account.json"
    account = accounts.read_text("utf-8")

    # Only the file is lost, not the key: the account is found again, not created again.
    accounts.unlink()
    second = gatecert.run("enroll", "--force")
    assert second.exit_code == 0, second.errors
    assert accounts.read_text("utf-8") == account
    after = gatecert.certificate(BOSTON)
    assert before is not None
    assert after is not None
    assert after.serial_number != before.serial_number
    assert after.public_key() != before.public_key()

    assert named.texts("_acme-challenge.example.com") == []
    assert "panic" not in caddy.process.output


def test_a_failed_validation_is_reported_in_the_words_of_the_ca(
    gatecert: Gatecert, named: Named, servers: ExitStack, tmp_path: Path
) -> None:
    # gatecert updates one nameserver, the CA queries another.
    other = servers.enter_context(Named(tmp_path / "other", zones=[Zone("example.com")]))
    use(gatecert, servers.enter_context(Caddy(tmp_path / "caddy", dns_server=other.address)))

    result = gatecert.run("enroll")

    assert result.exit_code == 1
    assert len(result.errors.splitlines()) == 1
    assert "challenge-failed" in gatecert.status(BOSTON)["last_error"]["code"]
    assert f"validation failed; {HOSTNAME}: " in result.errors
    assert named.texts(f"_acme-challenge.{HOSTNAME}") == []


def test_caddy_takes_over_from_a_stopped_pebble(
    gatecert: Gatecert, caddy: Caddy, named: Named, servers: ExitStack, tmp_path: Path
) -> None:
    pebble = servers.enter_context(Pebble(tmp_path / "pebble", dns_server=named.address))
    gatecert.configuration["authorities"] = {
        "pebble": {
            "directory_url": pebble.directory_url,
            "terms_of_service_agreed": True,
            "ca_bundle": str(pebble.https_certificate),
            # A missing profile is a permanent refusal.
            "profile": "unheard-of",
        },
        **gatecert.configuration["authorities"],
    }
    gatecert.write()

    result = gatecert.run("enroll")

    assert result.exit_code == 0, result.errors
    assert "trying caddy instead" in result.output
    assert pebble.orders() == 0
    chain = x509.load_pem_x509_certificates((gatecert.live(BOSTON) / "fullchain.pem").read_bytes())
    root = x509.load_pem_x509_certificate(caddy.root.read_bytes())
    assert chain[-1].issuer == root.subject
