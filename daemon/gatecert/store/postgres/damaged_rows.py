"""Rows that do not hold what they should: reported, and never taken for empty ones."""

from __future__ import annotations

from typing import Final

from gatecert.errors import EnrolmentDamagedError, StorageError

FIX: Final = "restore the row from a backup of the database"


def damaged(what: str, reason: str) -> StorageError:
    """Return the error of a damaged row.

    Args:
        what: What the row holds: "the state of gateway boston".
        reason: What is wrong with it, one line.
    """
    return StorageError(
        f"{what} in the fleet's database is damaged: {reason}; gatecert orders nothing with it",
        fix=FIX,
    )


def damaged_enrolment(gateway: str, reason: str) -> EnrolmentDamagedError:
    """Return the error of a damaged state, without which the gateway is served on.

    Args:
        gateway: Its name.
        reason: As for `damaged`.
    """
    return EnrolmentDamagedError(
        f"the state of gateway {gateway} in the fleet's database is damaged: {reason}; every host"
        " serves on, and none orders for it",
        fix=FIX,
    )
