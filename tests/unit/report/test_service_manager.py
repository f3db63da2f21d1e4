"""sd_notify, with a datagram socket in place of systemd."""

from __future__ import annotations

import logging
import os
import socket
import uuid
from typing import TYPE_CHECKING

import pytest

from gatecert.report.service_manager import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"@gatecert-{uuid.uuid4()}" if request.param == "abstract" else str(tmp_path / "notify")


@pytest.fixture
def systemd(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("\0" + address[1:] if address.startswith("@") else address)
        listener.settimeout(2)
        yield listener


def test_messages_follow_sd_notify(systemd: socket.socket, address: str) -> None:
    manager = ServiceManager(address)
    manager.ready()
    manager.alive()
    manager.stopping()
    assert [systemd.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]
    manager.reloading()
    lines = systemd.recv(100).decode().split("\n")
    assert lines[0] == "RELOADING=1"
    assert lines[1].startswith("MONOTONIC_USEC=")
    assert lines[1].partition("=")[2].isdigit()


def test_status_is_one_line_and_not_repeated(systemd: socket.socket, address: str) -> None:
    manager = ServiceManager(address)
    manager.status("waiting\nREADY=1")
    manager.status("waiting\nREADY=1")
    manager.ready()
    assert systemd.recv(100) == b"STATUS=waiting READY=1"
    assert systemd.recv(100) == b"READY=1"


def test_without_a_service_manager_nothing_happens() -> None:
    ServiceManager().ready()


def test_missing_service_manager_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        ServiceManager(str(tmp_path / "gone")).ready()
    assert "cannot be notified" in caplog.text


@pytest.mark.parametrize(
    ("usec", "process", "expected"),
    [("30000000", "", 30.0), ("30000000", "1", 0.0), ("nonsense", "", 0.0), ("", "", 0.0)],
)
def test_environment_variables_are_removed(
    monkeypatch: pytest.MonkeyPatch, usec: str, process: str, expected: float
) -> None:
    for name, value in (
        ("NOTIFY_SOCKET", "/nowhere"),
        ("WATCHDOG_USEC", usec),
        ("WATCHDOG_PID", process),
    ):
        monkeypatch.setenv(name, value)
    assert ServiceManager.from_environment().watchdog == expected
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & os.environ.keys()
