from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING

import pytest

from gatecert.deadline import Deadline
from gatecert.verify.verdict import prove
from gatecert.verify.verify_command import ProofCommand, run_once, wait_until_proven

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.listeners import Authority

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
FINGERPRINT = "ab" * 32
AT_ONCE = Deadline(0.0)


def shell(lines: str, *arguments: str | Path) -> ProofCommand:
    argv = ("sh", "-c", lines, "verify", *map(str, arguments))
    return ProofCommand(argv, {"PATH": "/usr/bin:/bin", "GATECERT_GATEWAY": "boston"}, FINGERPRINT)


def test_exit_status_0_is_a_match() -> None:
    result = run_once(shell("echo never mind"), AT_ONCE)
    assert result.matches
    assert result.endpoint is None
    assert result.fingerprint == FINGERPRINT
    assert result.detail == "verify_command sh reports that it is served"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("echo 'another certificate'; exit 1", "(exit status 1): another certificate"),
        ("exit 7", "(exit status 7)"),
        ("kill -KILL $$", "(killed by SIGKILL)"),
    ],
)
def test_any_other_ending_is_no_match(lines: str, reason: str) -> None:
    result = run_once(shell(lines), AT_ONCE)
    assert not result.matches
    assert result.fingerprint == ""
    assert result.detail == f"verify_command sh reports that it is not served {reason}"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/no/such/program", "cannot be run: No such file or directory"),
        ("no-such-program", "was not found in /usr/local/sbin:"),
        ("bin/sh", "was not found in /usr/local/sbin:"),
    ],
)
def test_a_missing_command(name: str, reason: str) -> None:
    result = run_once(ProofCommand((name,), {}, FINGERPRINT), AT_ONCE)
    assert not result.matches
    assert f"verify_command {name} {reason}" in result.detail


def test_the_environment_has_the_fingerprint_and_nothing_of_gatecert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/gatecert.service")
    seen = tmp_path / "seen"
    program = f"import json, os; open({str(seen)!r}, 'w').write(json.dumps(dict(os.environ)))"
    command = ProofCommand((sys.executable, "-c", program), {"LANG": "C.UTF-8"}, FINGERPRINT)
    assert run_once(command, AT_ONCE).matches
    environment = json.loads(seen.read_text())
    assert environment == {"LANG": "C.UTF-8", "GATECERT_FINGERPRINT": FINGERPRINT}


def test_a_command_that_hangs_is_killed() -> None:
    result = run_once(shell("echo thinking; exec sleep 60"), AT_ONCE, timeout=0.1)
    assert not result.matches
    assert result.detail == "verify_command sh did not finish within 0.1 s: thinking"


def test_stopping_does_not_wait_for_the_command() -> None:
    leaving = Event()
    leaving.set()
    begin = time.monotonic()
    assert not run_once(shell("exec sleep 60"), Deadline.after(60.0, leaving)).matches
    assert time.monotonic() - begin < 2.0


def test_the_command_runs_until_it_succeeds(tmp_path: Path) -> None:
    lines = (
        '[ -e "$1/second" ] && exit 0; [ -e "$1/first" ] && : >"$1/second"; : >"$1/first"; false'
    )
    result = wait_until_proven(shell(lines, tmp_path), Deadline.after(10.0))
    assert result.matches


def test_the_command_runs_once_without_time(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    result = wait_until_proven(shell('echo >>"$1"; false', counter), AT_ONCE)
    assert not result.matches
    assert counter.read_text() == "\n"


def test_the_last_answer_counts_when_the_time_is_up(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    command = shell('echo >>"$1"; echo no; false', counter)
    result = wait_until_proven(command, Deadline.after(0.15))
    assert result.detail.endswith("reports that it is not served (exit status 1): no")
    assert len(counter.read_text()) >= 2


def test_there_is_a_pause_between_two_runs(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    wait_until_proven(shell('echo >>"$1"; false', counter), Deadline.after(0.6))
    assert len(counter.read_text()) <= 4


@pytest.mark.parametrize(("status", "served"), [(0, True), (1, False)])
def test_a_command_alone_can_decide_the_verdict(
    authority: Authority, status: int, *, served: bool
) -> None:
    verdict = prove(
        (),
        "gate.example.com",
        authority.leaf().summary(),
        timeout=timedelta(0),
        command=shell(f"exit {status}"),
    )
    assert verdict.served is served
    assert len(verdict.probes) == 1
