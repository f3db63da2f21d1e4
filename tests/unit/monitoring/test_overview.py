"""The monitor's knowledge, and the waking of those who wait for a change."""

from __future__ import annotations

import asyncio
import gc

import pytest
from tests.fakes.gateway_statuses import gateway

from gatecert.monitoring.overview import Overview


def test_statuses_have_the_order_of_the_configuration() -> None:
    overview = Overview()
    overview.keep(["oslo", "bern", "kiel"])
    for name in ("kiel", "elsewhere", "oslo"):
        overview.describe(gateway(name))

    assert [one.name for one in overview.described] == ["oslo", "kiel"]
    assert not overview.complete


def test_it_is_complete_once_the_daemon_is_ready_and_each_gateway_is_described() -> None:
    overview = Overview(ready=True)
    overview.keep(["oslo"])
    assert not overview.complete

    overview.describe(gateway("oslo"))

    assert overview.complete


def test_a_gateway_that_is_configured_no_longer_is_forgotten() -> None:
    overview = Overview()
    overview.keep(["oslo", "bern"])
    overview.describe(gateway("oslo"))

    assert overview.keep(["bern"]) == {"oslo"}
    assert overview.described == ()


def test_a_change_wakes_everybody_who_waits() -> None:
    async def changed() -> list[int]:
        overview = Overview()
        waiting = [asyncio.create_task(overview.change_after(0)) for _ in range(3)]
        await asyncio.sleep(0)
        overview.changed()
        return await asyncio.gather(*waiting)

    assert asyncio.run(changed()) == [1, 1, 1]


def test_who_stops_waiting_leaves_nothing_behind() -> None:
    async def left() -> int:
        overview = Overview()
        for _ in range(100):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await overview.change_after(0)
        gc.collect()
        return sum(isinstance(each, asyncio.Future) for each in gc.get_objects())

    assert asyncio.run(left()) < 10
