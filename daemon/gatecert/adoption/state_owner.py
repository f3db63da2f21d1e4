"""The user of the daemon, and the temporary change to that user for what it must own.

A command of root writes the state directory as its owner, and then the configuration as root again.
No other program runs meanwhile; all threads change together (credentials(7), NPTL).
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gatecert.errors import StateError
from gatecert.store.drop_root import Owner, owner_to_switch_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def owner_of(state_directory: Path) -> Owner | None:
    """Return the owner of the state directory if root has to become it; None otherwise."""
    try:
        status = state_directory.stat()
    except OSError:
        return None
    return owner_to_switch_to(status.st_uid, status.st_gid, effective_user=os.geteuid())


@contextmanager
def acting_as(owner: Owner | None) -> Iterator[None]:
    """Act as a user until the end; the real user stays root, to return.

    Raises:
        StateError: The system does not permit it.
    """
    if owner is None:
        yield
        return
    groups = os.getgroups()
    try:
        if owner.name:
            os.initgroups(owner.name, owner.group)
        else:
            os.setgroups([owner.group])
        os.setegid(owner.group)
        os.seteuid(owner.user)
    except OSError as error:
        raise StateError(
            f"cannot switch to user {owner}: {error.strerror}",
            fix=f"run this as that user, for example: sudo -u {owner.for_sudo} gatecert …",
        ) from error
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)
