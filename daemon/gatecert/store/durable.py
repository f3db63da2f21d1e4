"""Writing so that a crash at any instruction leaves the old or the new, never a mixture.

Everything that gatecert keeps on disk goes through this module; ``install`` uses it as well. The
rules, from rename(2), fsync(2) and what file systems do on power loss:

- New content gets a temporary name in the same directory (``O_EXCL``), there its owner and its
  final mode whatever the umask is, is written and fsynced, and only then renamed into place.
- The directory is fsynced after the rename: before that, the rename itself may be lost.
- A file is opened 0600 and widened after its owner and group are right, so that a key can at no
  instant be read by somebody it is not meant for.
- A link at the target's place is replaced, never followed.
- What a crash leaves behind has a name that tells which process made it (``.tmp-…``,
  ``.trash-…``); ``sweep`` removes what no living process works on any more.

Every system call runs inside a named step. ``on_step`` is the seam for tests: it is called with the
step's name and path just before each step; an OSError that it raises is treated as that step's
own failure, and a test that ends the process in it shows what a crash at that point leaves behind.
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
    """What runs before each step outside of tests."""


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
) -> None:
    """Put ``data`` at ``path``, at once and for good.

    Args:
        path: Where. Its directory exists.
        data: The whole content.
        mode: Permission bits, whatever the umask is.
        owner: User name or number; None leaves it to the system.
        group: Group name or number; None leaves it to the system.
        sync: False where the content need not outlive a power failure; it still appears whole.

    Raises:
        StorageError: It could not be written; what was at ``path`` is untouched.
    """
    temporary = temporary_beside(path)
    try:
        create_file(temporary, data, mode=mode, owner=owner, group=group, sync=sync)
        with step("replace", path):
            temporary.replace(path)
    except BaseException:
        _discard(temporary)
        raise
    if sync:
        sync_directory(path.parent)


def create_file(  # noqa: PLR0913 - a file has a mode, an owner and a group
    path: Path,
    data: bytes,
    *,
    mode: int,
    owner: str | None = None,
    group: str | None = None,
    sync: bool = True,
) -> None:
    """Write a file under a name that nobody reads yet; see ``write_file`` for the arguments."""
    user, members = user_number(owner), group_number(group)
    with step("create", path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    try:
        if (user, members) != (UNCHANGED, UNCHANGED):
            with (
                step("change the owner of", path),
                _tolerate_refused_no_op(descriptor, user, members),
            ):
                os.fchown(descriptor, user, members)
        with step("change the mode of", path):
            os.fchmod(descriptor, mode)
        _write_all(descriptor, data, path)
        if sync:
            with step("sync", path):
                os.fsync(descriptor)
    except BaseException:
        with suppress(OSError):
            os.close(descriptor)
        raise
    with step("close", path):
        os.close(descriptor)


def remove_file(path: Path, *, sync: bool = True) -> None:
    """Remove a file or link for good; a missing one is no error."""
    with step("remove", path):
        try:
            path.unlink()
        except FileNotFoundError:
            return
    if sync:
        sync_directory(path.parent)


def replace_link(link: Path, destination: str | Path) -> None:
    """Let the symbolic link ``link`` lead to ``destination``, with one rename.

    Raises:
        StorageError: It could not be done; the link is untouched.
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
    """Whether there is a directory; not being allowed to look is no "no".

    Raises:
        StorageError: It cannot be told.
    """
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise storage_error(error, "read", path) from error


def make_directory(path: Path, *, mode: int, group: str | None = None) -> None:
    """Make a directory, and those above it that are missing; one that exists is left as it is.

    Raises:
        StorageError: It could not be made, or something else is in its place.
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
            if is_directory(path):  # another thread was quicker
                return
            raise
    _own_directory(path, mode, members)
    sync_directory(path.parent)


def make_temporary_directory(final: Path, *, mode: int, group: str | None = None) -> Path:
    """An empty directory beside ``final``, which it is to become; see ``publish_directory``."""
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
    """Make a directory and the files in it durable, then give it its final name.

    Raises:
        StorageError: It could not be done, or ``final`` already exists.
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
    """Write a whole directory; it appears under its name only when it is complete and durable.

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
    """Remove a directory for good: its name goes with one rename, its content afterwards.

    A missing directory is no error; content that cannot be removed is left to ``sweep``.
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


def sweep(directory: Path) -> None:
    """Remove what crashed processes and failing disks left; failing at that is logged only."""
    try:
        leftovers = [entry for entry in directory.iterdir() if is_leftover(entry.name)]
    except OSError:
        return
    for leftover in leftovers:
        logger.info("removing what a crash left behind path=%s", leftover)
        _discard(leftover)


def subdirectories(directory: Path) -> list[Path]:
    """The directories in a directory, not those it is linked to; none where it is missing."""
    with step("read", directory):
        try:
            return [
                entry for entry in directory.iterdir() if entry.is_dir() and not entry.is_symlink()
            ]
        except (FileNotFoundError, NotADirectoryError):
            return []


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    _sync(directory, os.O_RDONLY | os.O_DIRECTORY)


def grant_group_access(directory: Path, group: str, *, give: bool) -> None:
    """Let the members of ``group`` pass through an existing directory.

    Nothing is taken from a group that could enter before. Where the directory cannot become the
    group's own, everybody may pass through it (``o+x``), but not list it: what lies inside guards
    itself.

    Args:
        directory: Which.
        group: Name or number.
        give: Whether the directory may become the group's own, if it is nobody else's yet.

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


def _discard(path: Path) -> None:
    """Remove a temporary file, link or directory; where that fails, ``sweep`` tries again."""
    try:
        with step("discard", path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif os.path.lexists(path):  # a read-only file system refuses even to remove nothing
                path.unlink(missing_ok=True)
    except StorageError as error:
        mark_abandoned(path)
        logger.warning("a temporary file stays behind: %s", error)
    else:
        unmark_abandoned(path)


def _write_all(descriptor: int, data: bytes, path: Path) -> None:
    rest = memoryview(data)
    while rest:
        with step("write", path):
            rest = rest[os.write(descriptor, rest) :]


@contextmanager
def _tolerate_refused_no_op(file: int | Path, user: int, members: int) -> Iterator[None]:
    """Let chown(2) be refused where nothing is to change: a sandbox refuses that as well."""
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


def _sync(path: Path, flags: int) -> None:
    with step("sync", path):
        descriptor = os.open(path, flags | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            # Some network and user-space file systems cannot sync a directory, and need not.
            if error.errno not in {errno.EINVAL, errno.ENOTSUP} or not flags & os.O_DIRECTORY:
                raise
        finally:
            os.close(descriptor)
