from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.config.advice import advice
from gatecert.config.schema import Configuration
from gatecert.config.targets import targets

if TYPE_CHECKING:
    from pathlib import Path

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


def notes(
    gateway: dict[str, object], *, directory_url: str = LETS_ENCRYPT, **more: object
) -> list[str]:
    configuration = Configuration.model_validate(
        {
            "authorities": {"le": {"name": "le", "directory_url": directory_url, **more}},
            "challenges": {"tls-alpn-01": {"listen": gateway.pop("listen", ["0.0.0.0:443"])}},
            "gateways": {"g": {"name": "g", "hostname": "g.example.com", **gateway}},
        }
    )
    (target,) = targets(configuration)
    return list(advice(target, configuration))


def test_addresses_need_a_profile_at_lets_encrypt() -> None:
    (note,) = notes({"alternative_names": ["2001:db8::7"]})
    assert note == (
        "Let's Encrypt issues for IP addresses such as 2001:db8::7 with one profile only; set "
        "authorities.le.profile: shortlived"
    )


@pytest.mark.parametrize(
    "more",
    [
        {"profile": "shortlived"},
        {"directory_url": "https://acme.example/directory"},
        {"directory_url": "https://letsencrypt.org.example/directory"},
    ],
)
def test_no_advice_for_a_working_configuration(more: dict[str, str]) -> None:
    assert notes({"alternative_names": ["203.0.113.7"]}, **more) == []


def test_a_ca_that_requires_eab_is_noted(tmp_path: Path) -> None:
    (note,) = notes({}, directory_url="zerossl")
    assert note.endswith("get a key from the CA and set authorities.le.external_account")
    secret = tmp_path / "hmac"
    secret.write_text("AAAA")
    secret.chmod(0o600)
    binding = {"key_id": "kid-1", "hmac_key_file": str(secret)}
    assert notes({}, directory_url="zerossl", external_account=binding) == []


def test_no_advice_about_names() -> None:
    assert notes({"alternative_names": ["vpn.example.com"]}) == []


@pytest.mark.parametrize(
    ("listen", "verify", "said"),
    [
        ("0.0.0.0:443", "127.0.0.1:443", True),
        ("127.0.0.1:443", "127.0.0.1:443", True),
        ("[::]:443", "[::1]:443", True),
        ("127.0.0.1:10443", "127.0.0.1:443", False),
        ("127.0.0.2:443", "127.0.0.1:443", False),
        ("[::]:443", "127.0.0.1:443", False),
    ],
)
def test_listening_on_the_gateways_own_port_is_noted(
    listen: str, verify: str, *, said: bool
) -> None:
    gateway: dict[str, object] = {"listen": [listen], "install": {"verify": [verify, verify]}}
    found = notes(gateway)
    assert len(found) == said
    if said:
        assert "docs/challenges.md" in found[0]
        assert verify in found[0]


def test_an_unused_challenge_type_takes_no_port() -> None:
    gateway: dict[str, object] = {"challenge": "http-01", "install": {"verify": ["127.0.0.1:443"]}}
    assert notes(gateway) == []


def members(count: int) -> dict[str, object]:
    names = [f"m{each}" for each in range(count)]
    return {"members": {name: {"common_name": f"{name}.example.com"} for name in names}}


def test_more_hosts_than_certificates_of_the_same_names_are_noted() -> None:
    (note,) = notes(members(5))
    assert note.startswith("5 hosts share g.example.com, and le issues 5 certificates in 7 days")


@pytest.mark.parametrize(
    ("count", "limits"), [(4, {}), (9, {"duplicates": "10/7d"}), (50, "off")], ids=str
)
def test_hosts_within_the_limit_are_not(count: int, limits: object) -> None:
    assert notes(members(count), limits=limits) == []
