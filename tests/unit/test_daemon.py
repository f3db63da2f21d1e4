"""The daemon: what it inherits from its parent process, and what its core process loads.

The rest is seen in tests/integration.
"""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatecert.app import build
from gatecert.config.load import load
from gatecert.model import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatecert.config.schema import Configuration


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Configuration]:
    """Load a configuration whose one gateway has these settings."""

    def loaded(install: str) -> Configuration:
        path = tmp_path / "config.yaml"
        path.write_text(
            f"state_directory: {tmp_path / 'state'}\n"
            f"gateways: {{hq: {{hostname: hq.example.cn, install: {install}}}}}\n",
            "utf-8",
        )
        return load(path)

    return loaded


def test_a_command_that_fails_has_failed_though_whoever_started_us_ignores_children(
    written: Callable[[str], Configuration],
) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        application = build(written("{reload: [/bin/false]}"), lambda *_: None, threading.Event())
        outcome = application.pipeline.attend(application.targets["hq"])
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "reload-failed")


# ---------------------------------------------------------------------- the core process

FOR_WORKERS = {
    "acme",
    "cryptography",
    "dns",
    "josepy",
    "pydantic",
    "pydantic_core",
    "requests",
    "ruamel",
    "ssl",
    "urllib3",
    "yaml",
}
# Runs the command as the program does, and shows at its end what it has imported.
CORE = """
import atexit, sys
from gatecert.__main__ import main

def show():
    print(*{name for name, module in sys.modules.items() if module is not None})

atexit.register(show)
main()
"""
ENOUGH = 60.0  # seconds


class Core:
    """A core process that tells this test of its state, as it tells a service manager."""

    def __init__(self, path: Path) -> None:
        self.notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notifications.bind("")  # an abstract name of the kernel's choice
        self.notifications.settimeout(ENOUGH)
        address = self.notifications.getsockname().decode().replace("\0", "@")
        self.process = subprocess.Popen(
            [sys.executable, "-c", CORE, "--config", str(path), "run"],
            env=os.environ | {"NOTIFY_SOCKET": address},
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, state: str) -> None:
        """Wait until the core reports a state."""
        while state not in self.notifications.recv(4096).decode().split("\n"):
            continue

    def ended(self) -> set[str]:
        """Return the modules it has imported, after its end."""
        self.process.send_signal(signal.SIGTERM)
        imported, _ = self.process.communicate(timeout=ENOUGH)
        assert self.process.returncode == 0
        return set(imported.split())


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    path = tmp_path / "config.yaml"
    path.write_text(
        f"state_directory: {tmp_path / 'state'}\n"
        "gateways: {hq: {hostname: hq.example.com, mode: custom}}\n",  # needs no network
        "utf-8",
    )
    core = Core(path)
    try:
        core.wait_for("READY=1")
        yield core
    finally:
        core.process.kill()
        core.process.communicate()
        core.notifications.close()


def test_the_core_imports_nothing_that_only_workers_need(core: Core) -> None:
    """Not at the start, nor for a reload, a pass over every gateway, or its end."""
    core.process.send_signal(signal.SIGUSR1)
    core.process.send_signal(signal.SIGHUP)
    core.wait_for("READY=1")
    imported = core.ended()
    assert {"gatecert.daemon", "gatecert.supervision.workers"} <= imported
    assert not {name.partition(".")[0] for name in imported} & FOR_WORKERS
    assert not [name for name in imported if name.startswith(("gatecert.config.", "gatecert.acme"))]


def test_the_core_maps_no_library_that_only_workers_need(core: Core) -> None:
    maps = Path(f"/proc/{core.process.pid}/maps").read_text("utf-8")
    objects = {Path(found).name for found in re.findall(r"/\S+\.so\S*", maps)}
    assert objects
    unwanted = ("_pydantic_core", "_rust.abi3", "_yaml", "_ssl", "libssl", "_cffi_backend")
    assert not [name for name in objects if name.startswith(unwanted)]


def test_a_worker_is_a_child_of_its_own_and_gone_with_the_core(core: Core) -> None:
    children = Path(f"/proc/{core.process.pid}/task/{core.process.pid}/children")
    workers = [os.pidfd_open(int(each)) for each in children.read_text("ascii").split()]
    assert len(workers) == 1
    core.ended()
    for worker in workers:
        assert select.select([worker], [], [], 0)[0]  # it has ended
        os.close(worker)
