"""``gatecert status``: its options, and ``--watch`` in a pipe and on a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Protocol

import pytest
import yaml

from gatecert import cli
from gatecert.cli.status_watch import ENTER, LEAVE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Run(Protocol):
    """Runs a command; returns exit code, standard output and error."""

    def __call__(self, *arguments: str) -> tuple[int, str, str]: ...


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    custom = {"mode": "custom"}
    automatic = {
        "hostname": "boston.company.com",
        "addresses": ["203.0.113.7"],
        "install": {"verify": ["127.0.0.1:1"]},
    }
    written = {
        "state_directory": str(tmp_path / "state"),
        "authorities": {
            "ca": {"directory_url": "https://ca.test/dir", "terms_of_service_agreed": True}
        },
        "resolver": {"nameservers": ["127.0.0.1:1"], "timeout": "1s"},
        "gateways": {
            "hq": {"hostname": "hq.company.com", **custom},
            "trusted": {"hostname": "trusted.company.com", **custom},
            "boston": automatic,
        },
    }
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(written), "utf-8")
    return path


@pytest.fixture
def run(
    configuration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gatecert", "-c", str(configuration), *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.run()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return command


EMPTY = "gatecert: {}: no certificate yet\n"
STOPPED = "gatecert: daemon not running\n"


def test_a_name_behind_check_is_a_gateway_and_no_level(run: Run) -> None:
    expected = (1, "", STOPPED + EMPTY.format("hq"))
    assert run("status", "--check", "hq") == expected
    assert run("status", "hq", "--check") == expected
    assert run("status", "--check=serving", "hq") == expected
    assert run("status", "--check", "--", "hq") == expected
    assert run("status", "--check", "trusted") == (1, "", STOPPED + EMPTY.format("trusted"))


def test_check_of_trust(run: Run) -> None:
    assert run("enroll", "hq")[0] == 0
    assert run("status", "--check=trusted", "hq") == (1, "", STOPPED)
    code, _, errors = run("status", "--check=trusted", "boston", "hq")
    assert (code, errors) == (1, STOPPED + EMPTY.format("boston"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--check=healthy"], "'--check': 'healthy' is not one of 'serving', 'trusted'"),
        (["--watch", "--json"], "--watch and --json cannot be used together"),
        (["--watch", "--check"], "--watch and --check cannot be used together"),
        (["--json", "--check=trusted"], "--json and --check cannot be used together"),
        (["--watch=3"], "--watch"),
    ],
)
def test_wrong_usage_is_one_line(run: Run, arguments: list[str], words: str) -> None:
    code, output, errors = run("status", *arguments)
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert words in errors


def test_one_name_shows_details_and_everything_else_a_list(run: Run) -> None:
    assert run("status", "hq")[1].startswith("✗ hq empty: no certificate yet\n")
    for names in ([], ["h*"], ["hq", "boston"]):
        assert "need" in run("status", *names)[1].splitlines()[0]


def watch(configuration: Path, **files: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "gatecert", "-c", str(configuration), "status", "--watch"]
    return subprocess.Popen(command, text=True, **files)  # type: ignore[call-overload, no-any-return]


def test_a_pipe_gets_the_status_again_when_it_has_changed(configuration: Path, run: Run) -> None:
    watching = watch(configuration, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with watching:
        assert watching.stdout is not None
        first = [watching.stdout.readline() for _ in range(2)]
        assert first[0].endswith(" UTC\n")
        assert first[1].startswith("3 of 3 need you")
        assert run("enroll", "hq")[0] == 0
        while "waits for an imported certificate" not in watching.stdout.readline():
            assert watching.poll() is None
        watching.send_signal(signal.SIGINT)
        output, errors = watching.communicate(timeout=30)
    assert (watching.returncode, errors) == (0, "")
    assert "\x1b" not in output


def read_until(terminal: int, wanted: bytes) -> bytes:
    shown = b""
    while wanted not in shown:
        assert select.select([terminal], [], [], 60)[0], shown
        shown += os.read(terminal, 65536)
    return shown


@pytest.fixture
def on_a_terminal(
    configuration: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """``--watch`` on a pseudo-terminal, which has shown the status once."""
    monkeypatch.setenv("TERM", "xterm")
    leader, follower = pty.openpty()
    watching = watch(configuration, stdout=follower, stderr=follower, stdin=follower)
    os.close(follower)
    assert read_until(leader, b"\x1b[J").startswith(ENTER + b"\x1b[H")
    yield watching, leader
    watching.kill()
    watching.wait()
    os.close(leader)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_terminal_is_left_as_it_was(
    on_a_terminal: tuple[subprocess.Popen[str], int], ending: signal.Signals
) -> None:
    watching, terminal = on_a_terminal
    watching.send_signal(ending)
    shown = read_until(terminal, LEAVE)
    assert watching.wait(30) == 0
    while not shown.endswith(b"gatecert enroll trusted\r\n"):
        shown += os.read(terminal, 65536)
    assert b"3 of 3 need you" in shown.split(LEAVE)[1]
    assert b"Traceback" not in shown


def test_a_suspended_watch_leaves_the_screen_until_it_goes_on(
    on_a_terminal: tuple[subprocess.Popen[str], int],
) -> None:
    watching, terminal = on_a_terminal
    watching.send_signal(signal.SIGTSTP)
    shown = read_until(terminal, LEAVE)
    while ENTER not in shown:
        watching.send_signal(signal.SIGCONT)
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65536)
    assert b"\x1b[J" in read_until(terminal, b"\x1b[J")
