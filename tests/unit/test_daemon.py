"""What the daemon inherits from whoever starts it; the rest is seen in tests/integration."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from gatecert.app import build
from gatecert.config.load import load
from gatecert.model import OutcomeKind

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
