from __future__ import annotations

import fcntl
import json
import logging
import os
import pwd
import stat
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatecert import process
from gatecert.deploy.reload import reload
from gatecert.errors import ReloadError
from gatecert.model import InstallPlan

if TYPE_CHECKING:
    from collections.abc import Callable

LIVE = Path("/var/lib/gatecert/gateways/boston/live")
VERSION = "000012-20261123T081500Z"


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """An executable with these lines."""

    def write(lines: str, interpreter: str = "/bin/sh", mode: int = 0o755) -> Path:
        path = tmp_path / "reload"
        path.write_text(f"#!{interpreter}\n{lines}\n")
        path.chmod(mode)
        return path

    return write


@pytest.fixture(autouse=True)
def debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "gatecert.deploy.reload")


@dataclass(frozen=True)
class Result:
    seconds: float
    output: str


def run(*argv: str | Path, timeout: float = 10.0, grace: float = 2.0) -> Result:
    """Run a reload command; its output is what the log shows at the level DEBUG."""
    plan = InstallPlan(
        reload=tuple(str(part) for part in argv), reload_timeout=timedelta(seconds=timeout)
    )
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.DEBUG)
    this_thread = threading.get_ident()
    handler.addFilter(lambda record: record.thread == this_thread)
    handler.emit = records.append  # type: ignore[method-assign, assignment] # the shortest handler
    logger = logging.getLogger("gatecert.deploy.reload")
    logger.addHandler(handler)
    try:
        seconds = reload(
            plan,
            gateway="boston",
            hostname="boston.example.com",
            live=LIVE,
            version=VERSION,
            grace=grace,
        )
    finally:
        logger.removeHandler(handler)
    args = records[-1].args if records else ("",)
    assert isinstance(args, tuple)
    return Result(seconds, str(args[-1]))


def refused(*argv: str | Path, timeout: float = 10.0, grace: float = 2.0) -> ReloadError:
    with pytest.raises(ReloadError) as caught:
        run(*argv, timeout=timeout, grace=grace)
    assert caught.value.code == "reload-failed"
    assert caught.value.retryable
    assert caught.value.fix
    assert "\n" not in str(caught.value)
    return caught.value


def is_gone(pid: int) -> bool:
    """Return True if a process has ended; without a reaper of orphans it stays a zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"


def eventually(condition: Callable[[], bool]) -> bool:
    give_up = time.monotonic() + 5
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.005)
    return condition()


# --------------------------------------------------------------------------- success


def test_no_command_is_no_work() -> None:
    assert run() == Result(0.0, "")


def test_a_command_that_succeeds(script: Callable[[str], Path]) -> None:
    result = run(script('echo out; echo error >&2; echo "args: $#, $1"'), "a b; echo $HOME *")
    assert result.output == "out error args: 1, a b; echo $HOME *"
    assert 0.0 < result.seconds < 5.0


def test_a_command_on_the_path() -> None:
    assert run("true").output == ""
    assert run("echo", "$PATH").output == "$PATH"


def test_the_environment_is_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/gatecert.service")
    monkeypatch.setenv("SECRET", "of the operator")
    seen = tmp_path / "seen"
    program = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"
    run(sys.executable, "-I", "-c", program, seen)
    environment = json.loads(seen.read_text())
    environment.pop("LC_CTYPE", None)  # set by Python itself
    assert environment == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": pwd.getpwuid(os.geteuid()).pw_dir,
        "LANG": "C.UTF-8",
        "GATECERT_GATEWAY": "boston",
        "GATECERT_HOSTNAME": "boston.example.com",
        "GATECERT_LIVE": str(LIVE),
        "GATECERT_VERSION": VERSION,
    }
    for name in environment:
        assert name in (sys.modules[reload.__module__].__doc__ or "")


def test_a_user_without_an_entry_is_at_home_in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> pwd.struct_passwd:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert run("printenv", "HOME").output == "/"


def test_directory_input_and_session(script: Callable[[str], Path]) -> None:
    lines = "pwd; cat; readlink /proc/self/fd/0; cut -d' ' -f6 /proc/$$/stat; echo $$"
    directory, given, session, process = run(script(lines)).output.split()
    assert (directory, given) == ("/", "/dev/null")
    assert session == process


def test_no_descriptor_is_inherited(tmp_path: Path) -> None:
    with (tmp_path / "secret").open("w") as secret:
        fcntl.fcntl(secret, fcntl.F_SETFD, 0)  # would outlive an exec
        assert run("sh", "-c", "ls /proc/$$/fd").output == "0 1 2"


def test_no_descriptor_is_left_behind(script: Callable[[str], Path]) -> None:
    good, bad = script("echo hello"), "/nowhere/at/all"
    run(good)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        run(good)
        refused(bad)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_output_is_cleaned(script: Callable[[str], Path]) -> None:
    lines = r"""printf '\033[1;31mred\033[0m \033]0;title\007bell\007 \001\377 tab\tend\033\r\n'"""
    assert run(script(lines)).output == "red bell � tab end"


def test_excessive_output_is_cut_and_blocks_nothing(script: Callable[[str], Path]) -> None:
    result = run(script("yes flood | head -c 99999996; echo the end"))
    assert result.output.endswith("flood flood the end")
    assert len(result.output) <= process.LONGEST_OUTPUT


def test_a_descendant_that_keeps_the_output_open_is_not_waited_for(
    script: Callable[[str], Path],
) -> None:
    result = run(script("sleep 60 & echo $!; echo done"))
    pid, done = result.output.split()
    try:
        assert done == "done"
        assert result.seconds < 5.0
        assert not is_gone(int(pid))  # a reload may have to start something
    finally:
        with suppress(ProcessLookupError):
            os.kill(int(pid), 9)


def test_a_flooding_descendant_is_not_waited_for(script: Callable[[str], Path]) -> None:
    result = run(script("yes >&1 & echo $! >&2; exit 0"))
    assert result.seconds < 5.0  # its next write fails, and it ends


def test_output_that_is_closed_early_is_not_the_end(script: Callable[[str], Path]) -> None:
    assert run(script("exec >&- 2>&-; sleep 0.1")).seconds >= 0.1
    assert "exit status 4" in refused(script("exec >&- 2>&-; sleep 0.05; exit 4")).message


def test_many_at_once_from_many_threads(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = pool.map(lambda number: run("echo", str(number)), range(24))
    assert [result.output for result in results] == [str(number) for number in range(24)]
    assert not list(tmp_path.iterdir())


# --------------------------------------------------------------------------- failure


def test_a_command_that_fails(script: Callable[[str], Path]) -> None:
    path = script("echo cannot reload: bad certificate >&2; exit 3")
    error = refused(path)
    assert error.message == (
        f"the reload command {path} failed (exit status 3): cannot reload: bad certificate"
    )
    assert error.output == "cannot reload: bad certificate"


@pytest.mark.parametrize(
    "output",
    [
        "Failed to reload ocserv.service: Access denied",
        "Failed to reload ocserv.service: Interactive authentication required.",
        'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.',
        "sudo: a terminal is required to read the password",
        "nginx: [alert] kill(7, 1) failed (1: Operation not permitted)",
    ],
)
@pytest.mark.parametrize(("user", "fixes"), [(65534, True), (0, False)])
def test_a_command_that_this_user_may_not_run(
    script: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    output: str,
    user: int,
    *,
    fixes: bool,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)

    error = refused(script(f"echo '{output}' >&2; exit 1"))

    assert ("let systemd reload the server by gatecert-reload@boston.path" in error.fix) is fixes


def test_the_end_of_a_long_output_is_reported(script: Callable[[str], Path]) -> None:
    error = refused(script("yes progress | head -n 200; echo the real reason; exit 1"))
    assert error.output.startswith("…")
    assert error.output.endswith("the real reason")


def test_a_command_that_is_killed(script: Callable[[str], Path]) -> None:
    assert "failed (killed by SIGKILL)" in refused(script("kill -9 $$")).message
    assert "failed (killed by signal 40)" in refused(script("kill -40 $$")).message


def test_a_command_that_is_not_found() -> None:
    error = refused("no-such-command-anywhere")
    assert error.message == "the reload command no-such-command-anywhere was not found"
    assert "/usr/sbin" in error.fix


def test_a_relative_path_is_never_looked_for(
    script: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(script("exit 0").parent)
    assert "was not found" in refused("./reload").message


@pytest.mark.parametrize(
    ("interpreter", "mode", "reason"),
    [
        ("/bin/sh", stat.S_IRUSR, "Permission denied"),
        ("/nowhere/sh", 0o755, "No such file or directory"),
    ],
)
def test_a_script_that_cannot_be_run(
    script: Callable[..., Path], interpreter: str, mode: int, reason: str
) -> None:
    error = refused(script("exit 0", interpreter, mode))
    assert error.message.endswith(f"cannot be run: {reason}")


def test_files_that_are_no_programs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "garbage"
    path.write_bytes(b"\x00garbage")
    path.chmod(0o755)
    assert "cannot be run: Exec format error" in refused(path).message
    assert "cannot be run: Permission denied" in refused(tmp_path).message
    assert "cannot be run: No such file" in refused(tmp_path / "missing").message
    assert "cannot be run: embedded null byte" in refused("/bin/echo", "a\0b").message


# --------------------------------------------------------------------------- timeout


def test_a_command_that_hangs(script: Callable[[str], Path], tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    path = script(f"sleep 60 & echo $$ $! > {pids}; echo waiting; wait")
    started = time.monotonic()
    error = refused(path, timeout=0.15)
    assert time.monotonic() - started < 2.0
    assert error.message == (
        f"the reload command {path} did not end within 0.15 s and was killed: waiting"
    )
    assert "install.reload_timeout" in error.fix
    assert eventually(lambda: all(is_gone(int(pid)) for pid in pids.read_text().split()))


def test_a_group_that_ignores_sigterm_gets_sigkill(
    script: Callable[[str], Path], tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    path = script(
        f"trap '' TERM; sleep 60 & echo $$ $! > {pids}; exec >&- 2>&-; sleep 60; sleep 60"
    )
    error = refused(path, timeout=0.1, grace=0.15)
    assert "was killed" in error.message
    assert eventually(lambda: all(is_gone(int(pid)) for pid in pids.read_text().split()))


def test_no_descendant_survives_a_terminated_command(
    script: Callable[[str], Path], tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    path = script(f"(trap '' TERM; sleep 60; sleep 60) & echo $! > {pids}; sleep 60")
    started = time.monotonic()
    refused(path, timeout=0.1)
    assert time.monotonic() - started < 1.5
    assert eventually(lambda: is_gone(int(pids.read_text())))


def test_a_flood_without_end_is_cut_off_in_time(script: Callable[[str], Path]) -> None:
    started = time.monotonic()
    error = refused(script("yes flood"), timeout=0.1)
    assert time.monotonic() - started < 2.0
    assert error.output.endswith("flood")


def test_a_command_of_another_user_cannot_be_killed(
    script: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    kill = os.killpg
    sent: list[tuple[int, int]] = []

    def not_permitted(group: int, number: int) -> None:
        sent.append((group, number))
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "killpg", not_permitted)
    error = refused(script("exec sleep 60"), timeout=0.05, grace=0.05)
    assert "did not end within 0.05 s and could not be killed" in error.message
    (group,) = {group for group, _ in sent}
    assert [int(number) for _, number in sent[:2]] == [15, 9]
    kill(group, 9)
    assert eventually(lambda: not Path(f"/proc/{group}").exists())  # no zombie stays behind


def test_a_stop_kills_the_command(
    script: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = tmp_path / "pids"

    def interrupt(*_: object) -> bool:
        assert eventually(lambda: pids.exists() and bool(pids.read_text()))
        raise KeyboardInterrupt

    monkeypatch.setattr(process.Run, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(script(f"echo $$ > {pids}; exec sleep 60"))
    assert is_gone(int(pids.read_text()))
