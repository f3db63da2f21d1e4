"""Tests of what a configuration contains already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.client_directories import LETS_ENCRYPT, SHOP, write

from gatecert.adoption.existing import read_existing

if TYPE_CHECKING:
    from pathlib import Path


def test_a_missing_or_empty_file_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    assert read_existing(path).gateways == {}
    write(path, "\n")
    assert read_existing(path).authorities == {}


def test_entries_are_read_without_being_checked(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    write(
        path,
        f"""state_directory: state
authorities:
  letsencrypt: {{}}
  le: {{directory_url: {LETS_ENCRYPT}}}
  odd: {{directory_url: "http://x"}}
challenges:
  http-01: {{webroot: /srv}}
  dns-01: {{provider: gandi}}
  tls-alpn-01:
gateways:
  boston: {{hostname: {SHOP.upper()}}}
  hq: {{hostname: hq.example.com, mode: custom}}
  broken: 5
""",
    )

    existing = read_existing(path)

    assert existing.state_directory == tmp_path / "state"
    assert existing.authorities == {"letsencrypt": LETS_ENCRYPT, "le": LETS_ENCRYPT, "odd": ""}
    assert existing.gateway_of(SHOP) == "boston"
    assert existing.gateway_of("none.example.com") == ""
    assert existing.custom == {"hq"}
    assert existing.challenges == {"http-01", "dns-01"}
    assert existing.dns_provider == "gandi"
    assert existing.http_01 == {"webroot": "/srv"}
