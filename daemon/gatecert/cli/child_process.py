"""A part of a command in a process of its own, because it gives up root's privileges for good.

``gatecert init`` changes servers and units as root, and enrols in between as the owner of the state
directory (``store.drop_root``).
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from gatecert.cli import output
from gatecert.errors import GatecertError, LockTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_RESULT = 1 << 20  # bytes


class ChildError(GatecertError):
    """An error of the other process, with its message and fix."""

    code = "child"


def in_child(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run a function in a child process with the same output; return its result.

    Call it while this process has one thread.

    Args:
        work: Returns what JSON can represent.

    Raises:
        ChildError: It raised an error, or the process was lost.
        LockTimeoutError: It raised this.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    readable, writable = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(readable)
        _run(work, writable)
    os.close(writable)
    try:
        with os.fdopen(readable, "rb") as pipe:
            answer = pipe.read(LARGEST_RESULT)
    finally:
        _, status = os.waitpid(process, 0)
    try:
        result: dict[str, Any] = json.loads(answer)
    except ValueError as error:
        ending = os.waitstatus_to_exitcode(status)
        raise ChildError(
            f"the process that enrols was lost (exit status {ending})",
            fix="run gatecert init again, and it goes on from here",
        ) from error
    if "error" in result:
        kind = LockTimeoutError if result["is_held"] else ChildError
        raise kind(result["error"], fix=result["fix"])
    return result


def _run(work: Callable[[], dict[str, Any]], writable: int) -> None:
    """Run the function in the child, write its result to the pipe, and end the process."""
    try:
        try:
            result = work()
        except GatecertError as error:
            is_held = isinstance(error, LockTimeoutError)
            result = {"error": error.message, "fix": error.fix, "is_held": is_held}
        except Exception as error:  # noqa: BLE001 - every error is one line
            if "--debug" in sys.argv:
                output.write_traceback()
            result = {"error": f"unexpected {error!r}", "fix": "", "is_held": False}
        with os.fdopen(writable, "wb") as pipe:
            pipe.write(json.dumps(result).encode())
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                output.silence(stream)
    finally:
        os._exit(0)  # neither exit handlers nor the parent's work
