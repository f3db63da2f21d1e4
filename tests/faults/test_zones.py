"""Rows 43 and 44: zones in which a wildcard answers for the record, or a nameserver does not."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.faults import peers
from tests.faults.scene import HOSTNAME, VPN, Scene, issued, refused

from harness.named import Named, TsigKey, Zone
from harness.pebble import Pebble, PebbleOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.peers import Peer

    from harness.gatecert import Gatecert

RECORD = f"_acme-challenge.{HOSTNAME}"
HOST = "vpn IN A 127.0.0.1"


@dataclass(frozen=True, slots=True)
class Field:
    """A zone at a real nameserver, and an authority that asks it."""

    scene: Scene
    named: Named
    pebble: Pebble
    key: TsigKey

    @classmethod
    def laid(cls, scene: Scene, *records: str) -> Field:
        """Start both; the zone has the host and these records."""
        key = TsigKey()
        zones = [Zone("example.com", records=(HOST, *records)), Zone("example.net", keys=())]
        named = scene.servers.enter_context(
            Named(scene.directory / "named", zones=zones, keys=[key])
        )
        pebble = scene.servers.enter_context(
            Pebble(
                scene.directory / "field",
                dns_server=named.address,
                options=PebbleOptions(rejected_nonces=0, reused_authorizations=0),
            )
        )
        return cls(scene, named, pebble, key)

    def gatecert(self, *authoritative: str, **more: Any) -> Gatecert:  # noqa: ANN401 - any key
        """The command, which changes the zone; further nameservers have to answer as well."""
        secret_file = self.key.write_secret(self.scene.directory / "tsig.secret")
        gatecert = self.scene.gatecert(challenge="dns-01")
        gatecert.use(self.pebble, self.named)
        gatecert.configuration["challenges"]["dns-01"] = {
            "provider": "rfc2136",
            "server": self.named.address,
            "tsig": {"name": self.key.name, "secret_file": str(secret_file)},
            "ttl": "1s",
            "authoritative": [self.named.address, *authoritative],
            **more,
        }
        return gatecert.write()


# ---------------------------------------------------------------------- 43


def test_row_43_a_wildcard_answers_for_the_record(scene: Scene) -> None:
    field = Field.laid(scene, "*.vpn IN CNAME edge.example.net.")
    gatecert = field.gatecert()
    issued(gatecert.run("enroll"))
    assert gatecert.is_enrolled(VPN)
    assert field.named.texts(RECORD) == []
    assert "challenge-ok" in gatecert.run("doctor", "--json").output


@pytest.mark.parametrize("peer_name", ["lego"])
def test_peer_row_43(peer: Peer, scene: Scene) -> None:
    field = Field.laid(scene, "*.vpn IN CNAME edge.example.net.")
    argv = [
        str(peers.LEGO),
        f"--server={field.pebble.directory_url}",
        "--accept-tos",
        "--email=ops@example.com",
        f"--path={peer.directory}",
        "--dns=rfc2136",
        f"--dns.resolvers={field.named.address}",
        "--dns.propagation-disable-ans",
        f"--domains={HOSTNAME}",
        "run",
    ]
    environment = {
        "LEGO_CA_CERTIFICATES": str(field.pebble.https_certificate),
        "RFC2136_NAMESERVER": field.named.address,
        "RFC2136_TSIG_ALGORITHM": f"{field.key.algorithm}.",
        "RFC2136_TSIG_KEY": field.key.name,
        "RFC2136_TSIG_SECRET": field.key.secret,
        "RFC2136_TTL": "1",
    }
    result = peers.run(peer, argv, environment=environment)
    assert result.succeeded, "writes the record where the wildcard leads"


# ---------------------------------------------------------------------- 44


def refusing(scene: Scene, field: Field) -> str:
    """A nameserver that does not have the zone."""
    del field
    zones = [Zone("example.org")]
    return scene.servers.enter_context(Named(scene.directory / "refusing", zones=zones)).address


def lame(scene: Scene, field: Field) -> str:
    """A nameserver that has the zone only from hearsay."""
    zones = [Zone("example.com", forwarder=field.named.address)]
    return scene.servers.enter_context(Named(scene.directory / "lame", zones=zones)).address


def silent(scene: Scene, field: Field) -> str:
    """A nameserver that never answers."""
    del field
    mute = scene.servers.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    mute.bind(("127.0.0.1", 0))
    return f"127.0.0.1:{mute.getsockname()[1]}"


def without_address(scene: Scene, field: Field) -> str:
    """A nameserver whose name does not exist."""
    del scene, field
    return "nowhere.example.com:53"


@pytest.mark.parametrize("troubled", [refusing, lame, silent, without_address])
def test_row_44_a_nameserver_gives_no_answer(
    scene: Scene, troubled: Callable[[Scene, Field], str]
) -> None:
    field = Field.laid(scene)
    behind = secondary(scene, field, refresh=1)
    address = troubled(scene, field)
    gatecert = field.gatecert(behind.address, address)
    result = gatecert.run("enroll")
    issued(result)
    assert gatecert.is_enrolled(VPN)
    assert address in result.errors, "no warning names it"
    assert behind.address not in result.errors


def test_row_44_a_nameserver_answers_wrong(scene: Scene) -> None:
    field = Field.laid(scene)
    behind = secondary(scene, field, refresh=3600)
    address = refusing(scene, field)
    gatecert = field.gatecert(behind.address, address, propagation_timeout="1s")
    refused(gatecert.run("enroll"), behind.address)
    assert field.pebble.certificates() == 0
    assert gatecert.status(VPN)["last_error"]["code"] == "record-not-visible"


def secondary(scene: Scene, field: Field, *, refresh: int) -> Named:
    """A second nameserver of the zone, which looks at the first every so many seconds."""
    zone = Zone("example.com", primary=field.named.address, refresh=refresh)
    return scene.servers.enter_context(Named(scene.directory / "secondary", zones=[zone]))
