"""The store of files does what every store has to do."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from tests.conformance.machines import MACHINES, play
from tests.conformance.store_contract import StoreContract
from tests.conformance.store_under_test import Killed

from gatecert.store import durable
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conformance.store_machine import StoreMachine


class FilesUnderTest:
    """A directory; see ``StoreUnderTest``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ahead = timedelta(0)

    def open(self) -> FileStore:
        return FileStore(self._directory)

    def now(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0) + self._ahead

    def later(self, wait: timedelta) -> None:
        self._ahead += wait

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


@pytest.mark.parametrize("machine", MACHINES)
def test_any_sequence_of_uses(machine: type[StoreMachine], tmp_path: Path) -> None:
    directories = (tmp_path / f"state-{number}" for number in count())
    play(machine, lambda: FilesUnderTest(next(directories)), stores=20)


class TestContract(StoreContract):
    """Tests of single uses."""

    @pytest.fixture
    def tested(self, tmp_path: Path) -> FilesUnderTest:
        return FilesUnderTest(tmp_path / "state")
