"""The environment of a measurement: a CA, a resolver, and daemons that report readiness."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench.figures import Figure
from bench.process_tree import ProcessTree
from harness.challenge_test_server import ChallengeTestServer
from harness.gatecert import Gatecert
from harness.pebble import Pebble, PebbleOptions
from harness.waiting import wait_until

if TYPE_CHECKING:
    from typing import Self


ENROLLED = re.compile(rb"enrolled gateway=(\S+) .*?seconds=([\d.]+)")
# Fleets here are larger than the limits of Let's Encrypt, which count nevertheless.
LIMITS = {
    "new_accounts": "1000000/3h",
    "orders": "1000000/3h",
    "certificates": "1000000/7d",
    "duplicates": "1000000/7d",
    "failed_validations": "1000000/1h",
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """The extent of the measurements.

    Attributes:
        runs: Samples of each figure that is quick to measure.
        window: Seconds to observe something idle.
        watched: Gateways with a listener each.
        fleet: Gateways of the largest daemon.
        burst: Gateways that are enrolled at once.
        shown: Gateways on the status page.
        growth: Gateways that are enrolled at once to see how the cost grows.
        names: Gateways in the database of a fleet.
        issued: Certificates that the hosts of a fleet obtain at once.
    """

    runs: int = 5
    window: float = 60.0
    watched: int = 500
    fleet: int = 10_000
    burst: int = 500
    growth: Sequence[int] = (100, 1000, 2000)
    shown: int = 3000
    names: int = 100_000
    issued: int = 160


@dataclass(frozen=True, slots=True)
class Scene:
    """Servers of one family of figures.

    Attributes:
        names: Resolves every name to 127.0.0.1.
    """

    directory: Path
    pebble: Pebble
    names: ChallengeTestServer
    console: Console
    sizes: Sizes

    def daemon(self, name: str) -> MeasuredDaemon:
        """Return a daemon with an empty state directory, default intervals and no gateways."""
        daemon = MeasuredDaemon(self.directory / name)
        daemon.use(self.pebble, self.names, limits=LIMITS)
        del daemon.configuration["resolver"]["interval"]  # short in the tests
        return daemon

    def say(self, text: str) -> None:
        """Print what follows."""
        self.console.print(text)


Family = Callable[[Scene], Iterator[Figure]]
"""Measures figures that belong together."""


@contextmanager
def opened(directory: Path, console: Console, sizes: Sizes) -> Iterator[Scene]:
    """Start the servers of a scene."""
    directory.mkdir()
    with ExitStack() as servers:
        names = servers.enter_context(ChallengeTestServer(directory))
        names.answer_everything("127.0.0.1")
        options = PebbleOptions(rejected_nonces=0, reused_authorizations=0)
        pebble = servers.enter_context(Pebble(directory, dns_server=names.address, options=options))
        yield Scene(directory, pebble, names, console, sizes)


def measured(
    name: str, family: Family, directory: Path, console: Console, wanted: Sizes
) -> list[Figure]:
    """Measure a family; if that fails, its last figure says why."""
    found: list[Figure] = []
    try:
        with opened(directory, console, wanted) as scene:
            for figure in family(scene):
                found.append(figure)
                console.print("  " + ", ".join(filter(None, figure.cells())), markup=False)
    except (AssertionError, OSError, RuntimeError, ValueError) as error:
        problem = next(iter(str(error).splitlines()), type(error).__name__)
        console.print(f"  {error}", markup=False, soft_wrap=True)
        found.append(Figure(name, "", (), problem=problem))
    return found


class MeasuredDaemon(Gatecert):
    """A daemon whose readiness is received as a service manager receives it (sd_notify(3)).

    Attributes:
        ready_after: Seconds from the start of the process until it was ready; 0 before.
    """

    def __init__(self, directory: Path) -> None:
        address = directory / "notify"
        super().__init__(directory, environment={"NOTIFY_SOCKET": str(address)})
        self.ready_after = 0.0
        self._notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notifications.bind(str(address))
        self._ready = threading.Event()
        self._seen = 0
        self._enrolled: dict[str, float] = {}
        threading.Thread(target=self._receive, name="notifications", daemon=True).start()

    @property
    def tree(self) -> ProcessTree:
        """All processes of it."""
        return ProcessTree(self.process.pid)

    @property
    def seconds_since_start(self) -> float:
        """Seconds since the start of the process."""
        return time.monotonic() - self.process.started_at

    def start(self) -> Self:
        """Write the configuration and start the daemon."""
        self._ready.clear()
        return super().start()

    def wait_ready(self, seconds: float = 60.0) -> float:
        """Wait until it is ready; return the seconds since its start."""
        self.wait_for(self._ready.is_set, "the daemon to be ready", seconds=seconds)
        return self.ready_after

    def wait_all_enrolled(self, count: int, seconds: float) -> None:
        """Wait until so many gateways are enrolled."""
        wait_until(
            lambda: len(self.enrolled()) >= count,
            f"{count} gateways to be enrolled",
            seconds=seconds,
            interval=0.05,
            explain=lambda: f"{len(self.enrolled())} are\n{self.process.tail()}",
        )

    def enrolled(self) -> dict[str, float]:
        """Return the seconds that each enrolment took, by the daemon's own clock."""
        with self.process.log.open("rb") as log:
            log.seek(self._seen)
            lines = log.read()
        whole = lines[: lines.rfind(b"\n") + 1]
        self._seen += len(whole)
        for name, seconds in ENROLLED.findall(whole):
            self._enrolled[name.decode()] = float(seconds)
        return self._enrolled

    def _receive(self) -> None:
        while True:
            message = self._notifications.recv(65_536)
            if b"READY=1" in message.splitlines() and not self._ready.is_set():
                self.ready_after = time.monotonic() - self.process.started_at
                self._ready.set()
