"""The scripts of container/; tests/container runs them in containers."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCRIPTS = Path(__file__).parents[2] / "container"
LONG_NAME = "gateway-with-a-long-name"
COUNTS = 'trap "echo told >>$0" HUP; echo started >>$0; while :; do sleep 0.05; done'
SECONDS = 10


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def replace_link(link: Path, target: str) -> None:
    link.with_name("new").symlink_to(target)
    link.with_name("new").replace(link)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "boston"
    for version in ("1", "2"):
        (directory / "versions" / version).mkdir(parents=True)
        (directory / "versions" / version / "fullchain.pem").touch()
    (directory / "client-ca").mkdir()
    (directory / "client-ca/bundle.pem").write_text("one")
    (directory / "live").symlink_to("versions/1")
    return directory


@pytest.fixture
def told(directory: Path, tmp_path: Path) -> Iterator[Callable[[], list[str]]]:
    """Return the output of the watched server, once it runs."""
    log = tmp_path / "log"
    log.touch()
    command = ["sh", str(SCRIPTS / "watch"), str(directory), "HUP", "sh", "-c", COUNTS, str(log)]
    process = subprocess.Popen(command)

    def lines() -> list[str]:
        return log.read_text("utf-8").split()

    try:
        wait_for(lambda: lines() == ["started"])
        yield lines
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)


def test_a_server_is_reloaded_for_certificates_and_client_cas(
    directory: Path, told: Callable[[], list[str]]
) -> None:
    replace_link(directory / "live", "versions/2")
    wait_for(lambda: told() == ["started", "told"])
    (directory / "client-ca/new.pem").write_text("two")
    (directory / "client-ca/new.pem").replace(directory / "client-ca/bundle.pem")
    wait_for(lambda: told() == ["started", "told", "told"])


def send_signal(*arguments: str) -> tuple[int, str]:
    command = [sys.executable, str(SCRIPTS / "send-signal"), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    return ended.returncode, ended.stderr


def test_a_process_with_a_long_name_is_found(tmp_path: Path) -> None:
    sleep = shutil.which("sleep")
    assert sleep is not None
    program = tmp_path / LONG_NAME
    shutil.copy(sleep, program)
    process = subprocess.Popen([str(program), "60"])
    try:
        wait_for(
            lambda: Path(f"/proc/{process.pid}/comm").read_text("utf-8") == "gateway-with-a-\n"
        )
        assert send_signal("TERM", LONG_NAME) == (0, "")
        assert process.wait(SECONDS) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "name a signal and a process: send-signal HUP nginx"),
        (("HUP",), "name a signal and a process: send-signal HUP nginx"),
        (("SIGHUP", "nginx"), "unknown signal SIGHUP: use HUP, USR1, USR2 …, without SIG"),
    ],
)
def test_wrong_usage_prints_one_line(arguments: tuple[str, ...], why: str) -> None:
    assert send_signal(*arguments) == (2, f"send-signal: {why}\n")


def test_a_missing_process() -> None:
    code, why = send_signal("HUP", "no-such-process-runs-here")
    assert (code, why.startswith("no process named no-such-process-runs-here")) == (1, True)
