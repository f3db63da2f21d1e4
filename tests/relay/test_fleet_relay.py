"""docs/relay.md with the fleet behind the relay: ordered by dns-01, and renewed with `replaces`."""

from __future__ import annotations

import os
import signal
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.certificate.summary import certificate_id
from gatecert.model import Identifier, IdentifierType, KeyType
from harness.pebble import PebbleOptions
from harness.waiting import wait_until

from .relay_network import HOSTNAME, VPN

if TYPE_CHECKING:
    from .issuing_fleet import FleetRelay, IssuingFleet
    from .relay_network import FieldGateway

LONGEST = 120.0  # seconds
SLOW = PebbleOptions(reused_authorizations=0, slowest_validation=5)


def hand_in(relay: FleetRelay, name: str) -> str:
    """Hand in a CSR with the relay's login, past acme2certifier; return the answer's text."""
    identifier = Identifier(IdentifierType.DNS, name)
    csr = build_request(key.generate(KeyType.ECDSA_P256), [identifier], common_name=None)
    id_ = sha256(csr).hexdigest()
    with relay.log_in() as login:
        login.execute(
            "INSERT INTO gatecert.csr_request (id, csr) VALUES (%s, %s)", (id_, csr.decode())
        )

        def answer() -> str | None:
            row = login.execute(
                "SELECT coalesce(fullchain, refusal) FROM gatecert.csr_request WHERE id = %s",
                (id_,),
            ).fetchone()
            return None if row is None else row[0]

        return wait_until(answer, "an answer", seconds=LONGEST)


@pytest.fixture
def spent(fleet_relay: FleetRelay) -> None:
    """Spend the budget for first certificates, from the relay's network."""
    hand_in(fleet_relay, "other.ddns.example")


def start_waiting(fleet: IssuingFleet, field: FieldGateway) -> None:
    """Start a gateway for which the budget does not suffice."""
    field.start()
    fleet.issuer.wait_logged("CSR waits", seconds=LONGEST)


def release(fleet: IssuingFleet) -> None:
    """Raise the limit, and make the order due."""
    fleet.issuer.configuration["authorities"]["pebble"]["limits"]["certificates"] = "50/7d"
    fleet.issuer.reload()
    fleet.issuer.wait_logged("configuration reloaded")
    fleet.change("UPDATE gateway SET due = now() WHERE generation = 0")


def test_ordered_by_the_fleet_and_renewed_within_no_limit(
    fleet: IssuingFleet, fleet_relay: FleetRelay, fleet_field: FieldGateway
) -> None:
    checked = fleet.issuer.run("check")
    assert (checked.exit_code, checked.errors) == (0, ""), checked.errors
    assert "orders for gateways in the field below ddns.example" in checked.output.replace(
        "\n    ", " "
    )

    fleet_field.start()
    fleet_field.wait_trusted(LONGEST)

    first = fleet_field.live
    fleet_field.wait_served()
    assert fleet.rows("SELECT name, generation FROM gateway") == [(f"field/{HOSTNAME}", 1)]
    assert fleet.rows("SELECT sealed_key FROM version") == [(None,)]

    fleet_relay.suggest_renewal_at_once()
    fleet_field.gatecert.look_again()
    fleet_field.gatecert.wait_for(
        lambda: fleet_field.live != first, "a renewed certificate", seconds=LONGEST
    )
    fleet_field.wait_trusted(LONGEST)

    assert fleet_field.live.public_key() != first.public_key()
    assert (fleet.pebble.orders(), fleet.pebble.certificates()) == (2, 2)
    assert f"replaces={certificate_id(first)}" in fleet.issuer.process.output
    counted = "SELECT kind, count(DISTINCT id) FROM expense WHERE kind IN ('certificate', "
    assert fleet.rows(f"{counted}'replacement') GROUP BY kind ORDER BY kind") == [
        ("certificate", 1),
        ("replacement", 1),
    ]


def test_a_thief_of_the_relay_gets_no_certificate_outside_the_domains(
    fleet: IssuingFleet, fleet_relay: FleetRelay
) -> None:
    answer = hand_in(fleet_relay, "vpn.example.org")
    assert "vpn.example.org is not a host name below ddns.example" in answer
    assert fleet.pebble.orders() == 0


def test_nothing_is_lost_while_the_database_is_away(
    fleet: IssuingFleet, fleet_relay: FleetRelay, fleet_field: FieldGateway
) -> None:
    fleet.database.freeze()
    fleet_field.start()
    fleet_relay.wait_for_poll("CSR waits: the fleet's database")

    fleet.database.thaw()

    fleet_field.wait_trusted(LONGEST)
    assert (fleet.pebble.orders(), fleet.pebble.certificates()) == (1, 1)


@pytest.mark.parametrize("pebble_options", [SLOW])
def test_a_worker_that_is_killed_leaves_its_order_to_the_next_one(
    fleet: IssuingFleet, fleet_field: FieldGateway
) -> None:
    """Its lease is made to end at once instead of after two minutes."""
    fleet_field.start()
    placed = "SELECT name FROM gateway WHERE enrolment ->> 'order' IS NOT NULL"
    wait_until(lambda: fleet.rows(placed), "an order", seconds=LONGEST)
    for worker in fleet.issuer.workers():
        os.kill(worker, signal.SIGKILL)
    fleet.issuer.wait_logged("worker lost")
    assert fleet.pebble.certificates() == 0
    fleet.change("UPDATE gateway SET lease_until = now()")

    fleet_field.wait_trusted(LONGEST)
    assert (fleet.pebble.orders(), fleet.pebble.certificates()) == (1, 1)


@pytest.mark.usefixtures("spent")
def test_a_spent_budget_lets_the_gateway_wait(
    fleet: IssuingFleet, fleet_relay: FleetRelay, fleet_field: FieldGateway
) -> None:
    start_waiting(fleet, fleet_field)
    fleet_relay.wait_for_poll("not issued yet")
    assert fleet.pebble.certificates() == 1
    assert fleet_field.gatecert.status(VPN)["state"] != "trusted"

    release(fleet)

    fleet_field.wait_trusted(LONGEST)


@pytest.mark.usefixtures("spent")
def test_a_damaged_chain_is_not_handed_out(
    fleet: IssuingFleet, fleet_relay: FleetRelay, fleet_field: FieldGateway
) -> None:
    start_waiting(fleet, fleet_field)
    mine = f"gateway = 'field/{HOSTNAME}'"
    fleet.change(f"UPDATE csr_request SET fullchain = 'garbage' WHERE {mine}")
    fleet_relay.wait_for_poll("the chain in the fleet's database is damaged")
    other = "SELECT fullchain FROM csr_request WHERE gateway = 'field/other.ddns.example'"
    fleet.change(f"UPDATE csr_request SET fullchain = ({other}) WHERE {mine}")
    fleet_relay.wait_for_poll("its certificate is for another key")

    fleet.change(f"UPDATE csr_request SET fullchain = NULL WHERE {mine}")
    release(fleet)

    fleet_field.wait_trusted(LONGEST)
