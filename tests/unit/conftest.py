"""Unit tests have their sockets off; a test of a socket server or client says so with a marker."""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING

import pytest
from pytest_socket import disable_socket

from gatecert.store import storage_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.register_assert_rewrite("tests.fakes", "tests.conformance")
signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup ignores it, for commands too
os.environ["container"] = ""  # noqa: SIM112 - its name; errors speak as on a host, wherever this is


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forbid sockets unless the test is marked ``enable_socket``."""
    if item.get_closest_marker("enable_socket") is None:
        disable_socket(allow_unix_socket=True)


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Remove the log handlers and the level that a command under test has set."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    for handler in root.handlers[:]:
        if type(handler).__module__.partition(".")[0] != "_pytest":
            root.removeHandler(handler)


@pytest.fixture(autouse=True)
def errors_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Speak to an operator, whatever a command under test has set before."""
    monkeypatch.setattr(storage_errors, "runs_as_daemon", False)
