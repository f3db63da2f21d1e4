"""The store of a host of a fleet does what every store has to do."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from tests.conformance.machines import MACHINES, play
from tests.conformance.store_contract import StoreContract
from tests.conformance.store_under_test import Killed

from gatecert.model.fleet import FleetHost
from gatecert.store import durable
from gatecert.store.postgres.fleet_store import FleetStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import timedelta
    from pathlib import Path

    from tests.conformance.store_machine import StoreMachine

    from .conftest import FleetDatabase


class FleetUnderTest:
    """A host of a fleet whose disk fails; see ``StoreUnderTest``."""

    def __init__(self, database: FleetDatabase, directory: Path) -> None:
        directory.mkdir()
        key = directory / "seal"
        key.touch(mode=0o600)
        key.write_bytes(Fernet.generate_key())
        self._place = FleetHost(database.logins["hq-gw-a"], "hq", "gw-a", 1, (key,), 1)
        self._directory = directory / "state"
        self._database = database
        self._opened: list[FleetStore] = []

    def open(self) -> FleetStore:
        """Open the store once the leases of a process that was killed have ended.

        Earlier ones connect again when they are used. It sends what the files have before it is
        looked at, as every process that writes does.
        """
        self.disconnect()
        self._database.execute("UPDATE gateway SET lease_until = clock_timestamp()")
        store = FleetStore(self._directory, self._place, pause=0.0)
        store.begin_to_write()
        self._opened.append(store)
        return store

    def disconnect(self) -> None:
        for store in self._opened:
            store.database.close()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def later(self, wait: timedelta) -> None:
        del wait  # the clock is the server's

    @contextmanager
    def failing_at(self, step: int, *, killed: bool) -> Iterator[None]:
        steps, before = count(), durable.on_step

        def fail(_name: str, path: Path) -> None:
            if next(steps) >= step:
                raise Killed if killed else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

        durable.on_step = fail
        try:
            yield
        finally:
            durable.on_step = before


@pytest.fixture
def new_host(
    new_database: Callable[[], FleetDatabase], tmp_path: Path
) -> Iterator[Callable[[], FleetUnderTest]]:
    hosts: list[FleetUnderTest] = []

    def new_host() -> FleetUnderTest:
        for host in hosts:
            host.disconnect()
        hosts.append(FleetUnderTest(new_database(), tmp_path / f"host-{len(hosts)}"))
        return hosts[-1]

    yield new_host
    for host in hosts:
        host.disconnect()


@pytest.mark.parametrize("machine", MACHINES)
def test_any_sequence_of_uses(
    machine: type[StoreMachine], new_host: Callable[[], FleetUnderTest]
) -> None:
    play(machine, new_host, stores=3)


class TestContract(StoreContract):
    """The contract of single uses."""

    @pytest.fixture
    def tested(self, new_host: Callable[[], FleetUnderTest]) -> FleetUnderTest:
        return new_host()
