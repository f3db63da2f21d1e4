"""A pass reads state.json and the inventory once, and once more after a write at most."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, START
from tests.fakes.pki import dns
from tests.fakes.world import HOSTNAME, World

from gatecert.certificate.bootstrap import bootstrap
from gatecert.model import EnrolmentState, GatewayState, OutcomeKind
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.model import IssuedChain, Version


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
    assert counts["key read"] == 0
    assert counts["state written"] == 0


class SlowStore(FileStore):
    """A store in which the versions of the first gateway that asks take long."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.asked, self.go_on = threading.Event(), threading.Event()

    def versions(self, gateway: str) -> tuple[Version, ...]:
        if not self.asked.is_set():
            self.asked.set()
            assert self.go_on.wait(10)
        return super().versions(gateway)


def test_a_pass_that_reads_keeps_no_other_waiting(world: World, tmp_path: Path) -> None:
    world.store = store = SlowStore(tmp_path / "state")
    world.pipeline = world.new_pipeline()
    slow, other = world.current, world.current
    reading = threading.Thread(target=lambda: slow.inventory)
    reading.start()
    assert store.asked.wait(10)
    other_reading = threading.Thread(target=lambda: other.inventory, daemon=True)
    other_reading.start()
    other_reading.join(5)
    try:
        assert not other_reading.is_alive()
    finally:
        store.go_on.set()
        reading.join()


def test_only_a_change_of_either_part_is_written(world: World, counts: Counter[str]) -> None:
    current = world.current
    current.update_enrolment(failures=0, order=None)
    current.update_host(ddns=None)
    current.save(current.state)
    assert counts["state written"] == 0
    before = current.state
    current.update_enrolment(failures=1)
    current.update_host(outcome=None)
    assert counts["state written"] == 2
    enrolment, host = replace(before.enrolment, failures=1), replace(before.host, outcome=None)
    assert world.store.state("vpn") == GatewayState(enrolment, host)


def test_an_idle_pass_parses_nothing_that_an_earlier_one_parsed(
    world: World, counts: Counter[str]
) -> None:
    before = world.current
    assert world.attend().kind is OutcomeKind.IDLE
    after = world.current
    assert counts["key read"] == 0
    assert after.state is before.state
    assert after.deployer.record.value is before.deployer.record.value
    assert len(before.inventory.stored) > 1
    for one, other in zip(before.inventory.stored, after.inventory.stored, strict=True):
        assert one.version is other.version
        assert one.summary is other.summary
        assert one.trust is other.trust


def test_a_pass_reads_again_what_another_process_wrote(world: World, counts: Counter[str]) -> None:
    FileStore(world.store.directory).save_state("vpn", GatewayState(EnrolmentState(failures=3)))
    assert world.current.state.enrolment.failures == 3
    world.later(61 * DAY)
    beside = World(world.directory)
    beside.clock.time = world.clock.time
    assert beside.attend().kind is OutcomeKind.RENEWED
    assert world.attend().kind is OutcomeKind.IDLE
    assert world.current.live == beside.current.live
    assert counts["version written"] == 0


def test_a_key_that_changes_below_a_certificate_is_noticed(
    world: World, counts: Counter[str]
) -> None:
    live = world.current.live
    assert live is not None
    directory = world.store.version_directory(live.version)
    (directory / "privkey.pem").write_bytes(bootstrap(dns(HOSTNAME), now=START).private_key)
    assert live not in world.current.inventory.stored
    assert counts["key read"] == 1


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
