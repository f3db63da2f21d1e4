"""Crash-safe writing: a crash at any instruction leaves the old or the new contents.

All files of gatecert are written by this module, those outside the state directory by a descriptor
of their directory (``directory_walk``). The rules, from rename(2), fsync(2) and the behaviour of
file systems on power loss:

- New contents go to a temporary name in the same directory (``O_EXCL``). The file gets its owner
  and its final mode regardless of the umask, is written and fsynced, and is then renamed.
- The directory is fsynced after the rename, because the rename itself may be lost before.
- A file is created with 0600, and its mode is extended after owner and group are set, so that a key
  is never readable for anybody else.
- A symbolic link at the target is replaced, never followed, unless something is appended.
- Appended data is fsynced. A crash may leave a part of it, which the next append cuts off.
- Temporary files (``.tmp-…``, ``.trash-…``) name their process; ``sweep`` removes those of ended
  processes. It is for the state directory only: elsewhere, such a name may be anybody's.

Every system call runs inside a named step. Tests set ``on_step``, which is called with name and
path before each step. An OSError that it raises counts as the failure of that step; a test that
ends the process in it shows the result of a crash at that point.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gatecert.errors import StorageError
from gatecert.store.storage_errors import storage_error
from gatecert.store.temporary_names import (
    is_leftover,
    leftover_beside,
    mark_abandoned,
    temporary_beside,
    trash_beside,
    unmark_abandoned,
)
from gatecert.store.users_and_groups import UNCHANGED, group_number, user_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

logger = logging.getLogger(__name__)


def _do_nothing(name: str, path: Path, /) -> None:
    """Do nothing before a step; tests replace this function."""


on_step: Callable[[str, Path], None] = _do_nothing


@contextmanager
def step(name: str, path: Path) -> Iterator[None]:
    """Run one system call as a step that tests can hook.

    Raises:
        StorageError: The call failed.
    """
    try:
        on_step(name, path)
        yield
    except OSError as error:
        raise storage_error(error, name, path) from error


# --------------------------------------------------------------------------- files


def write_file(  # noqa: PLR0913 - a file has a mode, an owner and a group
    path: Path,
    data: bytes,
    *,
    mode: int,
    owner: str | None = None,
    group: str | None = None,
    sync: bool = True,
    directory: int | None = None,
    alone: bool = False,
) -> None:
    """Write a file atomically and durably.

    Args:
        path: The file. Its directory exists.
        data: The whole contents.
        mode: Permission bits, regardless of the umask.
        owner: User name or number; None for the default.
        group: Group name or number; None for the default.
        sync: False if the file need not survive a power failure; it still appears complete.
        directory: Descriptor of the file's directory; None to find it by its path.
        alone: No other process writes this file now, so what an earlier one left is removed.

    Raises:
        StorageError: It could not be written; the previous file is unchanged.
    """
    temporary = leftover_beside(path) if alone else temporary_beside(path)
    if alone:
        _discard(temporary, directory)
    try:
        create_file(
            temporary, data, mode=mode, owner=owner, group=group, sync=sync, directory=directory
        )
        with step("replace", path):
            os.replace(
                _name(temporary, directory),
                _name(path, directory),
                src_dir_fd=directory,
                dst_dir_fd=directory,
            )
    except BaseException:
        _discard(temporary, directory)
        raise
    if sync:
        sync_directory(path.parent, directory)


def append_file(path: Path, data: bytes, *, end: int) -> None:
    """Append to an existing file durably.

    Args:
        path: The file.
        data: The data to append.
        end: The size of the file in bytes; more than that is the leftover of a crash.

    Raises:
        StorageError: It failed; the file is cut to its former size if that is possible.
    """
    with step("append to", path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_size > end:
            _cut(descriptor, end, path)
        try:
            write_all(descriptor, data, path)
            with step("sync", path):
                os.fdatasync(descriptor)
        except BaseException:
            with suppress(StorageError):
                _cut(descriptor, end, path)
            raise
    finally:
        os.close(descriptor)


def create_file(  # noqa: PLR0913 - a file has a mode, an owner and a group
    path: Path,
    data: bytes,
    *,
    mode: int,
    owner: str | None = None,
    group: str | None = None,
    sync: bool = True,
    directory: int | None = None,
) -> None:
    """Create a file under an unused name; see ``write_file`` for the arguments."""
    user, members = user_number(owner), group_number(group)
    with step("create", path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(_name(path, directory), flags, 0o600, dir_fd=directory)
    try:
        if (user, members) != (UNCHANGED, UNCHANGED):
            with (
                step("change the owner of", path),
                _tolerate_refused_no_op(descriptor, user, members),
            ):
                os.fchown(descriptor, user, members)
        with step("change the mode of", path):
            os.fchmod(descriptor, mode)
        write_all(descriptor, data, path)
        if sync:
            with step("sync", path):
                os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            os.close(descriptor)
        raise
    with step("close", path):
        os.close(descriptor)


def write_all(descriptor: int, data: bytes, path: Path) -> None:
    """Write data to an open file."""
    rest = memoryview(data)
    while rest:
        with step("write", path):
            rest = rest[os.write(descriptor, rest) :]


def remove_file(path: Path, *, sync: bool = True, directory: int | None = None) -> None:
    """Remove a file or link durably; a missing one is no error. See ``write_file``."""
    with step("remove", path):
        try:
            os.unlink(_name(path, directory), dir_fd=directory)
        except FileNotFoundError:
            return
    if sync:
        sync_directory(path.parent, directory)


def replace_link(link: Path, destination: str | Path) -> None:
    """Point the symbolic link ``link`` to ``destination``, with one rename.

    Raises:
        StorageError: It failed; the link is unchanged.
    """
    temporary = temporary_beside(link)
    try:
        with step("link", temporary):
            temporary.symlink_to(destination)
        with step("replace", link):
            temporary.replace(link)
    except BaseException:
        _discard(temporary)
        raise
    sync_directory(link.parent)


# --------------------------------------------------------------------------- directories


def is_directory(path: Path) -> bool:
    """Tell whether a directory exists.

    Raises:
        StorageError: It is unknown, for example without permission.
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise storage_error(error, "read", path) from error


def make_directory(path: Path, *, mode: int, group: str | None = None) -> None:
    """Create a directory and its missing parents; an existing one keeps its permissions.

    Raises:
        StorageError: It could not be created, or something else has its name.
    """
    if is_directory(path):
        return
    if not is_directory(path.parent):
        make_directory(path.parent, mode=mode, group=group)
    members = group_number(group)
    with step("create", path):
        try:
            path.mkdir(0o700)
        except FileExistsError:
            if is_directory(path):  # another thread created it
                return
            raise
    _own_directory(path, mode, members)
    sync_directory(path.parent)


def make_temporary_directory(final: Path, *, mode: int, group: str | None = None) -> Path:
    """Create an empty directory beside ``final``; ``publish_directory`` renames it."""
    members = group_number(group)
    temporary = temporary_beside(final)
    with step("create", temporary):
        temporary.mkdir(0o700)
    try:
        _own_directory(temporary, mode, members)
    except BaseException:
        _discard(temporary)
        raise
    return temporary


def publish_directory(temporary: Path, final: Path) -> None:
    """Fsync a directory with its files, then rename it to its final name.

    Raises:
        StorageError: It failed, or ``final`` already exists.
    """
    for entry in sorted(temporary.iterdir()):
        _sync(entry, os.O_RDONLY)
    sync_directory(temporary)
    with step("rename", final):
        temporary.rename(final)
    sync_directory(final.parent)


def write_directory(
    final: Path, files: Mapping[str, bytes], *, file_mode: int, mode: int, group: str | None = None
) -> None:
    """Write a directory with its files; it appears when it is complete and durable.

    Raises:
        StorageError: It could not be written; nothing appears.
    """
    temporary = make_temporary_directory(final, mode=mode, group=group)
    try:
        for name, data in files.items():
            create_file(temporary / name, data, mode=file_mode, group=group, sync=False)
        publish_directory(temporary, final)
    except BaseException:
        _discard(temporary)
        raise


def remove_tree(directory: Path) -> None:
    """Remove a directory: first rename it, then delete its contents.

    A missing directory is no error; ``sweep`` deletes contents that could not be deleted now.
    """
    trash = trash_beside(directory)
    with step("remove", directory):
        try:
            directory.rename(trash)
        except FileNotFoundError:
            return
    try:
        sync_directory(directory.parent)
    finally:
        _discard(trash)


def remove_leftover(path: Path, directory: int) -> None:
    """Remove what an interrupted ``write_file`` left under the one name that it uses there.

    Args:
        path: The file that it writes; no other process writes it now.
        directory: Descriptor of the file's directory.
    """
    _discard(leftover_beside(path), directory)


def sweep(directory: Path) -> None:
    """Remove the temporary files of ended processes; a failure is only logged."""
    try:
        leftovers = [entry for entry in directory.iterdir() if is_leftover(entry.name)]
    except OSError:
        return
    for leftover in leftovers:
        logger.info("removing leftover of a crash path=%s", leftover)
        _discard(leftover)


def subdirectories(directory: Path) -> list[Path]:
    """Return the directories in a directory, without links; empty if it is missing."""
    with step("read", directory):
        try:
            return [
                entry for entry in directory.iterdir() if entry.is_dir() and not entry.is_symlink()
            ]
        except (FileNotFoundError, NotADirectoryError):
            return []


def sync_directory(path: Path, directory: int | None = None) -> None:
    """Fsync a directory, by a descriptor of it if there is one."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY, directory)


def grant_group_access(directory: Path, group: str, *, give: bool) -> None:
    """Let the members of ``group`` traverse an existing directory.

    No other group loses access. If the directory does not become the group's, everybody may
    traverse it (``o+x``) but not list it; the files inside have their own permissions.

    Args:
        directory: The directory.
        group: Name or number.
        give: True if the directory may become the group's, unless another group already has access.

    Raises:
        StorageError: It could not be changed.
    """
    members = group_number(group)
    with step("open to its group", directory):
        status = directory.stat()
        mode = stat.S_IMODE(status.st_mode)
        if give and status.st_gid != members and not mode & stat.S_IRWXG:
            os.chown(directory, UNCHANGED, members)
            wanted = mode | 0o050
        elif status.st_gid == members:
            wanted = mode | 0o050
        else:
            wanted = mode | stat.S_IXOTH
        if wanted != mode:
            directory.chmod(wanted)


# --------------------------------------------------------------------------- below


def _name(path: Path, directory: int | None) -> str | Path:
    """Return what a system call relative to a descriptor gets as the path."""
    return path if directory is None else path.name


def _discard(path: Path, directory: int | None = None) -> None:
    """Remove a temporary file, link or directory; if that fails, ``sweep`` tries again."""
    try:
        with step("discard", path):
            if directory is not None:
                with suppress(FileNotFoundError):
                    os.stat(path.name, dir_fd=directory, follow_symlinks=False)  # as below
                    os.unlink(path.name, dir_fd=directory)
            elif path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif os.path.lexists(path):  # read-only file systems reject even this
                path.unlink(missing_ok=True)
    except StorageError as error:
        if directory is None:
            mark_abandoned(path)
        logger.warning("a temporary file stays behind: %s", error)
    else:
        unmark_abandoned(path)


def _cut(descriptor: int, end: int, path: Path) -> None:
    with step("cut", path):
        os.ftruncate(descriptor, end)


@contextmanager
def _tolerate_refused_no_op(file: int | Path, user: int, members: int) -> Iterator[None]:
    """Ignore a refused chown(2) that would change nothing: sandboxes refuse that as well."""
    try:
        yield
    except PermissionError:
        status = os.stat(file)  # noqa: PTH116 - a descriptor, too
        if user not in {UNCHANGED, status.st_uid} or members not in {UNCHANGED, status.st_gid}:
            raise


def _own_directory(path: Path, mode: int, members: int) -> None:
    if members != UNCHANGED:
        with step("change the group of", path), _tolerate_refused_no_op(path, UNCHANGED, members):
            os.chown(path, UNCHANGED, members)
    with step("change the mode of", path):
        path.chmod(mode)


def _sync(path: Path, flags: int, directory: int | None = None) -> None:
    with step("sync", path):
        name = path if directory is None else "."
        descriptor = os.open(name, flags | os.O_CLOEXEC, dir_fd=directory)
        try:
            os.fsync(descriptor)
        except OSError as error:
            # Some network and user-space file systems do not support fsync of directories.
            if error.errno not in {errno.EINVAL, errno.ENOTSUP} or not flags & os.O_DIRECTORY:
                raise
        finally:
            os.close(descriptor)
