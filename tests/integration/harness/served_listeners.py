"""A process that serves what it is told on real listeners, and tells their status.

``python -m harness.served_listeners`` reads the listeners from standard input: one line of JSON for
each plan. It writes a line of JSON with the statuses whenever they change, tries again every 0.2 s,
and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil

from gatecert.model import WebAccess
from gatecert.monitoring.exchange import Request, Response
from gatecert.monitoring.listeners import Listeners, WantedListener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

RETRY_SECONDS = 0.2
SMALL = b"gatecert_ready 1\n"
LARGE = b'gatecert_certificate_served{gateway="boston"} 1\n' * 100_000  # 4.8 MB


async def _events() -> AsyncIterator[bytes]:
    yield b"data: 1\n\n"
    await asyncio.sleep(3600)


def handle(request: Request) -> Response:
    """Answer what the tests ask for."""
    match request.path:
        case "/metrics":
            return Response(SMALL)
        case "/large":
            return Response(LARGE)
        case "/events":
            return Response(content_type="text/event-stream", stream=_events())
        case _:
            return Response(b"not found\n", 404)


async def _serve(user: int) -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    listeners = Listeners(pause=0)
    if user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    shown = ""
    following = asyncio.ensure_future(lines.readline())
    while True:
        wait = RETRY_SECONDS if listeners.has_problems else None
        await asyncio.wait({following}, timeout=wait)
        if following.done():
            if not (line := following.result()):
                break
            following = asyncio.ensure_future(lines.readline())
            await listeners.keep(
                [
                    WantedListener(
                        each["purpose"], each["address"], WebAccess(**each["access"]), handle
                    )
                    for each in json.loads(line)
                ]
            )
        else:
            await listeners.retry()
        statuses = json.dumps([asdict(each) for each in listeners.statuses()])
        if statuses != shown:
            shown = statuses
            sys.stdout.write(statuses + "\n")
            sys.stdout.flush()
    await listeners.close()


@dataclass(frozen=True, slots=True)
class Usage:
    """Use of memory in bytes, of processor time in seconds, and of other resources."""

    memory: int
    seconds: float
    threads: int
    descriptors: int
    wakeups: int


class ServedListeners:
    """The process, for as long as the context lasts.

    Args:
        log: File for its log.
        user: Number of the user that it becomes; 0 to stay.
    """

    def __init__(self, log: Path, user: int = 0) -> None:
        self._log = log
        self._user = user

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.served_listeners", str(self._user)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=10)

    def keep(self, *wanted: tuple[str, WebAccess]) -> list[dict[str, Any]]:
        """Keep listeners, given by address and access; return their statuses."""
        plan = [
            {"purpose": "metrics", "address": address, "access": asdict(access)}
            for address, access in wanted
        ]
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(plan).encode() + b"\n")
        self._process.stdin.flush()
        return self.statuses()

    def statuses(self) -> list[dict[str, Any]]:
        """Return the next statuses; waits until they change."""
        assert self._process.stdout is not None
        found: list[dict[str, Any]] = json.loads(self._process.stdout.readline())
        return found

    def allow_descriptors(self, most: int) -> None:
        """Limit the descriptors that the process may have."""
        resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE, (most, most))

    def usage(self) -> Usage:
        """Return what the process uses."""
        process = psutil.Process(self._process.pid)
        times = process.cpu_times()
        return Usage(
            process.memory_info().rss,
            times.user + times.system,
            process.num_threads(),
            process.num_fds(),
            process.num_ctx_switches().voluntary,
        )

    def log(self) -> str:
        """Return its log."""
        return self._log.read_text("utf-8")


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
