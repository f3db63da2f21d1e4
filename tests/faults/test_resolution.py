"""Rows 41 and 42: names of which one record type is right, and the other unknown or made up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.faults.nameserver import Nameserver
from tests.faults.scene import HOSTNAME, VPN, Scene, issued, refused

if TYPE_CHECKING:
    from tests.faults.nameserver import Answer

    from harness.gatecert import Gatecert

NAME = f"{HOSTNAME}."
RIGHT: dict[tuple[str, str], Answer] = {(NAME, "A"): ["127.0.0.1"]}


def nameserver(scene: Scene, zone: dict[tuple[str, str], Answer]) -> tuple[Nameserver, Gatecert]:
    """The nameserver that gatecert uses; the CA uses another one, which works."""
    server = scene.servers.enter_context(Nameserver({**RIGHT, **zone}))
    gatecert = scene.gatecert()
    gatecert.configuration["resolver"] |= {"nameservers": [server.address], "timeout": "1s"}
    gatecert.write()
    return server, gatecert


# ---------------------------------------------------------------------- 41


@pytest.mark.parametrize(
    "answer",
    [
        "SERVFAIL",
        *(
            pytest.param(other, marks=pytest.mark.slow)
            for other in ("REFUSED", "NOTIMP", "FORMERR", None)
        ),
    ],
)
def test_row_41_one_family_is_unknown(scene: Scene, answer: str | None) -> None:
    server, gatecert = nameserver(scene, {(NAME, "AAAA"): answer})
    result = gatecert.run("enroll")
    issued(result)
    assert f"not every record of {HOSTNAME} could be looked up" in result.errors
    assert (answer or "no answer") in gatecert.status(VPN)["warning"]
    first = gatecert.status(VPN)["fingerprint"]
    # Then nothing answers at all: a renewal goes on, a first order does not.
    server.silent = True
    issued(gatecert.run("enroll", "--force"))
    assert gatecert.status(VPN)["fingerprint"] != first
    assert scene.pebble.orders() == 2


def test_row_41_what_is_known_wrong_holds_back(scene: Scene) -> None:
    server, gatecert = nameserver(scene, {(NAME, "AAAA"): ["2001:db8::bad"]})
    server.zone[NAME, "A"] = "SERVFAIL"
    refused(gatecert.run("enroll"), "2001:db8::bad")
    assert scene.rules.asked("new-order") == 0


# ---------------------------------------------------------------------- 42


@pytest.mark.parametrize(
    ("synthesized", "discovery"),
    [
        ("64:ff9b::127.0.0.1", []),
        ("64:ff9b:1:7f00:0:100::", ["64:ff9b:1:c000:0:aa00::"]),
    ],
)
def test_row_42_dns64(scene: Scene, synthesized: str, discovery: list[str]) -> None:
    _, gatecert = nameserver(
        scene, {(NAME, "AAAA"): [synthesized], ("ipv4only.arpa.", "AAAA"): discovery}
    )
    issued(gatecert.run("enroll"))
    assert gatecert.is_enrolled(VPN)
    assert not gatecert.status(VPN)["warning"]
