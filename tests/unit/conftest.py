"""Unit tests have their sockets off; a test of a socket server or client says so with a marker."""

from __future__ import annotations

import os

import pytest
from pytest_socket import disable_socket

pytest.register_assert_rewrite("tests.fakes")
os.environ["container"] = ""  # noqa: SIM112 - its name; errors speak as on a host, wherever this is


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forbid sockets unless the test is marked ``enable_socket``."""
    if item.get_closest_marker("enable_socket") is None:
        disable_socket(allow_unix_socket=True)
