"""Failed system calls as errors for the operator.

Full disk, quota, read-only file system and permissions are reported separately, because each has
its own fix.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from gatecert import container
from gatecert.errors import StorageError, clean
from gatecert.store.users_and_groups import current_user, user_name

if TYPE_CHECKING:
    from pathlib import Path

LONGEST_PATH_SHOWN = 300
OWNERSHIP_STEPS = frozenset({"change the owner of", "change the group of", "open to its group"})

# True in the daemon, and in a command that root runs as the daemon's user: a refused file then has
# the wrong owner. Otherwise the command runs as the wrong user.
runs_as_daemon = False


def storage_error(error: OSError, doing: str, path: Path) -> StorageError:
    """Describe a failed system call for the operator.

    Args:
        error: The error of the operating system.
        doing: The attempted operation, as it follows "cannot": ``write``, ``read`` …
        path: The file or directory.
    """
    shown, folder = _shown(path), _shown(path.parent)
    user = current_user()
    able = "readable" if doing == "read" else "writable"
    not_permitted = (f"not {able} by user {user}", _remedy(user, path))
    if doing in OWNERSHIP_STEPS:
        not_permitted = (
            f"user {user} has no permission to change its owner or group",
            container.fix_for(
                host="join the group; in a unit, add SupplementaryGroups=GROUP and "
                "SystemCallFilter=@chown",
                container="add the group to the container (group_add in compose, "
                "supplementalGroups in Kubernetes)",
            ),
        )
    meanings = {
        errno.ENOSPC: ("disk full", f"free space or inodes on the file system of {folder}"),
        errno.EDQUOT: (f"the disk quota of user {user} is used up", "free space, or raise it"),
        errno.EROFS: (
            "read-only file system",
            container.fix_for(
                host=f"mount it writable; in a systemd unit, add ReadWritePaths={folder}",
                container=f"mount a volume at {folder}, writable",
            ),
        ),
        errno.EACCES: not_permitted,
        errno.EPERM: not_permitted,
        errno.EIO: ("input/output error", "the disk may be failing: see the kernel's log (dmesg)"),
        errno.EBUSY: (
            "it is a mount point",
            f"mount {folder} instead: a mounted file cannot be replaced",
        ),
        errno.ENOTDIR: (
            "a file is in the place of a directory",
            "set the path of a directory; for a container's volume, mount a directory",
        ),
        errno.ENXIO: ("no process reads from the pipe", "start the reader first"),
        errno.ENOENT: ("it does not exist", f"create {folder}"),
        errno.EMFILE: (
            "too many open files",
            container.fix_for(
                host="raise LimitNOFILE= in the unit, or ulimit -n",
                container="raise the container's limit (--ulimit nofile=1024)",
            ),
        ),
    }
    words = os.strerror(error.errno) if error.errno else clean(error.strerror or str(error))
    what, fix = meanings.get(error.errno or 0, (words or "it failed", f"check {shown}"))
    return StorageError(f"cannot {doing} {shown}: {what}", fix=fix)


def reason(error: StorageError) -> str:
    """Return the system's text for an error, where its path is known; otherwise its message."""
    cause = error.__cause__
    text = cause.strerror if isinstance(cause, OSError) else None
    return text or error.message


def _remedy(user: str, path: Path) -> str:
    """Return the fix for missing permissions."""
    folder = next((one for one in path.parents if _owner(one) is not None), path.parent)
    for one in (folder, path):
        owner = _owner(one)
        if owner is None or owner == os.geteuid():
            continue
        whose = user_name(owner)
        if runs_as_daemon:
            return (
                f"let user {user} own {_shown(one)}, which belongs to user {whose}, "
                "or run gatecert as its owner"
            )
        return container.fix_for(
            host=f"run it with sudo, or as user {whose}, who owns {_shown(one)}",
            container=f"run it as user {whose}, who owns {_shown(one)} "
            f"(docker exec --user {owner} CONTAINER …)",
        )
    return f"let user {user} own {_shown(folder)}, or run gatecert as its owner"


def _owner(path: Path) -> int | None:
    try:
        return path.lstat().st_uid
    except OSError:  # missing, or not accessible
        return None


def _shown(path: Path) -> str:
    return clean(str(path), LONGEST_PATH_SHOWN)
