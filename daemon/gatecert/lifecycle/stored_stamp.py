"""A stamp of what stands on the disk for a gateway, to see after a restart whether it is the same.

It covers the settings, gatecert's version, and each file that gatecert keeps for the gateway by its
identity (mode, owner, inode, size, time of change), without reading any.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.model import Target

UNSTAMPED: Final = {"lock", "reload-wanted"}  # they change without consequences
LENGTH: Final = 20  # hexadecimal digits


def stored_stamp(directory: Path, target: Target, settings: str) -> str:
    """Return the stamp.

    Args:
        directory: ``STATE/gateways/<name>``, which may not exist yet.
        target: The gateway.
        settings: A digest of all settings that concern it.
    """
    paths = [directory / name for name in _names(directory) if name not in UNSTAMPED]
    live = directory / "live"
    paths += [live / name for name in _names(live)]
    paths += [directory / "client-ca" / name for name in _names(directory / "client-ca")]
    paths += [copy.path for copy in target.install.copy_to]
    found = "\n".join([settings, *(f"{path} {_identity(path)}" for path in paths)])
    return hashlib.sha256(found.encode(errors="surrogateescape")).hexdigest()[:LENGTH]


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))  # noqa: PTH208 - names only, and many of them
    except OSError:
        return []


def _identity(path: Path) -> str:
    try:
        status = os.lstat(path)
    except OSError:
        return "missing"
    owner = f"{status.st_uid} {status.st_gid}"
    return f"{status.st_mode} {owner} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
