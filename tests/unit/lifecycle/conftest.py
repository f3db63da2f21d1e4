"""Passes over one gateway with real stores, certificates and commands.

The authority signs whatever it is asked to with its own root; the resolver answers as told. The
certificates that listeners serve are proven in tests/integration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.custom_office import Office
from tests.fakes.world import Disk, World

from gatecert.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def disk() -> Iterator[Disk]:
    before, durable.on_step = durable.on_step, Disk()
    yield durable.on_step
    durable.on_step = before


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path / "state")
