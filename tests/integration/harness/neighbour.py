"""Another host on the same wire: a network namespace at the other end of a veth pair."""

from __future__ import annotations

import re
import signal
import subprocess
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from harness.process import BackgroundProcess, program
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

GATEWAY_ADDRESS = "192.0.2.1"
OWN_ADDRESS = "192.0.2.2"
COMMAND_TIMEOUT = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Delivery:
    """Results of the packets that a client sent through its tunnel.

    Attributes:
        longest_gap: Seconds between two answers.
    """

    sent: int
    received: int
    longest_gap: float

    @property
    def lost(self) -> int:
        """Packets without an answer."""
        return self.sent - self.received

    def __str__(self) -> str:
        silence = self.longest_gap * 1000
        return f"{self.lost} of {self.sent} packets lost, longest silence {silence:.0f} ms"


class Neighbour:
    """A host from which users come; only root of a private network can have one.

    Args:
        directory: Takes logs.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._holder = BackgroundProcess(
            [program("unshare"), "--net", program("sleep"), "infinity"],
            log=directory / "neighbour.log",
        )
        self._counter = 0

    def argv(self, *command: str) -> list[str]:
        """A command as it runs on this host."""
        name, *rest = command
        entry = [program("nsenter"), f"--net=/proc/{self._holder.pid}/ns/net", "--"]
        return [*entry, name if "/" in name else program(name), *rest]

    def run(self, *command: str, check: bool = True, text: str = "") -> str:
        """Run a command on this host to its end, and return what it printed."""
        finished = subprocess.run(
            self.argv(*command),
            input=text,
            text=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=COMMAND_TIMEOUT,
        )
        if check and finished.returncode != 0:
            raise AssertionError(f"{command} failed ({finished.returncode})\n{finished.stdout}")
        return finished.stdout

    def background(self, *command: str) -> BackgroundProcess:
        """A program on this host; enter it to start it."""
        self._counter += 1
        name = Path(command[0]).name
        return BackgroundProcess(
            self.argv(*command), log=self._directory / f"{name}-{self._counter}.log"
        )

    def ping(self, address: str, *, interval: float = 0.02) -> Ping:
        """Packets to an address one after the other; enter it to start."""
        return Ping(self.background("ping", "-n", "-D", "-i", f"{interval:g}", address), interval)

    def __enter__(self) -> Self:
        here = Path("/proc/self/ns/net").readlink()
        self._holder.start()
        wait_until(
            lambda: Path(f"/proc/{self._holder.pid}/ns/net").readlink() != here, "another network"
        )
        link = [program("ip"), "link", "add", "wire", "type", "veth", "peer", "name", "far"]
        run(*link, "netns", str(self._holder.pid))
        run("ip", "address", "add", f"{GATEWAY_ADDRESS}/24", "dev", "wire")
        run("ip", "link", "set", "wire", "up")
        self.run("ip", "link", "set", "lo", "up")
        self.run("ip", "address", "add", f"{OWN_ADDRESS}/24", "dev", "far")
        self.run("ip", "link", "set", "far", "up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        subprocess.run([program("ip"), "link", "delete", "wire"], check=False, capture_output=True)
        self._holder.__exit__(kind, error, traceback)


class Ping:
    """Packets that are sent all the time, and what became of them."""

    def __init__(self, process: BackgroundProcess, interval: float) -> None:
        self.process = process
        self._interval = interval

    @property
    def answers(self) -> list[float]:
        """When each answer came, in seconds."""
        return [
            float(found[1])
            for found in re.finditer(
                r"^\[([0-9.]+)\] \d+ bytes from", self.process.output, re.MULTILINE
            )
        ]

    def wait_answered(self, count: int = 5, *, seconds: float = 20.0) -> None:
        """Wait until that many more answers have come."""
        before = len(self.answers)
        wait_until(
            lambda: len(self.answers) >= before + count,
            f"{count} answers",
            seconds=seconds,
            explain=self.process.tail,
        )

    def stop(self) -> Delivery:
        """Send no more, and count."""
        self.process.signal(signal.SIGINT)
        self.process.wait(5.0)
        answers = self.answers
        numbers = {int(found) for found in re.findall(r"icmp_seq=(\d+) ttl", self.process.output)}
        gaps = [later - earlier for earlier, later in pairwise(answers)]
        # The last one sent may have been under way still, so the last one answered counts.
        return Delivery(max(numbers), len(numbers), max(gaps, default=0.0))

    def __enter__(self) -> Self:
        self.process.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.__exit__(kind, error, traceback)


def run(name: str, *arguments: str) -> None:
    """Run a command on this host; it must succeed."""
    argv: Sequence[str] = [name if "/" in name else program(name), *arguments]
    finished = subprocess.run(
        argv, text=True, check=False, capture_output=True, timeout=COMMAND_TIMEOUT
    )
    if finished.returncode != 0:
        raise AssertionError(f"{' '.join(argv)} failed: {finished.stderr.strip()}")
