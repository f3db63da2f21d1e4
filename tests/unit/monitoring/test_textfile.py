from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.fakes.gateway_statuses import BOSTON, gateway

from gatecert.errors import StorageError
from gatecert.monitoring.metrics import Metrics
from gatecert.monitoring.textfile import write_textfile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics(per_gateway=True, version="0.1.0")
    made.describe(BOSTON)
    return made


def test_file_has_the_text_format_and_everybody_may_read_it(
    tmp_path: Path, metrics: Metrics
) -> None:
    path = tmp_path / "gatecert.prom"
    before = os.umask(0o077)
    try:
        write_textfile(path, metrics)
    finally:
        os.umask(before)
    assert path.read_bytes() == metrics.exposition("")[1]
    assert path.stat().st_mode & 0o7777 == 0o644
    assert os.listdir(tmp_path) == ["gatecert.prom"]  # noqa: PTH208 - hidden files, too


def test_reader_keeps_the_whole_old_file(tmp_path: Path, metrics: Metrics) -> None:
    path = tmp_path / "gatecert.prom"
    write_textfile(path, metrics)
    with path.open("rb") as reader:
        start = reader.read(10)
        metrics.describe(gateway("lyon"))
        write_textfile(path, metrics)
        assert b"lyon" not in start + reader.read()
    assert b"lyon" in path.read_bytes()


def test_link_leads_to_the_file(tmp_path: Path, metrics: Metrics) -> None:
    path = tmp_path / "gatecert.prom"
    path.symlink_to("missing.prom")
    write_textfile(path, metrics)
    assert path.is_symlink()
    assert (tmp_path / "missing.prom").read_bytes() == metrics.exposition("")[1]


def test_missing_directory_is_an_error_that_names_the_file(
    tmp_path: Path, metrics: Metrics
) -> None:
    path = tmp_path / "missing" / "gatecert.prom"
    with pytest.raises(StorageError, match=str(path)):
        write_textfile(path, metrics)


def test_directory_of_that_name_stays(tmp_path: Path, metrics: Metrics) -> None:
    path = tmp_path / "gatecert.prom"
    path.mkdir()
    with pytest.raises(StorageError, match=str(path)):
        write_textfile(path, metrics)
    assert path.is_dir()
    assert os.listdir(tmp_path) == ["gatecert.prom"]  # noqa: PTH208 - hidden files, too
