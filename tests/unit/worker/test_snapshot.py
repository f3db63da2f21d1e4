"""The configuration in force, in memory that the core and its workers share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gatecert.config.load import load
from gatecert.worker import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatecert.config.schema import Configuration


@pytest.fixture
def descriptor() -> Iterator[int]:
    descriptor = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def configuration(tmp_path: Path) -> Configuration:
    path = tmp_path / "config.yaml"
    settings = "hostname: g{}.example.com, mode: custom"
    gateways = "\n".join(f"  g{each}: {{{settings.format(each)}}}" for each in range(9))
    path.write_text(f"state_directory: {tmp_path / 'state'}\ngateways:\n{gateways}\n", "utf-8")
    return load(path)


def test_it_is_read_as_it_was_written_by_any_number_of_workers(
    descriptor: int, configuration: Configuration
) -> None:
    snapshot.write(descriptor, configuration)
    for _ in range(2):
        assert snapshot.read(descriptor) == configuration


def test_it_cannot_be_changed(descriptor: int, configuration: Configuration) -> None:
    snapshot.write(descriptor, configuration)
    with pytest.raises(PermissionError):
        os.pwrite(descriptor, b"x", 0)
    with pytest.raises(PermissionError):
        os.ftruncate(descriptor, 0)
    with pytest.raises(PermissionError):
        snapshot.write(descriptor, configuration)
    assert snapshot.read(descriptor) == configuration


def test_nothing_is_read_where_nothing_was_written(descriptor: int) -> None:
    with pytest.raises(EOFError):
        snapshot.read(descriptor)
