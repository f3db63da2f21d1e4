"""A pass reads state.json and the inventory once, and once more after a write at most."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.model import OutcomeKind
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.world import World

    from gatecert.model import GatewayState, IssuedChain, Version

DAY = timedelta(days=1)


class CountingStore(FileStore):
    """A store that counts what is read and written."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.counts: Counter[str] = Counter()

    def state(self, gateway: str) -> GatewayState:
        self.counts["state read"] += 1
        return super().state(gateway)

    def save_state(self, gateway: str, state: GatewayState) -> None:
        self.counts["state written"] += 1
        super().save_state(gateway, state)

    def versions(self, gateway: str) -> tuple[Version, ...]:
        self.counts["inventory"] += 1
        return super().versions(gateway)

    def add_version(self, gateway: str, issued: IssuedChain, **more: object) -> Version:
        self.counts["version written"] += 1
        return super().add_version(gateway, issued, **more)  # type: ignore[arg-type] # passed on

    def private_key(self, version: Version, *, second: bool = False) -> bytes:
        self.counts["key read"] += 1
        return super().private_key(version, second=second)


@pytest.fixture
def counts(world: World, tmp_path: Path) -> Counter[str]:
    store = CountingStore(tmp_path / "state")
    world.store = store
    world.pipeline = world.new_pipeline()
    world.attend()
    world.later(timedelta(hours=1))
    world.attend()
    store.counts.clear()
    return store.counts


def test_an_idle_pass_reads_the_state_and_the_inventory_once(
    world: World, counts: Counter[str]
) -> None:
    assert world.attend().kind is OutcomeKind.IDLE
    assert counts["state read"] == 1
    assert counts["inventory"] == 1
    assert counts["key read"] == len(world.current.inventory.versions)


def test_a_renewal_reads_nothing_again_but_what_it_wrote(
    world: World, counts: Counter[str]
) -> None:
    world.later(61 * DAY)
    assert world.attend().kind is OutcomeKind.RENEWED
    assert counts["version written"] == 1
    assert counts["inventory"] <= 1 + counts["version written"]
    assert counts["state read"] == 1
    assert counts["state written"] <= 5


def test_a_failed_pass_reads_the_state_once(world: World, counts: Counter[str]) -> None:
    world.authority.trouble = RuntimeError("unexpected")
    world.later(61 * DAY)
    assert world.attend().failed
    assert counts["state read"] == 1
    assert counts["inventory"] == 1


def test_preparing_a_gateway_reads_the_state_and_the_inventory_once(
    world: World, counts: Counter[str]
) -> None:
    assert world.pipeline.prepare(world.target) is None
    assert counts["state read"] == 1
    assert counts["inventory"] == 1
