"""Row 51: the first of two authorities is down, and nothing trusted is served."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from tests.faults.proxy.faults import Answer, Drop, Page
from tests.faults.scene import VPN, Scene, issued, refused

if TYPE_CHECKING:
    from tests.faults.proxy.faults import Fault

    from harness.gatecert import Gatecert

DAY = 86_400  # seconds


def with_second_authority(scene: Scene) -> Gatecert:
    """The first authority is behind the proxy; the second is asked directly."""
    gatecert = scene.gatecert()
    gatecert.configuration["authorities"]["second"] = {
        "directory_url": scene.pebble.directory_url,
        "terms_of_service_agreed": True,
        "ca_bundle": str(scene.pebble.https_certificate),
        "trusted_roots": str(scene.pebble.root),
    }
    gatecert.write()
    return gatecert


@pytest.mark.parametrize("command", [["enroll"], ["enroll", "--force"]], ids=" ".join)
@pytest.mark.parametrize(
    ("where", "fault"),
    [
        ("directory", Drop()),
        ("new-order", Drop()),
        ("new-account", Page(502)),
        ("new-order", Answer(500, "serverInternal", "Internal server error")),
    ],
    ids=["down", "hangs up", "gateway's error", "broken"],
)
def test_row_51_the_second_authority_is_asked_at_once(
    scene: Scene, where: str, fault: Fault, command: list[str]
) -> None:
    scene.rules.add(where, fault)
    gatecert = with_second_authority(scene)

    result = gatecert.run(*command)

    issued(result)
    assert "trying second instead" in result.output
    assert gatecert.is_enrolled(VPN)
    assert scene.pebble.orders() == 1


def test_row_51_the_daemon_asks_the_second_in_its_first_pass(scene: Scene) -> None:
    scene.rules.add("directory", Drop())
    gatecert = with_second_authority(scene).start()
    gatecert.wait_enrolled(VPN)
    status = gatecert.status(VPN)
    assert [left["name"] for left in status["authorities_left"]] == ["pebble"]


def test_row_51_retry_after_is_not_waited_for_while_another_can_be_asked(scene: Scene) -> None:
    scene.rules.add("new-order", Answer(429, "rateLimited", "slow down", retry_after=864_000))
    gatecert = with_second_authority(scene)
    issued(gatecert.run("enroll"))
    assert gatecert.is_enrolled(VPN)


def test_row_51_a_long_retry_after_is_tried_once_a_day_where_nothing_trusted_is_served(
    scene: Scene,
) -> None:
    scene.rules.add("new-order", Answer(429, "rateLimited", "slow down", retry_after=864_000))
    gatecert = scene.gatecert()
    began = time.time()
    refused(gatecert.run("enroll"))
    at = datetime.fromisoformat(gatecert.status(VPN)["next_at"]).timestamp()
    assert DAY - 1 <= at - began <= DAY + 30
    gatecert.run("enroll")
    scene.gatecert(clock="+23h").run("enroll")
    assert scene.rules.asked("new-order") == 1
