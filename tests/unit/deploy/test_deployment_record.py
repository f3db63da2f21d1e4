"""The record of a deployment: read once, quarantined where it is damaged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.deploy.deployment_record import DeploymentRecord
from gatecert.model import Deployment

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deployment.json"


def test_a_record_is_saved_and_read_again(path: Path) -> None:
    record = DeploymentRecord(path)
    assert record.value is None
    deployment = Deployment(
        "1", failures=2, next_attempt=NOW + timedelta(minutes=1), error="not served"
    )
    record.save(deployment)
    assert record.value == deployment
    assert DeploymentRecord(path).value == deployment


def test_a_record_is_read_once(path: Path) -> None:
    DeploymentRecord(path).save(Deployment("1"))
    record = DeploymentRecord(path)
    assert record.value == Deployment("1")
    path.unlink()
    assert record.value == Deployment("1")


def test_a_missing_directory_is_made(path: Path) -> None:
    below = path.parent / "client-ca" / path.name
    record = DeploymentRecord(below, below.parent.mkdir)
    record.save(Deployment("1"))
    assert DeploymentRecord(below).value == Deployment("1")


def test_a_damaged_record_is_quarantined(path: Path) -> None:
    path.write_bytes(b"\x00garbage")
    record = DeploymentRecord(path)
    assert record.value is None
    (aside,) = path.parent.glob("deployment.json.damaged-*")
    assert aside.read_bytes() == b"\x00garbage"
    record.save(Deployment("x", confirmed=NOW))
    assert DeploymentRecord(path).value == Deployment("x", confirmed=NOW)
