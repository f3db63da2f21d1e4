"""A certificate for each of two kinds of key: ordered, kept, swapped and renewed together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.fakes.clock import DAY, MINUTE
from tests.fakes.world import World

from gatecert.certificate.bootstrap import bootstrap
from gatecert.errors import AuthorityUnreachableError
from gatecert.model import KeyPolicy, KeyType, OutcomeKind

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.deploy.parsed_versions import StoredCertificate

PAIR = KeyPolicy(KeyType.ECDSA_P256, second=KeyType.RSA_2048)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.target = replace(made.target, key=PAIR)
    return made


def live(world: World) -> StoredCertificate:
    found = world.current.live
    assert found is not None
    return found


def files(world: World) -> dict[str, bytes]:
    directory = world.store.gateway_directory("vpn") / "live"
    return {path.name: path.read_bytes() for path in directory.glob("*.pem")}


def test_a_bootstrap_certificate_for_each_then_an_order_for_each(world: World) -> None:
    world.pipeline.prepare(world.target)
    made = live(world).summary
    assert made.is_bootstrap
    assert made.algorithms == ("ecdsa", "rsa")

    assert world.attend().kind is OutcomeKind.ENROLLED

    summary = live(world).summary
    assert summary.second is not None
    assert summary.algorithms == ("ecdsa", "rsa")
    assert summary.second.identifiers == summary.identifiers
    assert world.authority.orders == 2
    assert {"second-privkey.pem", "second-cert.pem", "second-fullchain.pem"} <= files(world).keys()
    first, second = (
        x509.load_pem_x509_certificate(files(world)[name]).public_key()
        for name in ("cert.pem", "second-cert.pem")
    )
    assert isinstance(first, ec.EllipticCurvePublicKey)
    assert isinstance(second, rsa.RSAPublicKey)
    enrolment, requests = world.store.state("vpn").enrolment, world.store.requests("vpn")
    assert (enrolment.order, enrolment.second_order, requests) == (None, None, ())


def test_both_are_renewed_together_and_each_replaces_its_own(world: World) -> None:
    world.attend()
    before = live(world).summary
    assert before.second is not None
    world.later(60 * DAY)
    assert world.attend().kind is OutcomeKind.RENEWED
    ids = ["", "", before.certificate_id, before.second.certificate_id]
    assert world.authority.replaced == ids
    after = live(world).summary
    assert after.second is not None
    assert after.key_fingerprint != before.key_fingerprint
    assert after.second.key_fingerprint != before.second.key_fingerprint


def test_keys_that_are_to_stay_stay_both(world: World) -> None:
    world.target = replace(world.target, key=replace(PAIR, reuse=True))
    world.attend()
    before = files(world)
    world.later(60 * DAY)
    assert world.attend().kind is OutcomeKind.RENEWED
    after = files(world)
    for name in ("privkey.pem", "second-privkey.pem"):
        assert after[name] == before[name]
    assert after["second-cert.pem"] != before["second-cert.pem"]


def test_a_key_that_is_to_stay_stays_only_where_its_type_is_still_wanted(world: World) -> None:
    world.target = replace(world.target, key=KeyPolicy(KeyType.ECDSA_P256, reuse=True))
    world.attend()
    pinned = files(world)["privkey.pem"]

    swapped = KeyPolicy(KeyType.RSA_2048, reuse=True, second=KeyType.ECDSA_P256)
    world.target = replace(world.target, key=swapped)
    assert world.attend().kind is OutcomeKind.RENEWED
    assert live(world).summary.algorithms == ("rsa", "ecdsa")
    assert files(world)["second-privkey.pem"] == pinned
    assert world.attend().kind is OutcomeKind.IDLE
    assert world.authority.orders == 3

    world.target = replace(world.target, key=KeyPolicy(KeyType.ECDSA_P384, reuse=True))
    world.later(60 * DAY)
    assert world.attend().kind is OutcomeKind.RENEWED
    served = x509.load_pem_x509_certificate(files(world)["cert.pem"]).public_key()
    assert isinstance(served, ec.EllipticCurvePublicKey)
    assert isinstance(served.curve, ec.SECP384R1)


def test_the_first_order_of_a_pair_is_resumed_when_the_second_fails(world: World) -> None:
    def interrupt() -> None:
        gone = world.authority.orders == 2
        world.authority.trouble = AuthorityUnreachableError("no answer") if gone else None

    world.authority.during_order = interrupt
    assert world.attend().code == "authority-unreachable"
    state = world.store.state("vpn")
    assert state.enrolment.order is not None
    assert state.enrolment.second_order is not None
    assert len(world.store.requests("vpn")) == 2
    assert live(world).summary.is_bootstrap

    world.authority.during_order = lambda: None
    world.authority.trouble = None
    world.pipeline = world.new_pipeline()
    world.later(2 * MINUTE)
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert world.authority.orders == 2
    assert world.store.requests("vpn") == ()


def test_a_second_key_that_is_wanted_later_is_ordered_at_once_and_one_less_is_no_reason(
    world: World,
) -> None:
    world.target = replace(world.target, key=KeyPolicy())
    world.attend()
    assert world.authority.orders == 1
    world.target = replace(world.target, key=PAIR)
    assert world.attend().kind is OutcomeKind.RENEWED
    assert world.authority.orders == 3
    world.target = replace(world.target, key=KeyPolicy())
    assert world.attend().kind is OutcomeKind.IDLE
    assert live(world).summary.second is None  # nobody has to serve it any more
    swapped = KeyPolicy(KeyType.RSA_2048, second=KeyType.ECDSA_P256)
    world.target = replace(world.target, key=swapped)
    world.attend()
    assert live(world).summary.algorithms == ("rsa", "ecdsa")


def test_a_bootstrap_certificate_of_one_key_is_made_anew_for_two(world: World) -> None:
    world.target = replace(world.target, key=KeyPolicy())
    world.pipeline.prepare(world.target)
    world.target = replace(world.target, key=PAIR)
    world.pipeline.prepare(world.target)
    assert live(world).summary.algorithms == ("ecdsa", "rsa")
    assert bootstrap(world.target.identifiers, now=world.clock()).second is None


@pytest.mark.parametrize("name", ["second-cert.pem", "second-privkey.pem", "second-fullchain.pem"])
def test_a_version_whose_second_half_is_damaged_is_not_served(world: World, name: str) -> None:
    world.attend()
    version = live(world).version
    (world.store.version_directory(version) / name).write_bytes(b"torn")
    assert version.id not in {each.id for each in world.store.versions("vpn")}


def test_a_second_key_of_another_certificate_is_not_served(world: World) -> None:
    world.attend()
    version = live(world).version
    other = bootstrap(world.target.identifiers, now=world.clock(), key_policy=PAIR)
    assert other.second is not None
    path = world.store.version_directory(version) / "second-privkey.pem"
    path.write_bytes(other.second.private_key)
    held = world.current.inventory.stored
    assert version.id not in [one.version.id for one in held]


def test_nothing_of_two_orders_is_left_when_they_are_forgotten(world: World) -> None:
    def interrupt() -> None:
        gone = world.authority.orders == 2
        world.authority.trouble = AuthorityUnreachableError("no answer") if gone else None

    world.authority.during_order = interrupt
    world.attend()
    world.pipeline.ordering.journal(world.current).forget()
    (left,) = world.store.requests("vpn")
    assert left.id.startswith("order-second-")
    world.pipeline.ordering.forget(world.current)
    enrolment, requests = world.store.state("vpn").enrolment, world.store.requests("vpn")
    assert (enrolment.order, enrolment.second_order, requests) == (None, None, ())
