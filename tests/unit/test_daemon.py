"""The daemon between two configurations; its signals and timers are seen in tests/integration."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from gatecert.app import build
from gatecert.config.load import load
from gatecert.daemon import Daemon
from gatecert.model import OutcomeKind
from gatecert.report.service_manager import ServiceManager
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


def test_what_somebody_else_was_changing_is_prepared_by_its_next_pass(
    tmp_path: Path, written: Callable[[str], Configuration]
) -> None:
    copy = tmp_path / "cert.pem"
    daemon = Daemon(
        written("{}"),
        lambda: written(f"{{copy_to: [{{path: {copy}, contents: cert}}]}}"),
        ServiceManager(),
    )
    daemon.prepare()
    daemon.attend("hq")
    store = FileStore(tmp_path / "state")

    with store.lock_gateway("hq", "importing a certificate", wait=0):
        daemon.reload()
        daemon.attend("hq")
    assert not copy.exists()

    daemon.attend("hq")
    assert copy.exists()
    changed = copy.stat().st_ctime_ns
    daemon.attend("hq")
    assert copy.stat().st_ctime_ns == changed


def test_a_pass_under_the_configuration_before_is_no_preparation(
    tmp_path: Path, written: Callable[[str], Configuration], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "cert.pem"
    daemon = Daemon(
        written("{}"),
        lambda: written(f"{{copy_to: [{{path: {copy}, contents: cert}}]}}"),
        ServiceManager(),
    )
    daemon.prepare()
    daemon.attend("hq")
    before = daemon.application.pipeline
    attend = before.attend

    def reloaded_meanwhile(*arguments: object) -> object:
        daemon.reload()
        copy.unlink()  # as a renewal leaves it out that knows nothing of it
        return attend(*arguments)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(
        type(before), "attend", lambda _, *arguments: reloaded_meanwhile(*arguments)
    )
    daemon.attend("hq")
    monkeypatch.undo()
    assert not copy.exists()
    daemon.attend("hq")
    assert copy.exists()


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
