"""Rows 21 to 24: what an authority says of certificates that it has issued, and what it forgets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.faults import peers
from tests.faults.proxy.faults import ANSWERS, Answer, Drop, Page, Patch
from tests.faults.scene import VPN, Scene, assert_pair, issued, refused

from harness.pebble import PebbleOptions

if TYPE_CHECKING:
    from tests.faults.conftest import Play
    from tests.faults.peers import Peer
    from tests.faults.proxy.faults import Fault

    from harness.gatecert import Gatecert


def window_in_the_past(scene: Scene, certificate: x509.Certificate | None) -> None:
    """Return the renewal information of a certificate that is or will be revoked."""
    assert certificate is not None
    now = datetime.now(UTC)
    scene.pebble.set_renewal_window(
        certificate.public_bytes(Encoding.PEM).decode("ascii"),
        now - timedelta(hours=2),
        now - timedelta(hours=1),
    )


# ---------------------------------------------------------------------- 21


def test_row_21_revoked(scene: Scene) -> None:
    gatecert = scene.gatecert(key={"reuse": True}).start()
    gatecert.wait_enrolled(VPN)
    first = gatecert.certificate(VPN)
    assert first is not None
    window_in_the_past(scene, first)
    gatecert.look_again()
    gatecert.wait_for(lambda: gatecert.certificate(VPN) != first, "a renewal", seconds=30)
    second = gatecert.certificate(VPN)
    assert second is not None
    assert second.public_key() == first.public_key()
    assert scene.pebble.orders() == 2

    result = gatecert.run("revoke", VPN, "--reason", "keyCompromise")
    assert result.exit_code == 0, result.errors
    gatecert.wait_for(lambda: gatecert.certificate(VPN) != second, "another one", seconds=30)
    third = gatecert.certificate(VPN)
    assert third is not None
    assert third.public_key() != second.public_key()
    assert scene.pebble.certificate_status(second.serial_number) == "Revoked"
    assert scene.pebble.orders() == 3


def test_peer_row_21(peer: Peer, scene: Scene) -> None:
    peers.issue(peer)
    first = peers.leaf(peer)
    window_in_the_past(scene, first)
    peers.run(peer, peer.renewal())
    assert peers.leaf(peer) != first, "does not renew"


# ---------------------------------------------------------------------- 22


def _window(start: str, end: str) -> Patch:
    return Patch({"suggestedWindow": {"start": start, "end": end}})


NONSENSE: dict[str, Fault] = {
    "end before start": _window("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
    "no instants": _window("soon", "later"),
    "year 9999": _window("9999-12-30T00:00:00Z", "9999-12-31T00:00:00Z"),
    "no window": Patch({"suggestedWindow": None}),
    "a list": Patch({"suggestedWindow": []}),
    "HTML": Page(),
    "500": Answer(500),
    "404": Answer(404, "malformed", "no such certificate"),
    "hung up": Drop(),
}


@pytest.mark.slow
def test_row_22_nonsense_from_renewal_information(scene: Scene) -> None:
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    certificate = gatecert.certificate(VPN)
    assert certificate is not None
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    for kind, fault in NONSENSE.items():
        scene.rules.clear()
        scene.rules.add("renewal-info", fault)
        result = gatecert.run("enroll")
        assert result.exit_code == 0, f"{kind}: {result.errors}"
        assert "Traceback" not in result.errors
        status = gatecert.status(VPN)
        at = datetime.fromisoformat(status["next_at"])
        latest = certificate.not_valid_after_utc - lifetime / 12
        assert certificate.not_valid_before_utc + lifetime / 3 < at <= latest, kind
        assert gatecert.certificate(VPN) == certificate, kind
    assert scene.rules.asked("renewal-info") >= len(NONSENSE)
    assert scene.pebble.orders() == 1


def test_peer_row_22(peer: Peer, scene: Scene) -> None:
    peers.issue(peer)
    first = peers.leaf(peer)
    for kind, fault in NONSENSE.items():
        scene.rules.clear()
        scene.rules.add("renewal-info", fault)
        result = peers.run(peer, peer.renewal(), timeout=90)
        assert result.exit_code is not None, f"{kind}: does not end"
        assert result.exit_code == 0, f"{kind}: fails"
        assert peers.leaf(peer) == first, f"{kind}: renews"


# ---------------------------------------------------------------------- 23


def test_row_23_an_authority_that_forgot_the_account(scene: Scene) -> None:
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    first = gatecert.certificate(VPN)
    key = (gatecert.state_directory / "accounts" / "pebble" / "key.pem").read_bytes()
    scene.pebble.restart()
    issued(gatecert.run("enroll", "--force"))
    assert gatecert.certificate(VPN) != first
    assert (gatecert.state_directory / "accounts" / "pebble" / "key.pem").read_bytes() == key
    assert scene.pebble.orders() == 2


def test_peer_row_23(peer: Peer, scene: Scene) -> None:
    peers.issue(peer)
    first = peers.leaf(peer)
    scene.pebble.restart()
    peers.run(peer, peer.renewal(force=True))
    assert peers.leaf(peer) != first, "cannot renew any more"


# ---------------------------------------------------------------------- 24


def test_row_24_other_intermediates_and_roots(play: Play) -> None:
    scene = play(PebbleOptions(rejected_nonces=0, chain_length=3, alternate_roots=2))
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    assert chain_length(gatecert) == 4
    # The authority changes its root; the new one is expected as well.
    before = scene.pebble.root.read_bytes()
    scene.pebble.restart()
    scene.pebble.root.write_bytes(before + scene.pebble.root.read_bytes())
    issued(gatecert.run("enroll", "--force"))
    assert chain_length(gatecert) == 4


def test_row_24_an_alternate_chain(play: Play) -> None:
    # Only the second root is expected, to which an alternate chain leads.
    scene = play(PebbleOptions(rejected_nonces=0, alternate_roots=2))
    roots = scene.directory / "roots.pem"
    roots.write_bytes(scene.pebble.root_certificate(1))
    gatecert = scene.gatecert(authority={"trusted_roots": str(roots)})
    issued(gatecert.run("enroll"))
    assert gatecert.is_enrolled(VPN)


def chain_length(gatecert: Gatecert) -> int:
    files = gatecert.files(VPN)
    assert_pair(files["fullchain"], files["private_key"])
    return len(x509.load_pem_x509_certificates(files["fullchain"].read_bytes()))


def test_peer_row_24(peer_name: str, play: Play) -> None:
    scene = play(PebbleOptions(rejected_nonces=0, chain_length=3, alternate_roots=2))
    peer = peers.PEERS[peer_name](scene)
    result = peers.run(peer, peer.command())
    assert result.succeeded, "cannot be issued a longer chain"
    assert_pair(peer.fullchain, peer.private_key)
    chain = x509.load_pem_x509_certificates(peer.fullchain.read_bytes())
    assert len(chain) == 4, f"keeps {len(chain)} of 4 certificates"


# ---------------------------------------------------------------------- other answers


def test_an_authority_that_knows_of_another_replacement(scene: Scene) -> None:
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    first = gatecert.certificate(VPN)
    scene.rules.add("new-order", ANSWERS["already-replaced"], times=1)
    issued(gatecert.run("enroll", "--force"))
    assert gatecert.certificate(VPN) != first
    orders = [entry.payload or {} for entry in scene.rules.journal("new-order")]
    assert ["replaces" in order for order in orders] == [False, True, False]


def test_terms_that_have_changed_are_waited_for(scene: Scene) -> None:
    scene.rules.add("new-order", ANSWERS["user-action-required"])
    gatecert = scene.gatecert()
    refused(gatecert.run("enroll"), "https://example.org/terms/v2")
    assert gatecert.status(VPN)["next_at"] > (datetime.now(UTC) + timedelta(hours=23)).isoformat()
    gatecert.run("enroll")
    assert scene.rules.asked("new-order") == 1

    scene.rules.clear()
    issued(gatecert.run("enroll", "--force"))
