"""Memory, environment and open files of gatecert, which other processes of its user want to read.

The user is root of this namespace without any capability, who reaches every interpreter.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from harness.gatecert import Gatecert
from harness.process import program

if TYPE_CHECKING:
    from collections.abc import Callable


# What debuggers do (gdb, gcore), and what else could reveal a key; prints what was permitted.
ATTACK: Final = """\
import ctypes, errno, json, os, sys
process = int(sys.argv[1])
library = ctypes.CDLL(None, use_errno=True)
done = []

def attempt(what, attack):
    try:
        attack()
    except OSError:
        return
    done.append(what)

def call(name, *arguments):
    if getattr(library, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)

def open_and_read(name):
    with open(f"/proc/{process}/{name}", "rb") as file:
        file.read(1)

def attach(request, detach):
    call("ptrace", request, process, None, None)
    if detach:
        os.waitpid(process, 0x40000000)
    library.ptrace(17, process, None, None)

def read_remotely():
    buffer = ctypes.create_string_buffer(1)
    ours = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 1)
    theirs = (ctypes.c_size_t * 2)(4096, 1)
    try:
        call("process_vm_readv", process, ours, 1, theirs, 1, 0)
    except OSError as error:
        if error.errno == errno.EPERM:
            raise

def copy_descriptor():
    call("syscall", 438, os.pidfd_open(process), 0, 0)

for name in ("environ", "maps", "smaps", "auxv", "stack", "io", "fdinfo/0"):
    attempt(name, lambda: open_and_read(name))
attempt("mem", lambda: open(f"/proc/{process}/mem", "r+b", 0))
attempt("map_files", lambda: os.listdir(f"/proc/{process}/map_files"))
attempt("fd", lambda: open(f"/proc/{process}/fd/1", "r+b", 0))
for name in ("cwd", "exe", "root", "ns/mnt"):
    attempt(name, lambda: os.readlink(f"/proc/{process}/{name}"))
attempt("PTRACE_SEIZE", lambda: attach(0x4206, False))
attempt("PTRACE_ATTACH", lambda: attach(16, True))
attempt("process_vm_readv", read_remotely)
attempt("pidfd_getfd", copy_descriptor)
print(json.dumps(done))
"""
WITHOUT_RIGHTS: Final = (program("setpriv"), "--bounding-set=-all", "--inh-caps=-all")
HOOK: Final = "env >$0/environment; echo $$ >$0/hook; exec sleep 600"
PASSWORD: Final = "s3cret-of-the-proxy"  # noqa: S105 - to be searched for


@dataclass(frozen=True, slots=True)
class Victim:
    """A program of gatecert, run by the attacker's user, that waits for its reload command."""

    gatecert: Gatecert
    place: Path

    def hook(self) -> int:
        """Return the process id of the reload command, once it runs."""
        file = self.place / "hook"
        self.gatecert.wait_for(lambda: file.exists() and file.read_text(), "the reload command")
        return int(file.read_text())


@pytest.fixture
def start(gatecert: Gatecert, tmp_path: Path) -> Callable[..., Victim]:
    """Start a command where it may leave a core file of any size."""
    place = tmp_path / "place"
    place.mkdir()

    def started(command: str, *before: str) -> Victim:
        gatecert.configuration["state_directory"] = str(place / "state")
        gatecert.add_gateway("hq", "hq.example.com", mode="custom")
        gatecert.configuration["gateways"]["hq"]["install"] = {
            "reload": ["sh", "-c", HOOK, str(place)],
            "reload_timeout": "10m",
        }
        gatecert.process.argv = (
            *(program("prlimit"), "--core=unlimited", "env", f"--chdir={place}"),
            *(*before, *WITHOUT_RIGHTS, *gatecert.command, command),
        )
        gatecert.process.add_environment({"HTTPS_PROXY": f"http://user:{PASSWORD}@127.0.0.1:9"})
        gatecert.start()
        return Victim(gatecert, place)

    return started


HIDDEN_PROCESSES: Final = (
    *("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c"),
    *('mount -o remount,hidepid=invisible /proc && exec "$@"', "sh"),
    *("setpriv", "--regid=60001", "--clear-groups"),  # group 0 sees all processes
)


def as_same_user(*argv: str) -> str:
    """Run a command as the user of gatecert."""
    return subprocess.run(
        [*WITHOUT_RIGHTS, *argv], check=True, capture_output=True, text=True, timeout=60
    ).stdout


def permitted(process: int) -> list[str]:
    """Return what the user was permitted to do to a process."""
    return list(json.loads(as_same_user(sys.executable, "-c", ATTACK, str(process))))


@pytest.mark.attack("read the memory, environment and files of the daemon as its own user")
def test_the_daemon_is_closed_to_its_user(start: Callable[..., Victim]) -> None:
    victim = start("run")
    hook = victim.hook()
    (worker,) = victim.gatecert.workers()

    assert permitted(victim.gatecert.process.pid) == []
    assert permitted(worker) == []
    # The attack is a real one: the reload command is an ordinary process.
    assert {"environ", "mem", "fd", "process_vm_readv"} <= set(permitted(hook))


@pytest.mark.attack("read the memory of the process that serves metrics and page, as its user")
def test_the_monitor_is_closed_to_its_user(
    start: Callable[..., Victim], gatecert: Gatecert
) -> None:
    socket = gatecert.state_directory.parent / "metrics.sock"
    gatecert.configuration["metrics"] = {"listen": [f"unix:{socket}"]}
    victim = start("run")
    victim.hook()
    gatecert.wait_for(socket.exists, "the socket of the metrics")

    (monitor,) = gatecert.monitors()
    assert permitted(monitor) == []


@pytest.mark.attack("read the memory of a command that runs beside the daemon, as its user")
def test_a_command_is_closed_to_its_user(start: Callable[..., Victim]) -> None:
    victim = start("enroll")
    victim.hook()

    assert permitted(victim.gatecert.process.pid) == []


def test_a_reload_command_gets_no_secret(start: Callable[..., Victim]) -> None:
    victim = start("run")
    victim.hook()

    given = (victim.place / "environment").read_text()
    assert PASSWORD not in given
    assert "PATH=" in given


@pytest.mark.attack("make gatecert leave a core file with its keys")
@pytest.mark.parametrize("of", ["core", "worker", "command"])
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT])
def test_no_core_file(start: Callable[..., Victim], of: str, number: signal.Signals) -> None:
    victim = start("enroll" if of == "command" else "run")
    victim.hook()
    process = victim.gatecert.process.pid
    if of == "worker":
        (process,) = victim.gatecert.workers()

    as_same_user("kill", f"-{number.value}", str(process))

    if of == "worker":
        victim.gatecert.wait_logged("worker lost")
    else:
        ended = os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        assert ended.si_code == os.CLD_KILLED, "not CLD_DUMPED"
    assert [path.name for path in victim.place.iterdir() if path.name.startswith("core")] == []


# Python runs this when it starts.
LARGE_WORKER: Final = """\
import sys
if "gatecert.worker" in " ".join(sys.orig_argv):
    sys.large = b"x" * (100 << 20)
"""


def test_the_core_still_measures_a_worker_whose_process_is_hidden(
    start: Callable[..., Victim], gatecert: Gatecert, tmp_path: Path
) -> None:
    """As in the packaged service: ProtectProc=invisible hides what may not be traced."""
    gatecert.configuration["worker"] = {"memory_limit": 64}
    (tmp_path / "sitecustomize.py").write_text(LARGE_WORKER, "ascii")
    gatecert.process.add_environment({"PYTHONPATH": str(tmp_path)})

    victim = start("run", *HIDDEN_PROCESSES)

    victim.gatecert.wait_logged("MiB (worker.memory_limit)", seconds=60.0)
