"""Fixtures of the attacks on a booted machine."""

from __future__ import annotations

from tests.systemd.conftest import (
    enrolled,
    figures,
    installed,
    machine,
    package,
    pytest_addoption,
    pytest_collection_modifyitems,
    pytest_generate_tests,
    servers,
    site,
)
from tests.systemd.conftest import pytest_configure as _configure
from tests.systemd.conftest import pytest_terminal_summary as _summary

pytest_configure, pytest_terminal_summary = _configure, _summary

__all__ = [
    "enrolled",
    "figures",
    "installed",
    "machine",
    "package",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_generate_tests",
    "pytest_terminal_summary",
    "servers",
    "site",
]
