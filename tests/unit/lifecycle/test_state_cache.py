"""State that cannot be saved gives way, part by part, to what somebody else has written since."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, START

from gatecert.errors import StorageError
from gatecert.lifecycle.state_cache import StateCache
from gatecert.model import EnrolmentState, GatewayState, HostState
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.world import Disk

FAILED = EnrolmentState(failures=1, failed_at=START)
FAILED_TWICE = replace(FAILED, failures=2)
LOOKED = HostState(next_look=START)
LOOKED_LATER = HostState(next_look=START + DAY)


class SharingStore(FileStore):
    """A store of which several hosts share the state of enrolment."""

    def __init__(self, directory: Path, enrolments: dict[str, EnrolmentState]) -> None:
        super().__init__(directory)
        self.enrolments = enrolments
        self.is_away = False

    def state(self, gateway: str) -> GatewayState:
        enrolment = self.enrolments.get(gateway, EnrolmentState())
        return GatewayState(enrolment, super().state(gateway).host)

    def save_state(self, gateway: str, state: GatewayState) -> None:
        if self.is_away:
            raise StorageError("the database is away")
        self.enrolments[gateway] = state.enrolment
        super().save_state(gateway, state)


class Host(StateCache):
    """A host that has saved a state."""

    store: SharingStore

    def __init__(self, directory: Path, enrolments: dict[str, EnrolmentState]) -> None:
        super().__init__(SharingStore(directory, enrolments), lambda: START)
        self.save("vpn", GatewayState(FAILED, LOOKED))


@pytest.fixture
def hosts(tmp_path: Path) -> tuple[Host, Host]:
    enrolments: dict[str, EnrolmentState] = {}
    return Host(tmp_path / "one", enrolments), Host(tmp_path / "other", enrolments)


def test_a_part_that_was_saved_is_not_taken_for_a_change_by_another(
    hosts: tuple[Host, Host], disk: Disk
) -> None:
    one, _ = hosts
    state = GatewayState(FAILED_TWICE, LOOKED_LATER)
    disk.full = True
    one.save("vpn", state)
    assert one.store.state("vpn") == GatewayState(FAILED_TWICE, LOOKED)
    assert one.load("vpn") == state
    disk.full = False
    one.retry("vpn")
    assert one.store.state("vpn") == state
    assert not one.is_unsaved("vpn")


def test_only_the_part_that_another_host_has_written_gives_way(
    hosts: tuple[Host, Host], disk: Disk
) -> None:
    one, other = hosts
    disk.full = True
    one.save("vpn", GatewayState(FAILED_TWICE, LOOKED_LATER))
    disk.full = False
    other.save("vpn", GatewayState(EnrolmentState(), other.load("vpn").host))
    assert one.load("vpn") == GatewayState(EnrolmentState(), LOOKED_LATER)
    one.retry("vpn")
    assert one.store.state("vpn") == GatewayState(EnrolmentState(), LOOKED_LATER)
    assert other.load("vpn") == GatewayState(EnrolmentState(), LOOKED)


def test_what_changes_after_another_host_wrote_is_kept(hosts: tuple[Host, Host]) -> None:
    one, other = hosts
    one.store.is_away = True
    one.save("vpn", GatewayState(FAILED_TWICE, LOOKED_LATER))
    other.save("vpn", GatewayState(EnrolmentState(), LOOKED))
    assert one.load("vpn").enrolment == EnrolmentState()
    one.save("vpn", GatewayState(FAILED_TWICE, LOOKED_LATER))
    assert one.load("vpn").enrolment == FAILED_TWICE
    one.store.is_away = False
    one.retry("vpn")
    assert other.load("vpn").enrolment == FAILED_TWICE


def test_state_that_gave_way_entirely_is_saved(hosts: tuple[Host, Host], disk: Disk) -> None:
    one, _ = hosts
    disk.full = True
    one.save("vpn", GatewayState(FAILED_TWICE, LOOKED_LATER))
    disk.full = False
    by_a_command = GatewayState(EnrolmentState(), HostState())
    one.store.save_state("vpn", by_a_command)
    assert one.load("vpn") == by_a_command
    assert not one.is_unsaved("vpn")
