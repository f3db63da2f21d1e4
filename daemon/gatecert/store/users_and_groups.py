"""Users and groups by name or number."""

from __future__ import annotations

import grp
import os
import pwd

from gatecert.errors import StorageError

UNCHANGED = -1  # as in chown(2)


def current_user() -> str:
    """Return the name of the effective user, or its number if it has no name."""
    return user_name(os.geteuid())


def user_name(number: int) -> str:
    """Return the name of a user, or its number if it has no name (common in containers)."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group_name(number: int) -> str:
    """Return the name of a group, or its number if it has no name."""
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def is_own_group(user: int, group: int) -> bool:
    """Tell whether a group consists of one user, whose name it has (pam_umask(8), usergroups)."""
    name = user_name(user)
    try:
        entry = grp.getgrgid(group)
    except KeyError:
        return group == user
    return entry.gr_name == name and set(entry.gr_mem) <= {name}


def user_number(owner: str | None) -> int:
    """Return the number of a user given by name or number; ``UNCHANGED`` for None.

    Raises:
        StorageError: There is no such user.
    """
    if owner is None:
        return UNCHANGED
    if owner.isascii() and owner.isdigit():
        return int(owner)
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError as error:
        raise StorageError(
            f"there is no user {owner!r} on this host to own a file",
            fix="create the user, or correct the owner in the configuration; a number works too",
        ) from error


def group_number(group: str | None) -> int:
    """Return the number of a group given by name or number; ``UNCHANGED`` for None.

    Raises:
        StorageError: There is no such group.
    """
    if group is None:
        return UNCHANGED
    if group.isascii() and group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise StorageError(
            f"there is no group {group!r} on this host to share a file with",
            fix="create the group, or correct it in the configuration; a number works too",
        ) from error
