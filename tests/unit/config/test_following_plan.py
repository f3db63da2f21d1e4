"""The plan of the follower."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes.fleet_files import FleetFiles

from gatecert.config.fleet_host import fleet_host
from gatecert.config.following_plan import following_plan
from gatecert.config.load import load
from gatecert.model.following import FollowingPlan, ResponsePlace
from gatecert.supervision.plain_values import from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatecert.config.schema import Configuration


def test_without_a_fleet_there_is_none(configuration: Callable[[str], Configuration]) -> None:
    assert (
        following_plan(configuration("gateways: {g: {hostname: g.example.com, region: cn}}\n"))
        is None
    )


def test_the_plan_survives_the_way_through_json(tmp_path: Path) -> None:
    read = load(FleetFiles(tmp_path / "etc").configuration())
    assert read.fleet is not None
    plan = following_plan(read)
    assert plan == FollowingPlan(
        read.state_directory,
        fleet_host(read.fleet),
        ResponsePlace(read.challenges.http_01.listen),
    )
    assert from_plain(FollowingPlan, json.loads(json.dumps(to_plain(plan)))) == plan
