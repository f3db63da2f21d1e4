"""Switching from root to the owner of the state directory, so that its files keep their owner.

A command that runs as root beside a daemon with its own user would create files that the daemon
cannot read. Before it uses the state directory, it therefore switches to the owner of the directory
for the rest of the process: it sets all three user and group ids and keeps, of root's capabilities
(capabilities(7)), only CAP_NET_BIND_SERVICE, if port 80 or 443 is needed.

The bounding set is unchanged and ``no_new_privs`` stays unset, so that a reload command can use
sudo, as in the daemon. Capabilities belong to a thread, so the switch must precede the start of
threads.

No suitable library is packaged everywhere: python-prctl and pyprctl need a compiler or are
unmaintained, and libcap is not installed by default. prctl(2) and capset(2) are in the C library
(glibc and musl) and are called through ctypes.
"""

from __future__ import annotations

import ctypes
import logging
import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from gatecert import container
from gatecert.errors import StateError
from gatecert.store.users_and_groups import user_name
from gatecert.system_calls import keep_memory_private

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

logger = logging.getLogger(__name__)

CAP_NET_BIND_SERVICE = 10  # linux/capability.h
PR_SET_KEEPCAPS = 8  # linux/prctl.h
PR_CAP_AMBIENT = 47  # linux/prctl.h
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522  # two sets of 32 bits each


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of the state directory.

    Attributes:
        name: Login name; empty if the number has none.
    """

    user: int
    group: int
    name: str

    @property
    def for_sudo(self) -> str:
        """The owner in the form of ``sudo -u``, which marks numbers."""
        return self.name or f"'#{self.user}'"

    def __str__(self) -> str:
        return self.name or str(self.user)


class Library(Protocol):
    """The C library, as ``ctypes.CDLL`` offers it."""

    def __getitem__(self, name: str, /) -> Callable[..., int]:
        """Return a function by its name."""
        ...


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Capabilities(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def drop_root_privileges(
    directory: Path, *, keep_bind: bool, for_children: bool = False
) -> Owner | None:
    """Switch from root to the owner of the state directory.

    Args:
        directory: The state directory. If it does not exist yet, nothing changes.
        keep_bind: Keep the capability to listen on ports below 1024.
        for_children: Whether programs that this process runs have it too.

    Returns:
        The new user of this process; None if nothing changed.

    Raises:
        StateError: The system does not permit it.
    """
    try:
        status = directory.stat()
    except OSError:
        return None
    owner = owner_to_switch_to(status.st_uid, status.st_gid, effective_user=os.geteuid())
    if owner is None:
        return None
    try:
        library = ctypes.CDLL(None, use_errno=True)
        switch_user(owner, keep_bind=keep_bind, for_children=for_children, library=library)
        keep_memory_private()
    except OSError as error:
        raise StateError(
            f"cannot switch to user {owner}, the owner of {directory}: {error.strerror or error}",
            fix="run this as that user, for example: "
            + container.fix_for(
                host=f"sudo -u {owner.for_sudo} gatecert …",
                container=f"docker exec --user {owner.user} CONTAINER gatecert …",
            ),
        ) from error
    logger.debug("switched to the owner of the state directory user=%s uid=%d", owner, owner.user)
    return owner


def owner_to_switch_to(user: int, group: int, *, effective_user: int) -> Owner | None:
    """Return the owner to switch to.

    Args:
        user: User number of the state directory.
        group: Group number of the state directory.
        effective_user: User number of this process.

    Returns:
        None if this is not root, or root owns the directory.
    """
    if effective_user != 0 or user == 0:
        return None
    name = user_name(user)
    return Owner(user, _group(user, group), "" if name == str(user) else name)


def _group(user: int, directory_group: int) -> int:
    """Return the directory's group (under systemd, the unit's); if it is root, the user's own."""
    if directory_group != 0:
        return directory_group
    try:
        return pwd.getpwuid(user).pw_gid
    except KeyError:
        return user


def switch_user(
    owner: Owner, *, keep_bind: bool, library: Library, for_children: bool = False
) -> None:
    """Switch to a user permanently: groups first, because only root may set them.

    Raises:
        OSError: The system does not permit it.
    """
    bind = 1 << CAP_NET_BIND_SERVICE if keep_bind else 0
    kept = _permitted(library) & bind
    if kept:
        call_library(library, "prctl", PR_SET_KEEPCAPS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    if owner.name:
        os.initgroups(owner.name, owner.group)
    else:
        os.setgroups([owner.group])
    os.setresgid(owner.group, owner.group, owner.group)
    os.setresuid(owner.user, owner.user, owner.user)
    if kept:
        call_library(library, "prctl", PR_SET_KEEPCAPS, *map(ctypes.c_ulong, (0, 0, 0, 0)))
    inherited = kept if for_children else 0
    sets = (_Capabilities * 2)(_Capabilities(kept, kept, inherited), _Capabilities(0, 0, 0))
    call_library(library, "capset", ctypes.byref(_header()), sets)
    if inherited:
        ambient = (PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0)
        call_library(library, "prctl", PR_CAP_AMBIENT, *map(ctypes.c_ulong, ambient))


def _permitted(library: Library) -> int:
    """Return the lower 32 permitted capabilities of this thread."""
    sets = (_Capabilities * 2)()
    call_library(library, "capget", ctypes.byref(_header()), sets)
    return int(sets[0].permitted)


def _header() -> _Header:
    return _Header(CAPABILITY_VERSION_3, 0)


def call_library(library: Library, name: str, *arguments: object) -> None:
    """Call a function of the C library.

    Raises:
        OSError: It failed.
    """
    if library[name](*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
