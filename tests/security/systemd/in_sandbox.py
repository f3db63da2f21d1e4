"""Runs in place of a unit's program: prints what the unit's sandbox permits, as JSON.

The arguments are the port of a TCP listener of this host, and where to write.
"""

import json
import os
import pwd
import socket
import sys
import tempfile
from pathlib import Path

EVERYBODY = {"/run/lock", "/tmp", "/var/tmp"}  # noqa: S108 - everybody may write there
SKIPPED = {"proc", "sys", "dev"}


def writable(directory: Path, depth: int) -> list[str]:
    """Return the directories in which this process can create a file, without those below them."""
    if str(directory) in EVERYBODY:
        return []
    try:
        with tempfile.TemporaryFile(dir=directory):
            return [str(directory)]
    except OSError:
        pass
    try:
        below = [each for each in directory.iterdir() if each.is_dir() and not each.is_symlink()]
    except OSError:
        return []
    if depth == 0:
        return []
    return [
        found
        for each in sorted(below)
        if directory != Path("/") or each.name not in SKIPPED
        for found in writable(each, depth - 1)
    ]


def capabilities() -> str:
    """Return the effective capabilities, as a hexadecimal mask."""
    status = Path("/proc/self/status").read_text("ascii")
    return next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))


def connects(family: int, address: tuple[str, int] | str) -> bool:
    """Return whether a connection is possible."""
    try:
        with socket.socket(family) as channel:
            channel.settimeout(2)
            channel.connect(address)
    except OSError:
        return False
    return True


def main() -> None:
    """Try everything, and write the result."""
    port, result = sys.argv[1:]
    found = {
        "account": pwd.getpwuid(os.geteuid()).pw_name,
        "capabilities": int(capabilities(), 16),
        "writes": writable(Path("/"), 4),
        "network": connects(socket.AF_INET, ("127.0.0.1", int(port))),
        "manager": connects(socket.AF_UNIX, "/run/systemd/private"),
        "shell": os.access("/bin/sh", os.X_OK),
    }
    Path(result).write_text(json.dumps(found), "utf-8")


main()
