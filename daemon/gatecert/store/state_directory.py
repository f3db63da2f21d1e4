"""The state directory as the daemon's core uses it: held for life, and told of changes.

Commands beside the daemon change gateways under the gateway's own lock, and then leave an empty
file ``changed/<gateway>``, which the daemon removes before it runs a pass over that gateway. The
directory is watched by inotify, so a change is noticed at once, also across containers that share
the volume.

``schedule.json`` holds when each gateway that is in order is due next, and the stamp of what stood
on the disk for it (`lifecycle.stored_stamp`). It only saves work: a pass is run over whatever is
missing in it or has another stamp.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from gatecert.errors import StorageError
from gatecert.store import durable, lock
from gatecert.store.damaged_files import read_file
from gatecert.store.layout import PRIVATE_FILE, Layout, is_safe_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

logger = logging.getLogger(__name__)

FORMAT: Final = 1
LARGEST_SCHEDULE: Final = 64 << 20  # bytes; an entry has its name and some 100


@contextmanager
def hold_state_directory(directory: Path, command: str = "") -> Iterator[None]:
    """Hold a state directory as its only daemon, after removing temporary files.

    Args:
        directory: The state directory.
        command: The command that needs it without a daemon; empty for the daemon itself.

    Raises:
        DaemonRunningError: Another daemon holds it.
        StorageError: It cannot be used.
    """
    layout = Layout(directory.absolute())
    layout.make(layout.state)
    with lock.hold_state_directory(layout.lock, layout.state, command=command):
        durable.sweep(layout.records)
        durable.sweep(layout.revocation_lists)
        sweep_shared(layout)
        layout.make(layout.changed)
        yield


def sweep_shared(layout: Layout) -> None:
    """Remove temporary files of ended processes from the directories of all gateways."""
    durable.sweep(layout.state)
    durable.sweep(layout.challenges)
    durable.sweep(layout.rate_limit_usage)


def announce_change(directory: Path, gateway: str) -> None:
    """Tell a running daemon that another process has changed a gateway.

    If the file cannot be written, the signal SIGUSR1 makes the daemon look at every gateway.
    """
    layout = Layout(directory.absolute())
    with suppress(StorageError):
        daemon = lock.daemon_pid(layout.lock)
        if daemon is None:
            return
        try:
            with durable.step("create", layout.changed / gateway):
                flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
                os.close(os.open(layout.changed / gateway, flags, PRIVATE_FILE))
        except StorageError:
            with suppress(OSError):
                os.kill(daemon, signal.SIGUSR1)


def take_changes(directory: Path) -> list[str]:
    """Return the gateways that other processes have changed since the last call."""
    changed = Layout(directory.absolute()).changed
    try:
        names = os.listdir(changed)  # noqa: PTH208 - names only
    except OSError:
        return []
    taken = []
    for name in names:
        with suppress(OSError):  # whatever stays would be a change at every call
            (changed / name).unlink()
            taken.append(name)
    return [name for name in taken if is_safe_name(name)]


def write_schedule(directory: Path, entries: Mapping[str, tuple[float, str]]) -> None:
    """Write when each gateway is due.

    Args:
        directory: The state directory.
        entries: By gateway, seconds since the epoch and the stamp.
    """
    path = Layout(directory.absolute()).schedule
    data = json.dumps({"format": FORMAT, "gateways": entries}, separators=(",", ":")).encode()
    try:
        durable.write_file(path, data, mode=PRIVATE_FILE, sync=False)
    except StorageError as error:
        logger.debug("schedule not saved error=%s", error)


def read_schedule(directory: Path) -> dict[str, tuple[float, str]]:
    """Return what `write_schedule` wrote; empty if it is missing or damaged."""
    try:
        data = read_file(Layout(directory.absolute()).schedule, largest=LARGEST_SCHEDULE)
        content: Any = json.loads(data or b"")
    except (StorageError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return {}
    gateways = content.get("gateways")
    found = {}
    for name, entry in gateways.items() if isinstance(gateways, dict) else ():
        match entry:
            case [int() | float() as at, str() as stamp] if (
                not isinstance(at, bool) and abs(at) <= sys.float_info.max  # which NaN is not
            ):
                found[name] = (float(at), stamp)
    return found
