"""Which files are not as closed as they have to be.

Keys are their owner's alone, or, where the gateway has a ``key_group``, that group's to read as
well (``store.layout``). Whatever else lies in the state directory may be changed by nobody but its
owner, because gatecert believes it; so it is with the configuration, which names commands to run.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from gatecert.doctor.facts import Exposure
from gatecert.store.users_and_groups import user_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

OTHERS: Final = stat.S_IRWXO
GROUP: Final = stat.S_IRWXG
WRITABLE: Final = stat.S_IWGRP | stat.S_IWOTH
KEYS: Final = {"privkey.pem", "second-privkey.pem", "key.pem"}


def exposures(
    configuration: Path, state_directory: Path, shared: Collection[str]
) -> tuple[Exposure, ...]:
    """Everything that is too open, or belongs to the wrong user.

    Args:
        configuration: The file.
        state_directory: What lies in it is looked at to the last file.
        shared: Gateways whose keys a group may read.
    """
    return (*_configuration(configuration), *_below(state_directory, shared))


def _configuration(path: Path) -> Iterator[Exposure]:
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if mode & WRITABLE:
        yield Exposure(path, f"has mode {stat.S_IMODE(mode):04o}", f"chmod go-w {path}")


def _below(state_directory: Path, shared: Collection[str]) -> Iterator[Exposure]:
    try:
        owner = state_directory.stat().st_uid
    except OSError:
        return
    for directory, directories, files in os.walk(state_directory):
        for name in (".", *sorted(files)):
            path = state_directory / directory / name
            yield from _entry(path, owner, _is_shared(path, state_directory, shared))
        directories.sort()


def _is_shared(path: Path, state_directory: Path, shared: Collection[str]) -> bool:
    match path.relative_to(state_directory).parts:
        case ("gateways", gateway, "versions", *_):
            return gateway in shared
        case _:
            return False


def _entry(path: Path, owner: int, is_shared: bool) -> Iterator[Exposure]:  # noqa: FBT001 - private
    try:
        status = path.lstat()
    except OSError:  # gone meanwhile
        return
    if stat.S_ISLNK(status.st_mode):
        return
    too_much = WRITABLE
    if path.name in KEYS:
        too_much = OTHERS | (stat.S_IWGRP if is_shared else GROUP)
    mode = stat.S_IMODE(status.st_mode)
    if mode & too_much:
        fix = f"chmod {mode & ~too_much:04o} {path}"
        yield Exposure(path, f"has mode {mode:04o}", fix)
    if status.st_uid != owner:
        right = user_name(owner)
        what = f"belongs to {user_name(status.st_uid)}"
        yield Exposure(path, what, f"chown {right} {path}", foreign=True)
