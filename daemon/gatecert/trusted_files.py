"""Rights of other users to change what gatecert acts on: configuration, programs and secrets.

A file is trusted if it belongs to root or to the user that uses it, and neither its group nor
others may write it; the group bits of a file with an access control list are the most that any of
its entries grants (acl(5)). For root the same holds for every directory and link on the way to it,
because a user who may write a directory may replace what is in it, unless the directory is sticky
(inode(7)).

The owner of ``/`` is trusted: in a user namespace, the root outside has another number. Files
mounted in a container may have any owner, so there only the bits of the file count, unless gatecert
runs as root.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert import container, regular_files

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

LARGEST_SECRET: Final = 64 << 10  # bytes
MOST_LINKS: Final = 40  # as in Linux; see path_resolution(7)
STAFF: Final = "staff"  # Debian lets this group write /usr/local (Debian Policy 9.1.2)

# Programs that run the first file among their arguments
_RUNNERS: Final = re.compile(
    r"(?:ba|da|a|k|z)?sh|busybox|python[0-9.]*|perl[0-9.]*|ruby[0-9.]*|node|php[0-9.]*"
    r"|env|sudo|doas|nice|ionice|setsid|timeout|flock|setpriv|runuser"
)


@dataclass(frozen=True, slots=True)
class Weakness:
    """A right by which another user can change a file.

    Attributes:
        what: ``is world-writable``, ``belongs to user alice`` …; it follows the name of the file.
        command: Mends it, with a path as its last argument.
        path: What the command is for: the file, or a directory or link on the way to it.
        of_file: Whether that is the file itself.
    """

    what: str
    command: str
    path: Path
    of_file: bool = True

    @property
    def fix(self) -> str:
        """The command, with its path."""
        return f"run {self.command} {self.path}"

    def __str__(self) -> str:
        return self.what if self.of_file else f"depends on {self.path}, which {self.what}"


class WeakFileError(PermissionError):
    """A file is not used, because somebody else may change it."""

    def __init__(self, path: Path, weakness: Weakness) -> None:
        self.what = f"{path} {weakness}"
        self.weakness = weakness
        super().__init__(errno.EPERM, self.what)

    @property
    def fix(self) -> str:
        """The fix for a secret, whose path no message repeats."""
        weakness = self.weakness
        return f"run {weakness.command} on it" if weakness.of_file else weakness.fix


def trusted_users(state_directory: Path | None = None) -> frozenset[int]:
    """Return the users who may own such files.

    Args:
        state_directory: If root runs a command, it becomes the owner of this directory.
    """
    effective = os.geteuid()
    users = {0, effective}
    with suppress(OSError):
        users.add(Path("/").stat().st_uid)
        if effective == 0 and state_directory is not None:
            users.add(state_directory.stat().st_uid)
    return frozenset(users)


def weakness(path: Path, users: Collection[int] | None = None) -> Weakness | None:
    """Return what lets somebody else change a file or directory; None also if it is missing.

    Args:
        path: The file or directory.
        users: The users who may own it; None for any.
    """
    try:
        if os.geteuid() != 0:
            return weakness_of(path, path.stat(), users)
        for entry, status, of_file in _way_to(path):
            found = weakness_of(entry, status, users, of_file=of_file)
            if found is not None:
                return found
    except (OSError, ValueError):
        return None
    return None


def weakness_of(
    path: Path,
    status: os.stat_result,
    users: Collection[int] | None = None,
    *,
    of_file: bool = True,
) -> Weakness | None:
    """Return what lets somebody else change one file, directory or link.

    Args:
        path: For messages.
        status: Its owner and mode.
        users: The users who may own it; None for any.
        of_file: Whether it is the file itself, and not on the way to it.
    """
    mode = status.st_mode
    is_sticky = stat.S_ISDIR(mode) and mode & stat.S_ISVTX and not of_file
    bits = 0 if stat.S_ISLNK(mode) or is_sticky else mode & (stat.S_IWGRP | stat.S_IWOTH)
    if bits & stat.S_IWOTH:
        return Weakness("is world-writable", "chmod go-w", path, of_file)
    if bits and not _is_debians(path, status):
        group = _name(grp.getgrgid, status.st_gid)
        return Weakness(f"is writable by group {group}", "chmod go-w", path, of_file)
    if users is not None and status.st_uid not in users and not _has_any_owner():
        user = _name(pwd.getpwuid, status.st_uid)
        command = "chown -h root" if stat.S_ISLNK(mode) else "chown root"
        return Weakness(f"belongs to user {user}", command, path, of_file)
    return None


def read_secret(path: Path, users: Collection[int] | None = None) -> bytes:
    """Return the contents of a secret file.

    Args:
        path: The file.
        users: The users who may own it.

    Raises:
        WeakFileError: Somebody else may change it.
        OSError: It cannot be read, or is no regular file of at most 64 KiB.
    """
    users = trusted_users() if users is None else users
    with regular_files.opened(path, follow_links=True) as descriptor:
        status = os.fstat(descriptor)
        found = weakness_of(path, status, users) or weakness(path, users)
        if found is not None:
            raise WeakFileError(path, found)
        return regular_files.read_on(descriptor, LARGEST_SECRET)


def check_command(argv: Sequence[str], users: Collection[int] | None = None) -> None:
    """Check the program of a command, and the script that it runs.

    Args:
        argv: The command; the program by its absolute path.
        users: The users who may own them.

    Raises:
        WeakFileError: Somebody else may change one of them.
    """
    users = trusted_users() if users is None else users
    for path in _programs(argv):
        found = weakness(path, users)
        if found is not None:
            raise WeakFileError(path, found)


def _programs(argv: Sequence[str]) -> Iterator[Path]:
    """Yield the program of a command, and the programs and scripts that it runs."""
    program = Path("/", argv[0])  # commands run in /
    yield program
    if not _RUNNERS.fullmatch(program.name):
        return
    for index, argument in enumerate(argv[1:], 1):
        if os.path.isfile(f"/{argument}"):  # noqa: PTH113 - false for any text, such as a script
            yield from _programs(argv[index:])
            return


def _way_to(path: Path) -> Iterator[tuple[Path, os.stat_result, bool]]:
    """Yield every directory and link on the way to a file, and the file, with their status.

    The last item of each is whether it is the file.
    """
    here, left, links = Path("/"), list(reversed(path.absolute().parts[1:])), 0
    yield here, here.stat(), not left
    while left:
        name = left.pop()
        if name == "..":
            here = here.parent
            continue
        entry = here / name
        status = entry.lstat()
        is_link = stat.S_ISLNK(status.st_mode)
        yield entry, status, not left and not is_link
        if not is_link:
            here = entry
            continue
        links += 1
        if links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = entry.readlink()
        if target.is_absolute():
            here = Path("/")
        left += reversed(target.parts[1:] if target.is_absolute() else target.parts)


def _has_any_owner() -> bool:
    """Tell whether the owner of a file says nothing: in a container, without root's rights."""
    return container.in_container and os.geteuid() != 0


def _is_debians(path: Path, status: os.stat_result) -> bool:
    """Tell whether this is a directory that Debian lets its group of administrators write."""
    return (
        stat.S_ISDIR(status.st_mode)
        and path.is_relative_to("/usr/local")
        and _name(grp.getgrgid, status.st_gid) == STAFF
    )


def _name(look_up: Callable[[int], Sequence[object]], number: int) -> str:
    try:
        return str(look_up(number)[0])
    except KeyError:
        return str(number)
