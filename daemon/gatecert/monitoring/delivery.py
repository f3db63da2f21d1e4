"""Sending of one message to one receiver, in a child process that lives for that only.

Apprise needs 56 MB and a second to import, while the monitor sleeps most of the time; and what
hangs or crashes is killed with the child. It gets one JSON object on standard input (the file or
command of the receiver, and the message), reads the URL from the receiver's file, and answers with
JSON, one object a line: each URL that accepted, then the result. No secret is in its arguments, its
environment or its answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from gatecert.errors import clean
from gatecert.monitoring.delivery_answer import CHECK_IT, Answer
from gatecert.supervision.spawn import START, environment, python

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from gatecert.model import ReceiverPlan
    from gatecert.monitoring.notification_state import Outgoing

SEND: Final = START.format("gatecert.monitoring.deliver")
START_SECONDS: Final = 15.0  # for the imports, on a slow and busy machine
MOST_LINES: Final = 1000  # of an answer
MOST_AT_ONCE: Final = 2


class Deliver(Protocol):
    """Sends a message to a receiver; implemented by `ChildDelivery`."""

    async def __call__(self, plan: ReceiverPlan, message: Outgoing) -> Answer:
        """Return what came of it; never raises for a fault of the receiver."""
        ...


class ChildDelivery:
    """Sends messages in child processes, a few at once.

    Args:
        start: The Python program of the child; its argument is the directory of this package.
        start_seconds: Added to the receiver's timeout.
    """

    def __init__(self, start: str = SEND, start_seconds: float = START_SECONDS) -> None:
        self._start = start
        self._start_seconds = start_seconds
        self._free = asyncio.Semaphore(MOST_AT_ONCE)

    async def __call__(self, plan: ReceiverPlan, message: Outgoing) -> Answer:
        """Return what came of it."""
        async with self._free:
            try:
                process = await asyncio.create_subprocess_exec(
                    *python(self._start),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.DEVNULL,
                    cwd="/",
                    env=environment(),
                    start_new_session=True,
                )
            except OSError as error:
                reason = error.strerror or str(error)
                what = f"cannot start the process that sends notifications: {reason}"
                return Answer(accepted=False, problem=what, fix="free memory", refused=True)
            return await self._talk(process, plan, message)

    async def _talk(self, process: Process, plan: ReceiverPlan, message: Outgoing) -> Answer:
        seconds = plan.timeout.total_seconds()
        request = {
            "kind": plan.kind,
            "file": plan.file,
            "command": list(plan.command),
            "seconds": seconds,
            "accepted": list(message.accepted),
            "message": message.document,
        }
        urls: list[str] = []
        try:
            async with asyncio.timeout(seconds + self._start_seconds):
                found = await _exchange(process, json.dumps(request).encode(), urls)
        except TimeoutError:
            what, fix = f"no answer within {seconds:g} s", CHECK_IT
            return Answer(accepted=False, problem=what, fix=fix, urls=tuple(urls))
        finally:
            await _end(process)
        if found is None:
            what = f"the process that sends notifications ended early (status {process.returncode})"
            fix = "look for its reason in the kernel's log: dmesg"
            return Answer(accepted=False, problem=what, fix=fix, urls=tuple(urls))
        return found


async def _exchange(process: Process, request: bytes, urls: list[str]) -> Answer | None:
    """Send the request and read the answer; None if the child ends without one.

    Args:
        process: The child.
        request: One JSON object.
        urls: Gets the digests of the URLs that accepted, one after another.
    """
    if process.stdin is None or process.stdout is None:
        raise TypeError("the child has no pipes")
    process.stdin.write(request)
    with suppress(ConnectionError):  # it has ended
        await process.stdin.drain()
    process.stdin.close()
    for _ in range(MOST_LINES):
        try:
            line = await process.stdout.readline()
        except ValueError:  # longer than asyncio's limit
            return None
        if not line:
            return None
        answer = _read(line, urls)
        if answer is not None:
            return answer
    return None


def _read(line: bytes, urls: list[str]) -> Answer | None:
    """Read a line of the child; None if it is not the last one."""
    try:
        found = json.loads(line)
        if "url" in found:
            urls.append(str(found["url"]))
            return None
        return Answer(
            found["accepted"] is True,
            clean(str(found["problem"])),
            clean(str(found["fix"])),
            refused=found["refused"] is True,
            urls=tuple(urls),
        )
    except (ValueError, KeyError, TypeError):
        return None


async def _end(process: Process) -> None:
    """Kill the child and what it has started, and wait for it."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
