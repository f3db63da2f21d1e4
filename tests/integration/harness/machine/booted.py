"""A machine: a root file system, booted by systemd-nspawn."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.process import BackgroundProcess, program
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

Value = TypeVar("Value")

BOOT_PATIENCE = 60.0  # seconds
COMMAND_PATIENCE = 120.0  # seconds
PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
SHOWN = (
    *("gatecert*", "ocserv.service", "nginx.service", "haproxy.service", "openvpn-server@*"),
    *("strongswan*", "apache2.service", "postfix*", "dovecot.service", "slow-network.service"),
)
REBOOT_ASKED_FOR = 133  # systemd-nspawn --keep-unit


@dataclass(frozen=True, slots=True)
class Finished:
    """Result of a command in the machine."""

    exit_code: int
    output: str
    errors: str


class Machine:
    """A Debian on a layer of its own, so that the root file system below does not change.

    Args:
        layers: Root file systems to start from, the uppermost first.
        directory: For the machine's changes and its console.
        options: Options of systemd-nspawn.
    """

    def __init__(self, layers: Sequence[Path], directory: Path, *options: str) -> None:
        self._layers = layers
        self._directory = directory
        self.root = directory / "root"
        self.changes = directory / "changes"
        # systemd 257 must be told to use the host's legacy control groups.
        self.console = BackgroundProcess(
            [
                *(program("systemd-nspawn"), "--quiet", "--register=no", "--keep-unit"),
                *("--console=pipe", "--link-journal=no", "--resolv-conf=off", "--timezone=off"),
                *options,
                *("--directory", str(self.root), "--boot"),
                *("SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1", "systemd.firstboot=off"),
            ],
            log=directory / "console.log",
        )

    # ------------------------------------------------------------------ power

    def lay(self) -> Self:
        """Mount the layer over the root file system; the machine is still off."""
        for name in ("root", "changes", "work"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        lower = ":".join(str(layer) for layer in self._layers)
        options = f"lowerdir={lower},upperdir={self.changes},workdir={self._directory}/work"
        subprocess.run(
            [program("mount"), "-t", "overlay", "overlay", str(self.root), "-o", options],
            check=True,
            timeout=10,
        )
        return self

    def boot(self) -> Self:
        """Boot it, and wait until systemd takes commands."""
        self.console.start()
        wait_until(self._is_up, "systemd to take commands", seconds=BOOT_PATIENCE, interval=0.05)
        return self

    def power_off(self) -> None:
        """Power it off, as an operator does."""
        if self.console.alive:
            self.run("systemctl", "poweroff")
            self.console.wait(BOOT_PATIENCE)

    def reboot(self) -> None:
        """Start it again."""
        self.run("systemctl", "reboot")
        if self.console.wait(BOOT_PATIENCE) != REBOOT_ASKED_FOR:
            raise AssertionError(f"the machine did not ask for a reboot\n{self.console.tail()}")
        self.boot()

    def __enter__(self) -> Self:
        return self.lay()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.console.__exit__(kind, error, traceback)
        subprocess.run([program("umount"), "--lazy", str(self.root)], check=False, timeout=10)
        shutil.rmtree(self._directory / "work", ignore_errors=True)

    # ------------------------------------------------------------------ inside

    def run(self, *argv: str, seconds: float = COMMAND_PATIENCE, text: str = "") -> Finished:
        """Run a command as the machine's root; the caller checks the exit code.

        Args:
            argv: The command.
            seconds: The timeout.
            text: Its standard input.
        """
        finished = subprocess.run(
            [
                *(program("nsenter"), "--target", str(self._leader)),
                *("--mount", "--uts", "--ipc", "--pid", "--cgroup", "--wdns=/"),
                *argv,
            ],
            env=PLAIN,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )
        return Finished(finished.returncode, finished.stdout, finished.stderr)

    def must(self, *argv: str, seconds: float = COMMAND_PATIENCE, text: str = "") -> str:
        """Run a command that must succeed, and return its output."""
        finished = self.run(*argv, seconds=seconds, text=text)
        if finished.exit_code != 0:
            raise AssertionError(
                f"{' '.join(argv)} ended with {finished.exit_code}\n"
                f"{finished.output}{finished.errors}\n{self.journal_tail()}"
            )
        return finished.output

    def must_offline(self, *argv: str) -> None:
        """Run a command that must succeed while the machine is off."""
        subprocess.run(
            [program("chroot"), str(self.root), *argv],
            env=PLAIN,
            check=True,
            capture_output=True,
            timeout=COMMAND_PATIENCE,
        )

    def write(self, path: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file in the machine."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        file.chmod(mode)

    def write_running(self, path: str, text: str) -> None:
        """Write a file in a file system of the running machine, such as /run."""
        self.must("sh", "-c", 'printf %s "$2" >"$1"', "sh", path, text)

    def drop_in(self, unit: str, text: str, *, name: str = "test.conf") -> None:
        """Add to a unit's settings, as `systemctl edit` does."""
        self.write(f"/etc/systemd/system/{unit}.d/{name}", text)

    # ------------------------------------------------------------------ units

    def enable(self, *units: str) -> None:
        """Enable units, whether the machine is on or off."""
        subprocess.run(
            [program("systemctl"), "--quiet", f"--root={self.root}", "enable", *units],
            check=True,
            timeout=10,
        )

    def shown(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        value = self.must("systemctl", "show", f"--property={name}", "--value", "--", unit)
        return value.strip()

    def moment(self, unit: str, name: str = "ActiveEnterTimestampMonotonic") -> float:
        """Return a timestamp of a unit, in seconds of the monotonic clock."""
        return int(self.shown(unit, name)) / 1e6

    def wait_active(self, unit: str, *, seconds: float = 40.0) -> None:
        """Wait until a unit has started."""
        self.wait_for(
            lambda: self.shown(unit, "ActiveState") == "active", f"{unit} to run", seconds=seconds
        )

    def wait_idle(self) -> None:
        """Wait until systemd has no pending jobs, for example after the boot."""
        self.wait_for(
            lambda: not self.must("systemctl", "list-jobs", "--no-legend"), "no job", seconds=60
        )

    def wait_for(
        self, attempt: Callable[[], Value | None], what: str, *, seconds: float = 40.0
    ) -> Value:
        """Wait for a condition; show the journal if it does not hold."""
        return wait_until(attempt, what, seconds=seconds, interval=0.05, explain=self.journal_tail)

    # ------------------------------------------------------------------ journal

    def journal(self, *match: str) -> list[dict[str, Any]]:
        """Return the matching entries of this boot from `journalctl -o json`."""
        lines = self.must("journalctl", "--boot", "--output=json", "--quiet", *match).splitlines()
        return [json.loads(line) for line in lines]

    def said(self, unit: str, text: str) -> bool:
        """Return True if a unit has logged a text since the boot."""
        return any(text in str(entry.get("MESSAGE")) for entry in self.journal("--unit", unit))

    def journal_tail(self) -> str:
        """Return the last log lines of gatecert and the gateway."""
        shown = self.run(
            *("journalctl", "--boot", "--no-pager", "--lines=60", "--output=short-monotonic"),
            *(f"--unit={unit}" for unit in SHOWN),
        )
        return shown.output or self.console.tail()

    # ------------------------------------------------------------------ host

    @property
    def _leader(self) -> int:
        """The host's process ID of the machine's process 1."""
        children = Path(f"/proc/{self.console.pid}/task/{self.console.pid}/children")
        return int(children.read_text("ascii").split()[0])

    def _is_up(self) -> bool:
        if not self.console.alive:
            raise AssertionError(f"systemd-nspawn ended\n{self.console.tail()}")
        try:
            return self.run("systemctl", "is-system-running").output.strip() in {
                "starting",
                "running",
                "degraded",
            }
        except (OSError, IndexError, ValueError):
            return False
