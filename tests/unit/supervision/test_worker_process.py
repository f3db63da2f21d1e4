"""Real worker processes: what they say, and how they end."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.fakes.fleet_files import FleetFiles

from gatecert.supervision.messages import (
    Configured,
    Done,
    Failed,
    Fetched,
    Invalid,
    Leave,
    Left,
    Message,
    MessageError,
    Open,
    Opened,
    Record,
    Resume,
    Retain,
    Work,
)
from gatecert.supervision.worker_process import WorkerProcess, load_configuration, start_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ENOUGH = 60.0  # seconds for what a worker does at once


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(
        f"state_directory: {tmp_path / 'state'}\n"
        "gateways: {hq: {hostname: hq.example.com, mode: custom}}\n",
        "utf-8",
    )
    return path


@pytest.fixture
def released() -> Iterator[ExitStack]:
    """End processes and close descriptors after the test."""
    with ExitStack() as released:
        yield released


def loading(path: Path, released: ExitStack) -> tuple[WorkerProcess, int]:
    process, snapshot = load_configuration(path, debug=False)
    released.callback(os.close, snapshot)
    released.callback(process.end)
    return process, snapshot


def received(process: WorkerProcess) -> Iterator[Message]:
    """Yield what a worker sends, except for log records, until it closes the connection."""
    while True:
        writing = [process] if process.has_unsent else []
        readable, writable, _ = select.select([process], writing, [], ENOUGH)
        assert readable or writable, "the worker says nothing"
        if writable:
            process.flush()
        try:
            for message in process.receive() if readable else ():
                if not isinstance(message, Record):
                    yield message
        except EOFError:
            return


# ---------------------------------------------------------------------- the worker of gatecert


def test_workers_read_the_configuration_once_and_work(config: Path, released: ExitStack) -> None:
    first, snapshot = loading(config, released)
    messages = received(first)
    configured = next(messages)
    assert isinstance(configured, Configured)
    assert configured.gateways == ["hq"]
    assert configured.idle == 30.0
    first.send(Open({}, changed=True))
    opened = next(messages)
    assert isinstance(opened, Opened)
    assert opened.stamps.keys() == {"hq"}
    assert first.memory() > 1 << 20
    first.send(Leave())
    assert list(messages) == [Left({})]
    assert first.end() == "it ended with exit code 0"
    assert first.memory() == 0

    config.write_text("not a configuration", "utf-8")
    second = start_worker(snapshot)
    released.callback(second.end)
    messages = received(second)
    second.send(Resume())
    second.send(Open({}))
    assert next(messages) == Opened({})
    second.send(Work("hq", prepare=True, attend=False))
    second.send(Work("removed"))
    done = [next(messages), next(messages)]
    assert {each.gateway for each in done if isinstance(each, Done)} == {"hq", "removed"}
    second.send(Retain({}))
    second.send(Work("hq", lost="it was ended by SIGSEGV"))
    lost = next(messages)
    assert isinstance(lost, Done)
    assert (lost.outcome, lost.code) == ("failed", "worker-lost")
    assert "it was ended by SIGSEGV" in lost.detail
    assert lost.wake_at > 0
    second.send(Leave(now=True))
    assert list(messages) == [Left({})]


def test_an_invalid_configuration_is_refused_with_each_problem(
    config: Path, released: ExitStack
) -> None:
    config.write_text("gateways: {hq: {hostnam: x}}\nstate_directory: 5\n", "utf-8")
    process, _ = loading(config, released)
    message = next(received(process))
    assert isinstance(message, Invalid)
    assert len(message.problems) >= 2
    assert all(len(problem) == 3 for problem in message.problems)
    assert any("hostnam" in " ".join(problem) for problem in message.problems)


def test_a_missing_configuration_is_refused(tmp_path: Path, released: ExitStack) -> None:
    process, _ = loading(tmp_path / "missing.yaml", released)
    assert isinstance(next(received(process)), Invalid | Failed)


def refused(files: FleetFiles, released: ExitStack) -> str:
    """The only problem of the configuration of a host of a fleet."""
    process, _ = loading(files.configuration(), released)
    message = next(received(process))
    assert isinstance(message, Invalid)
    ((where, key, what),) = message.problems
    return f"{where}: {key}: {what}"


def test_a_sealing_key_that_is_none_is_a_problem_of_the_configuration(
    tmp_path: Path, released: ExitStack
) -> None:
    files = FleetFiles(tmp_path)
    files.write("seal-2026", b"S3cr3t\n")
    problem = refused(files, released)
    assert problem.startswith(
        f"fleet: sealing_keys: {tmp_path / 'seal-2026'} contains no sealing key"
    )
    assert "S3cr3t" not in problem


def test_a_library_of_the_database_that_cannot_be_loaded_is_one_too(
    tmp_path: Path, released: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PSYCOPG_IMPL", "none")  # as without libpq
    problem = refused(FleetFiles(tmp_path), released)
    assert "needs psycopg and Alembic: install gatecert[fleet] (" in problem


def test_an_aborted_worker_shows_where_it_is(
    config: Path, released: ExitStack, capfd: pytest.CaptureFixture[str]
) -> None:
    process, _ = loading(config, released)
    messages = received(process)
    next(messages)
    process.show_where_it_hangs()
    assert not list(messages)
    assert process.end() == "it was ended by SIGABRT"
    shown = capfd.readouterr().err
    assert "Fatal Python error: Aborted" in shown
    assert "connection.py" in shown


def test_signals_for_the_core_do_not_end_a_worker(config: Path, released: ExitStack) -> None:
    process, _ = loading(config, released)
    messages = received(process)
    next(messages)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        os.kill(process.pid, number)
    process.send(Leave())
    assert list(messages) == [Left({})]
    assert process.end() == "it ended with exit code 0"


def test_messages_wait_while_a_worker_does_not_read(config: Path, released: ExitStack) -> None:
    process, _ = loading(config, released)
    os.kill(process.pid, signal.SIGSTOP)
    for _ in range(64):
        process.send(Fetched(100_000 * "x"))
    process.send(Leave())
    assert process.has_unsent
    os.kill(process.pid, signal.SIGCONT)
    messages = list(received(process))
    assert isinstance(messages[0], Configured)
    assert messages[-1] == Left({})
    assert not process.has_unsent


CORE = """
import os, select, signal, sys
from pathlib import Path
from gatecert.supervision.messages import Configured
from gatecert.supervision.worker_process import load_configuration

process, _ = load_configuration(Path(sys.argv[1]), debug=False)
messages = []
while not any(isinstance(each, Configured) for each in messages):
    select.select([process], [], [])
    messages += process.receive()
print(process.pid, flush=True)
signal.pause()
"""


def test_a_worker_ends_with_a_killed_core(config: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CORE, str(config)], stdout=subprocess.PIPE, text=True
    ) as core:
        assert core.stdout is not None
        worker = os.pidfd_open(int(core.stdout.readline()))
        core.kill()
    try:
        assert select.select([worker], [], [], ENOUGH)[0]
    finally:
        os.close(worker)


# ---------------------------------------------------------------------- other workers


@pytest.fixture
def other(
    tmp_path: Path, released: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], WorkerProcess]:
    """Start another program in the place of the interpreter; ``core`` is its connection."""

    def started(program: str) -> WorkerProcess:
        path = tmp_path / "interpreter"
        begin = "import os, signal, sys\ncore = int(sys.argv[-2])"
        path.write_text(f"#!{sys.executable} -ES\n{begin}\n{program}\n", "utf-8")
        path.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(path))
        snapshot = os.memfd_create("test")
        released.callback(os.close, snapshot)
        process = start_worker(snapshot)
        released.callback(process.end)
        return process

    return started


LEFT = b'{"kind":"Left","unsaved":{}}\n'


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"garbage\n", "a line that is not JSON"),
        (b"\n", "a line that is not JSON"),
        (b"{}\n", "a message of an unknown kind"),
        (b"\x00\xff", "half a message"),
        (b'{"kind":"Le', "half a message"),
    ],
)
def test_what_arrives_before_garbage_arrives(
    other: Callable[[str], WorkerProcess], data: bytes, problem: str
) -> None:
    process = other(f"os.write(core, {LEFT + LEFT + data!r})")
    found: list[Message] = []
    with pytest.raises(MessageError, match=problem):
        found.extend(received(process))
    assert found == [Left({}), Left({})]


@pytest.mark.parametrize(
    ("program", "ending"),
    [
        ("", "it ended with exit code 0"),
        ("sys.exit(3)", "it ended with exit code 3"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "it was ended by SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGRTMIN + 3)", "it was ended by signal 37"),
    ],
)
def test_a_worker_that_has_ended_says_how(
    other: Callable[[str], WorkerProcess], program: str, ending: str
) -> None:
    process = other(program)
    assert not list(received(process))
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    process.send(Leave())
    process.show_where_it_hangs()
    assert process.end() == ending


def test_a_worker_that_ignores_its_end_is_killed(other: Callable[[str], WorkerProcess]) -> None:
    process = other(
        "signal.signal(signal.SIGABRT, signal.SIG_IGN)\n"
        f"os.write(core, {LEFT!r})\nwhile True: signal.pause()"
    )
    assert next(received(process)) == Left({})
    process.show_where_it_hangs()
    assert process.end() == "it was ended by SIGKILL"


def test_a_worker_inherits_two_descriptors_and_no_terminal(
    other: Callable[[str], WorkerProcess],
) -> None:
    process = other(
        "listed = os.listdir('/proc/self/fd')\n"
        "found = {int(each) for each in listed if os.path.exists(f'/proc/self/fd/{each}')}\n"
        "assert found == {0, 1, 2, core, int(sys.argv[-1])}, found\n"
        "assert os.getpgid(0) == os.getpid()\n"
        "assert os.readlink('/proc/self/fd/0') == '/dev/null'\n"
    )
    assert not list(received(process))
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process.end() == "it ended with exit code 0"


def test_a_worker_that_cannot_be_started_leaves_no_descriptor(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    with pytest.raises(FileNotFoundError):
        load_configuration(config, debug=False)
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - names only


def test_its_memory_is_measured_although_it_may_not_be_looked_at_when_execve_returns(
    config: Path, released: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.open
    refused: list[str | bytes] = []

    def hidden_at_first(path: str | bytes, flags: int, *arguments: int) -> int:
        if str(path).endswith("/statm") and len(refused) < 3:
            refused.append(path)
            raise FileNotFoundError(path)
        return opened(path, flags, *arguments)

    monkeypatch.setattr(os, "open", hidden_at_first)
    process, _ = loading(config, released)

    assert len(refused) == 3
    assert process.memory() > 1 << 20
