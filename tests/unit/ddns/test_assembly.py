"""The keeper of the records for each provider, source and place of the credentials."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatecert.config.schema import Configuration
from gatecert.ddns.address_source import (
    ConfiguredSource,
    DnsSource,
    HttpsSource,
    InterfaceSource,
    LastingSource,
)
from gatecert.ddns.assembly import build_keeper
from gatecert.ddns.duckdns_updater import DuckdnsUpdater
from gatecert.ddns.dyndns2_updater import Dyndns2Updater
from gatecert.ddns.zone_updater import ZoneUpdater
from gatecert.resolve.resolver import Resolver

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.ddns.record_keeper import RecordKeeper


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("one", "ascii")
    return path


def keeper(
    ddns: dict[str, Any],
    *,
    hostname: str = "vpn.example.com",
    dns_01: dict[str, Any] | None = None,
    **gateway: object,
) -> RecordKeeper:
    configuration = Configuration.model_validate(
        {
            "challenges": {"dns-01": dns_01},
            "gateways": {"boston": {"hostname": hostname, "ddns": ddns, **gateway}},
        }
    )
    resolver = Resolver((), timedelta(seconds=5))
    return build_keeper(configuration.gateways["boston"], configuration, resolver)


def test_a_service(secret: Path) -> None:
    made = keeper({"provider": "dyndns2", "service": "noip", "password_file": str(secret)})
    assert isinstance(made.updater, Dyndns2Updater)
    assert made.policy.one_each
    assert made.policy.counts_updates
    assert made.hostname == "vpn.example.com"


def test_duckdns_has_its_own_protocol_with_the_credentials_of_either_place(secret: Path) -> None:
    settings = {"provider": "duckdns", "credentials": {"auth_token": str(secret)}}
    name = "boston.duckdns.org"
    for made in (keeper(settings, hostname=name), keeper({}, hostname=name, dns_01=settings)):
        assert isinstance(made.updater, DuckdnsUpdater)
        assert made.policy.counts_updates


@pytest.mark.parametrize(
    "settings",
    [
        {"provider": "rfc2136", "server": "192.0.2.53"},
        {"provider": "cloudflare", "options": {"zone_id": "1"}},
    ],
)
def test_zones_are_changed_by_the_providers_of_dns_01(settings: dict[str, Any]) -> None:
    for made in (keeper(settings), keeper({}, dns_01=settings)):
        assert isinstance(made.updater, ZoneUpdater)
        assert not made.policy.one_each
        assert not made.policy.counts_updates


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (None, InterfaceSource),
        ({"interface": "ppp0"}, InterfaceSource),
        ({"resolver": "opendns"}, DnsSource),
        ({"resolver": "google"}, DnsSource),
        ({"dns": {"name": "me.example.com", "server": "192.0.2.53", "type": "txt"}}, DnsSource),
        ({"https": "https://ip.example.net"}, HttpsSource),
    ],
)
def test_each_source(source: dict[str, Any] | None, kind: type) -> None:
    made = keeper({"provider": "cloudflare", "source": source})
    found = made.source.source if isinstance(made.source, LastingSource) else made.source
    assert isinstance(found, kind)


def test_configured_addresses_are_the_source_unless_another_is_named() -> None:
    ddns: dict[str, Any] = {"provider": "cloudflare"}
    assert isinstance(keeper(ddns, addresses=["192.0.2.7"]).source, ConfiguredSource)
    named = {**ddns, "source": {"resolver": "google"}}
    assert isinstance(keeper(named, addresses=["192.0.2.7"]).source, LastingSource)


def test_the_stamp_changes_with_settings_and_secret_files_only(secret: Path) -> None:
    settings = {"provider": "dyndns2", "service": "noip", "password_file": str(secret)}
    stamp = keeper(settings).stamp()
    assert stamp == keeper(settings).stamp()
    assert keeper({**settings, "service": "he"}).stamp() != stamp
    assert keeper(settings, hostname="other.example.com").stamp() != stamp
    secret.write_text("another one", "ascii")
    changed = keeper(settings).stamp()
    assert changed != stamp
    secret.unlink()
    assert keeper(settings).stamp() not in {stamp, changed}


def test_the_stamp_covers_the_credentials_of_dns_01(secret: Path) -> None:
    tsig = {"name": "gatecert", "secret_file": str(secret)}
    made = keeper({}, dns_01={"provider": "rfc2136", "server": "192.0.2.53", "tsig": tsig})
    stamp = made.stamp()
    secret.write_text("another one", "ascii")
    assert made.stamp() != stamp


def test_a_gateway_without_dynamic_dns_has_no_keeper() -> None:
    configuration = Configuration.model_validate({"gateways": {"a": {"hostname": "a.example.com"}}})
    resolver = Resolver((), timedelta(seconds=5))
    with pytest.raises(ValueError, match="has no dynamic DNS"):
        build_keeper(configuration.gateways["a"], configuration, resolver)
