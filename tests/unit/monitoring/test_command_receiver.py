from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from gatecert.monitoring.command_receiver import run

if TYPE_CHECKING:
    from pathlib import Path

MESSAGE: dict[str, object] = {"id": "1", "title": "Zürich <b>", "events": ["x" * 200_000]}


def test_the_command_gets_the_json(tmp_path: Path) -> None:
    there = tmp_path / "message"
    assert run(["sh", "-c", f"cat > {there}; env > {there}.env"], MESSAGE, 10).accepted
    assert json.loads(there.read_bytes()) == MESSAGE
    names = {line.partition("=")[0] for line in (tmp_path / "message.env").read_text().split("\n")}
    assert names <= {"", "PATH", "HOME", "LANG", "PWD", "OLDPWD", "SHLVL", "_"}


def test_a_command_need_not_read() -> None:
    assert run(["true"], MESSAGE, 10).accepted


def test_a_command_that_fails_says_why() -> None:
    answer = run(["sh", "-c", "printf 'no\\033[31m\\nroute' >&2; exit 7"], MESSAGE, 10)
    assert answer.problem == "the command sh failed (exit status 7): no route"
    assert answer.refused


def test_a_command_that_hangs_is_killed() -> None:
    begin = time.monotonic()
    answer = run(["sleep", "60"], MESSAGE, 1.0)
    assert time.monotonic() - begin < 10
    assert answer.problem == "the command sleep was killed after 0.5 s"
    assert not answer.refused


def test_a_command_that_cannot_run_is_not_run(tmp_path: Path) -> None:
    assert "was not found" in run(["no-such-program"], MESSAGE, 10).problem
    script = tmp_path / "tell"
    script.write_text("#!/bin/sh\n")
    assert "cannot be run: Permission denied" in run([str(script)], MESSAGE, 10).problem
    script.chmod(0o777)
    answer = run([str(script)], MESSAGE, 10)
    assert "another user may change it" in answer.problem
    assert "chmod" in answer.fix
