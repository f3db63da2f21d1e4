"""Imports of modules: a process that only waits keeps no library in memory that it does not use.

Each module is imported in a process of its own, since other tests have imported everything.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SHOW_IMPORTS = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(*{name.partition(".")[0] for name in sys.modules})
"""

# The parts that the resident process of ``gatecert run`` is made of
RESIDENT = (
    "gatecert.challenge.http_responder",
    "gatecert.challenge.socket_activation",
    "gatecert.cli",
    "gatecert.cli.exit_codes",
    "gatecert.cli.lazy_group",
    "gatecert.cli.options",
    "gatecert.container",
    "gatecert.errors",
    "gatecert.model",
    "gatecert.report.logs",
    "gatecert.report.service_manager",
    "gatecert.store.drop_root",
    "gatecert.store.durable",
    "gatecert.store.layout",
    "gatecert.store.lock",
    "gatecert.store.tokens",
    "gatecert.supervision.held_listeners",
    "gatecert.time_format",
)
LARGE = {
    "acme",
    "asyncio",
    "cryptography",
    "dns",
    "josepy",
    "pydantic",
    "requests",
    "ssl",
    "urllib3",
    "yaml",
}


def imported_by(module: str) -> set[str]:
    shown = subprocess.run(
        [sys.executable, "-c", SHOW_IMPORTS, module], capture_output=True, text=True, check=True
    )
    return set(shown.stdout.split())


def test_core_has_no_values_of_passes() -> None:
    """They are 1 MB, and the core needs kinds of outcomes, stages and waits only."""
    shown = subprocess.run(
        [sys.executable, "-c", "import gatecert.daemon, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    modules = shown.stdout.split()
    assert "gatecert.store.lock" in modules
    assert "gatecert.model" not in modules


@pytest.mark.parametrize("module", RESIDENT)
def test_resident_part_imports_no_large_library(module: str) -> None:
    assert not imported_by(module) & LARGE


ATTEND_ONCE = """
import sys, threading
from gatecert.app import build
from gatecert.config.schema import Configuration
configuration = Configuration.model_validate(
    {"state_directory": sys.argv[1], "gateways": {"a": {"hostname": "a.example", "mode": "custom"}}}
)
application = build(configuration, lambda *_: None, threading.Event())
(target,) = application.targets.values()
application.pipeline.attend(target)
print(*sys.modules)
"""


@pytest.mark.parametrize(
    "unused", ["gatecert.ddns", "gatecert.store.postgres", "psycopg", "alembic", "sqlalchemy"]
)
def test_a_pass_imports_nothing_that_is_not_configured(tmp_path: Path, unused: str) -> None:
    """Neither dynamic DNS nor a fleet."""
    shown = subprocess.run(
        [sys.executable, "-c", ATTEND_ONCE, str(tmp_path / "state")],
        capture_output=True,
        text=True,
        check=True,
    )
    modules = shown.stdout.split()
    assert "gatecert.lifecycle.pipeline" in modules
    assert not [name for name in modules if name.startswith(unused)]


@pytest.mark.parametrize(
    "module",
    [
        "gatecert.monitoring.listeners",
        "gatecert.monitoring.metrics",
        "gatecert.monitoring.monitor",
        "gatecert.monitoring.notifications",
        "gatecert.monitoring.page",
        "gatecert.monitoring.textfile",
    ],
)
def test_monitor_imports_no_library_of_passes(module: str) -> None:
    """It is resident, and holds no key: it needs nothing that reads one."""
    of_passes = LARGE - {"asyncio", "ssl"}  # the one imports the other
    assert not imported_by(module) & (of_passes | {"apprise", "bcrypt", "typer"})


def test_monitor_imports_nothing_that_is_not_configured() -> None:
    assert not imported_by("gatecert.monitoring.monitor") & {"h11", "jinja2", "prometheus_client"}


def test_listeners_of_the_monitor_import_only_what_is_configured() -> None:
    found = imported_by("gatecert.monitoring.listeners")
    assert "h11" in found
    assert not found & ((LARGE - {"asyncio", "ssl"}) | {"bcrypt", "psutil", "typer"})


def test_the_follower_imports_no_library_of_passes() -> None:
    """It is resident; psycopg imports asyncio."""
    found = imported_by("gatecert.follower.follower")
    assert "psycopg" in found
    assert not found & ((LARGE - {"asyncio", "ssl"}) | {"OpenSSL", "alembic", "typer"})


def test_the_store_of_a_fleet_does_not_import_what_only_migrates() -> None:
    found = imported_by("gatecert.store.postgres.fleet_store")
    assert "psycopg" in found
    assert not found & {"alembic", "mako", "sqlalchemy"}
