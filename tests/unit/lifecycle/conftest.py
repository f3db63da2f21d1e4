"""A pass over one gateway: store, certificates and commands are real; authority and DNS played.

The authority signs whatever it is asked to with a root of its own; the resolver says what it is
told to say. What listeners serve is proven in tests/integration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
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
