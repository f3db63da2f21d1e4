"""Paths outside the state directory, walked so that no other user can lead gatecert elsewhere.

gatecert may have more rights than those who may write to a directory, above all as root. They can
put a symbolic link in the place of a subdirectory, or exchange two subdirectories, at any time. A
path is therefore opened from the root down, each directory relative to the one above (openat(2),
``O_NOFOLLOW``), and the last descriptor serves every call that follows.

- A symbolic link is followed only if nobody but root and gatecert's user can change it, for example
  ``/var/run``. Its target is walked in the same way.
- From the first directory of another user on, no link is followed: what that user can cause stays
  in that directory.
- Root refuses a directory that more users than its owner may write to, since they could put the
  directory of one service in the place of another's. Without root's rights, gatecert may write to
  such a directory only as one of those users. In sticky directories such as ``/tmp``, nobody can
  replace the entries of others.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from gatecert.errors import StorageError
from gatecert.store import durable
from gatecert.store.users_and_groups import (
    UNCHANGED,
    group_name,
    group_number,
    is_own_group,
    user_name,
    user_number,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_LINKS: Final = 40  # as in Linux: path_resolution(7)
LARGEST_FILE: Final = 1 << 24  # bytes; no configuration of a server is larger
_DIRECTORY: Final = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class RefusedPathError(StorageError):
    """A path on which other users could lead gatecert elsewhere."""


class Place(NamedTuple):
    """The name of a file in an open directory.

    Attributes:
        path: The file, without links; its last part is the name.
        directory: Descriptor of the directory.
        changeable_by: Who can put something there, apart from root and gatecert's user; empty for
            nobody.
    """

    path: Path
    directory: int
    changeable_by: str

    def status(self) -> os.stat_result | None:
        """Return the status of what lies there, a link itself; None if nothing does."""
        return _status(self.path.name, self.directory)

    def read(self) -> tuple[bytes, os.stat_result] | None:
        """Return the contents of the file and the status of the same file; None if there is none.

        Raises:
            StorageError: It cannot be read, for example because it is a link.
        """
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with durable.step("read", self.path):
            try:
                descriptor = os.open(self.path.name, flags, dir_fd=self.directory)
            except FileNotFoundError:
                return None
            with os.fdopen(descriptor, "rb") as file:
                data = file.read(LARGEST_FILE + 1)
                if len(data) > LARGEST_FILE:
                    raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
                return data, os.fstat(descriptor)


@contextmanager
def place(
    path: Path, *, follow_link: bool = False, make: int | None = None, group: str | None = None
) -> Iterator[Place]:
    """Walk to the place of a file.

    Args:
        path: The file.
        follow_link: Whether a symbolic link there leads to the place.
        make: Permission bits of missing directories, which are made; None to make none.
        group: Group of those; None for the default.

    Raises:
        RefusedPathError: Other users could lead gatecert elsewhere.
        StorageError: The directory cannot be reached or made.
    """
    with walk(path) as walking:
        yield walking.place(path, follow_link=follow_link, make=make, group=group)


def make_directory(
    directory: Path, *, mode: int, above: int, owner: str | None = None, shared: bool = False
) -> None:
    """Make a directory, and give it to a user even if it exists.

    Args:
        directory: The directory.
        mode: Permission bits of a new one.
        above: Permission bits of missing directories above it.
        owner: The user, and the group of that name; None to change nothing.
        shared: As for ``walk``.

    Raises:
        RefusedPathError: Other users could lead gatecert elsewhere.
        StorageError: It cannot be made or given.
    """
    with walk(directory, shared=shared) as walking:
        walking.follow(directory.parent, make=above)
        walking.follow(Path(directory.name), make=mode)
        if owner is not None:
            walking.change(owner=owner, group=owner)


def refusal(directory: Path, *, user: int, shared: bool = False) -> RefusedPathError | None:
    """Return why a user's gatecert refuses to write to a directory; None if it does not.

    Args:
        directory: The directory.
        user: The number of the user.
        shared: As for ``walk``.
    """
    try:
        with walk(directory, user=user, shared=shared) as walking:
            walking.follow(directory)
    except RefusedPathError as error:
        return error
    except StorageError:  # missing, or out of reach
        return None
    return None


@contextmanager
def walk(goal: Path, *, user: int | None = None, shared: bool = False) -> Iterator[Walk]:
    """Begin a walk.

    Args:
        goal: The file or directory that it leads to, for messages.
        user: The number of the user that writes; None for the user of this process.
        shared: Whether root, too, writes to directories that more users than their owner may write
            to, because no file there is worth protecting from them.
    """
    walking = Walk(goal, os.geteuid() if user is None else user, shared=shared)
    try:
        yield walking
    finally:
        walking.close()


class Walk:
    """A walk; see the module and ``walk``."""

    def __init__(self, goal: Path, user: int, *, shared: bool) -> None:
        self._goal = goal
        self._trusted = {0, user}
        self._refuses_shared = user == 0 and not shared
        self._links = 0
        self._here = -1
        self._shown = Path("/")
        self._changeable_by = ""
        self._is_sticky = False

    def close(self) -> None:
        """Close the directory."""
        if self._here >= 0:
            os.close(self._here)
            self._here = -1

    def follow(self, path: Path, *, make: int | None = None, group: str | None = None) -> None:
        """Enter a directory, absolute or relative to where the walk is; see ``place``."""
        with durable.step("reach", self._goal):
            self._descend(path, make=make, group=group)

    def place(
        self,
        path: Path,
        *,
        follow_link: bool = False,
        make: int | None = None,
        group: str | None = None,
    ) -> Place:
        """Walk to the place of a file; see ``place``. It is valid until the walk ends."""
        with durable.step("reach", self._goal):
            name = self._descend(path, to_file=True, follow=follow_link, make=make, group=group)
            if not name:
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        others = self._changeable_by or ("every user" if self._is_sticky else "")
        return Place(self._shown / name, self._here, others)

    def distrust(self, whom: str) -> None:
        """Follow no link from here on, since others may put one there in the future."""
        self._changeable_by = self._changeable_by or whom

    def change(
        self, *, mode: int | None = None, owner: str | None = None, group: str | None = None
    ) -> None:
        """Change the permission bits, the owner and the group of the directory.

        Raises:
            StorageError: That is not permitted, or there is no such user or group.
        """
        user, members = user_number(owner), group_number(group)
        with durable.step("change the owner of", self._shown):
            descriptor = os.open(".", os.O_RDONLY | _DIRECTORY, dir_fd=self._here)
            try:
                status = os.fstat(descriptor)
                if user not in {UNCHANGED, status.st_uid} or members not in {
                    UNCHANGED,
                    status.st_gid,
                }:
                    os.fchown(descriptor, user, members)
                if mode is not None:
                    os.fchmod(descriptor, mode)
            finally:
                os.close(descriptor)

    # ----------------------------------------------------------------- steps

    def _descend(
        self,
        path: Path,
        *,
        to_file: bool = False,
        follow: bool = True,
        make: int | None = None,
        group: str | None = None,
    ) -> str:
        """Enter every part of a path; with ``to_file``, all but the last, which is returned."""
        if path.is_absolute():
            self._begin()
        parts = deque(path.parts[1:] if path.is_absolute() else path.parts)
        while parts:
            name = parts.popleft()
            if name in {"", "."}:
                continue
            is_last = to_file and not parts
            if is_last and not follow:
                return name
            entry = _status(name, self._here)
            if entry is not None and stat.S_ISLNK(entry.st_mode):
                parts.extendleft(reversed(self._target(name, entry)))
            elif is_last:
                return name
            elif entry is None and make is not None:
                self._make(name, make, group)
            else:
                self._enter(name)
        return ""

    def _begin(self) -> None:
        """Go to the root directory."""
        self.close()
        self._shown, self._changeable_by = Path("/"), ""
        descriptor = os.open("/", os.O_RDONLY | _DIRECTORY)
        # Its owner can change every path: root, whom a user namespace may know as nobody.
        self._trusted.add(os.fstat(descriptor).st_uid)
        self._take(descriptor)

    def _enter(self, name: str) -> None:
        if name != "..":
            shown = self._shown / name
        elif not self._changeable_by:
            shown = self._shown.parent
        else:
            raise RefusedPathError(
                f"{self._shown} can be moved by {self._changeable_by}, so gatecert does not go "
                "from there to the directory above",
                fix="write the path without '..'",
            )
        try:
            descriptor = os.open(name, os.O_RDONLY | _DIRECTORY, dir_fd=self._here)
        except PermissionError:  # no list of it is needed; O_PATH alone would mount no autofs
            descriptor = os.open(name, os.O_PATH | _DIRECTORY, dir_fd=self._here)
        self.close()
        self._shown = shown
        self._take(descriptor)

    def _make(self, name: str, mode: int, group: str | None) -> None:
        try:
            os.mkdir(name, 0o700, dir_fd=self._here)
        except FileExistsError:  # another process made it
            self._enter(name)
            return
        durable.sync_directory(self._shown, self._here)
        self._enter(name)
        self.change(mode=mode, group=group)

    def _target(self, name: str, link: os.stat_result) -> list[str]:
        """Return the parts of a link's target, and go to the root if it begins there.

        Raises:
            RefusedPathError: Others can change the link.
        """
        who = self._changeable_by
        if self._is_sticky and link.st_uid not in self._trusted:
            who = who or f"user {user_name(link.st_uid)}"
        if who:
            raise RefusedPathError(
                f"{self._shown / name} is a symbolic link that {who} can change, so gatecert does "
                "not follow it",
                fix="put a directory or file in its place, or write the path that it leads to",
            )
        self._links += 1
        if self._links > MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = os.readlink(name, dir_fd=self._here)
        if target.startswith("/"):
            self._begin()
        return target.split("/")

    def _take(self, descriptor: int) -> None:
        """Take an open directory as the one where the walk is.

        Raises:
            RefusedPathError: Too many users may write to it.
        """
        self._here = descriptor
        status = os.fstat(descriptor)
        writers = _writers(status)
        if writers and self._refuses_shared:
            raise RefusedPathError(
                f"{self._shown} can be changed by {writers}, who could make gatecert replace other "
                "files",
                fix=f"chmod go-w {self._shown}",
            )
        if status.st_uid not in self._trusted:
            self.distrust(f"user {user_name(status.st_uid)}")
        self.distrust(writers)
        self._is_sticky = bool(status.st_mode & stat.S_ISVTX and status.st_mode & 0o022)


def _writers(status: os.stat_result) -> str:
    """Return who may replace every entry of a directory besides its owner; empty for nobody."""
    mode = status.st_mode
    if mode & stat.S_ISVTX:
        return ""
    if mode & stat.S_IWOTH:
        return "every user"
    if not mode & stat.S_IWGRP or is_own_group(status.st_uid, status.st_gid):
        return ""
    return f"group {group_name(status.st_gid)}"


def _status(name: str, directory: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
