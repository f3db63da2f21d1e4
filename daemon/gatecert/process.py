"""Commands in their own process group, with bounded output.

A command has finished when its process ends. Its descendants may continue, because a reload may
have to start a server; gatecert does not wait for them, and they lose output that they have not
redirected. Killing a command ends its whole process group: SIGTERM, then SIGKILL when the command
has ended or the grace period is over. Only a descendant with its own session survives that.

Output is read continuously, and only its end is kept.

A command is not run if another user may change its program (``trusted_files``). It never runs in a
shell. It runs in ``/``, with an empty standard input or what the caller gives it. It inherits
nothing of gatecert's environment (no secrets, no ``NOTIFY_SOCKET``, no ``CREDENTIALS_DIRECTORY``)
and no descriptor. ``environment`` returns the environment of every command; callers add to it.
"""

from __future__ import annotations

import logging
import os
import pwd
import re
import selectors
import shutil
import signal
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import IO, TYPE_CHECKING, Final, cast

from gatecert.deadline import Deadline
from gatecert.errors import LONGEST_EXTERNAL_TEXT, clean
from gatecert.trusted_files import check_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

logger = logging.getLogger(__name__)

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LONGEST_OUTPUT: Final = 4096  # bytes
READ_SIZE: Final = 64 * 1024  # bytes; what a pipe holds
POLL_INTERVAL: Final = 0.05  # seconds, while descendants keep the output of a command open
LONGEST_READ: Final = 20.0  # seconds for a command that only reads
GRACE: Final = 2.0  # seconds between SIGTERM and SIGKILL, and between SIGKILL and giving up

# ECMA-48 control sequences, and the strings (window titles …) that end in BEL or ST
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|.)?")


class Run:
    """A running command, in its own process group."""

    def __init__(
        self, process: subprocess.Popen[bytes], output: IO[bytes], grace: float = GRACE
    ) -> None:
        self._grace = grace
        self._process = process
        self._output = output
        self._kept = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(output, selectors.EVENT_READ)
        self._end: int | None = None
        with suppress(OSError):  # kernel or sandbox without it: polls instead
            self._end = os.pidfd_open(process.pid)
            self._selector.register(self._end, selectors.EVENT_READ)

    @property
    def status(self) -> int | None:
        """The exit status, negative for a signal; None while it runs, or if it cannot be killed."""
        return self._process.returncode

    @property
    def output(self) -> str:
        """The end of the output, on one line."""
        text = _ESCAPES.sub("", self._kept.decode(errors="replace"))
        return clean(text, LONGEST_OUTPUT)

    @property
    def output_tail(self) -> str:
        """The end of a long output, which has the reason of a failure."""
        output = self.output
        if len(output) <= LONGEST_EXTERNAL_TEXT:
            return output
        return f"…{output[1 - LONGEST_EXTERNAL_TEXT :]}"

    @property
    def ending(self) -> str:
        """The exit status, or the signal that killed it, in words."""
        status = self.status or 0
        return f"exit status {status}" if status >= 0 else f"killed by {_signal_name(-status)}"

    def wait(self, deadline: Deadline) -> bool:
        """Read the output until the command ends; return False if the deadline passes first."""
        while self._process.poll() is None:
            if deadline.passed:
                return False
            self._read(deadline.within(POLL_INTERVAL))
        self._read(0.0)
        return True

    def kill(self) -> None:
        """Kill the whole process group.

        The command remains a zombie until the last signal is sent, so that its group's number
        cannot be reused before.
        """
        self._signal(signal.SIGTERM)
        grace = Deadline.after(self._grace)
        while not grace.passed and not self._has_ended():
            self._read(grace.within(POLL_INTERVAL))
        self._signal(signal.SIGKILL)
        last = Deadline.after(self._grace)
        while self._process.poll() is None and not last.passed:
            self._read(last.within(POLL_INTERVAL))
        if self.status is None:  # stuck in the kernel, or another user
            Thread(target=self._process.wait, name="reaper", daemon=True).start()
        self._read(0.0)

    def close(self) -> None:
        """Release the command; kill it if it still runs."""
        if self.status is None:
            self.kill()
        self._selector.close()
        self._output.close()
        if self._end is not None:
            os.close(self._end)

    def _read(self, seconds: float) -> None:
        """Wait for output or for the end of the command; read at most what a pipe holds."""
        if all(key.fileobj is not self._output for key, _ in self._selector.select(seconds)):
            return
        data = os.read(self._output.fileno(), READ_SIZE)
        self._kept = (self._kept + data)[-LONGEST_OUTPUT:]
        if not data:
            self._selector.unregister(self._output)

    def _has_ended(self) -> bool:
        """Tell whether the command has ended, without reaping it."""
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self._process.pid, options) is not None

    def _signal(self, number: signal.Signals) -> None:
        with suppress(PermissionError):  # a command that runs as another user
            os.killpg(self._process.pid, number)


def executable(name: str) -> str | None:
    """Return the absolute path of a program, searched in ``PATH``; None if it is missing."""
    if Path(name).is_absolute():
        return name
    return None if "/" in name else shutil.which(name, path=PATH)


def environment() -> dict[str, str]:
    """Return ``PATH`` as above, ``HOME`` of the effective user, and ``LANG=C.UTF-8``."""
    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:  # users without an entry, as in containers
        home = "/"
    return {"PATH": PATH, "HOME": home, "LANG": "C.UTF-8"}


def restore_sigchld() -> None:
    """Restore the default action of SIGCHLD, which the parent process may have set to ignore.

    If SIGCHLD is ignored, every command seems to end with status 0. Call it from the main thread,
    before any command starts.
    """
    if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


@contextmanager
def started(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    grace: float = GRACE,
    given: bytes | None = None,
) -> Iterator[Run]:
    """Start a command in ``/`` with only this environment; it ends with the context.

    Args:
        argv: The command.
        environment: Its environment.
        grace: Seconds between the signals that end it.
        given: What it gets on standard input; None for nothing.

    Raises:
        WeakFileError: Another user may change the program or script.
        OSError: It cannot be started.
        ValueError: An argument has a null character.
    """
    check_command(argv)
    with _standard_input(given) as standard_input:
        process = subprocess.Popen(  # noqa: S603 - argv of the operator, no shell
            argv,
            stdin=standard_input,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    run = Run(process, cast("IO[bytes]", process.stdout), grace)
    try:
        yield run
    finally:
        run.close()


@contextmanager
def _standard_input(given: bytes | None) -> Iterator[int]:
    """Return a file without a name: unlike a pipe, it blocks nobody if it is not read."""
    if given is None:
        yield subprocess.DEVNULL
        return
    with os.fdopen(os.memfd_create("gatecert-input", os.MFD_CLOEXEC), "w+b") as file:
        file.write(given)
        file.seek(0)
        yield file.fileno()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def output_of(argv: Sequence[str]) -> str:
    """Return the standard output of a command that only reads, in English and in UTC.

    Returns:
        The whole output; empty if the command is missing, fails or takes too long.
    """
    program = executable(argv[0])
    if program is None:
        return ""
    variables = environment() | {"LC_ALL": "C", "TZ": "UTC"}
    try:
        check_command([program, *argv[1:]])
        done = subprocess.run(  # noqa: S603 - argv, no shell
            [program, *argv[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LONGEST_READ,
            cwd="/",
            env=variables,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.debug("command failed program=%s error=%s", program, error)
        return ""
    if done.returncode != 0:
        said = clean(done.stderr.decode(errors="replace"))
        logger.debug("command failed program=%s error=%s", program, said)
        return ""
    return done.stdout.decode(errors="replace")
