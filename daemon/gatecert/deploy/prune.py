"""Delete versions that are no longer needed.

The newest few stay. These stay whatever their age: the live one; those that the caller needs, above
all the best one that is still valid; and the newest that an authority issued or an administrator
imported, however many self-signed ones came after it. A version without ``meta.json`` may be such
a one, so the newest of those stays as well.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from gatecert.errors import StorageError
from gatecert.model import Origin

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gatecert.deploy.inventory import Inventory
    from gatecert.model import Version
    from gatecert.store.protocol import Store

logger = logging.getLogger(__name__)

FROM_CA = (Origin.AUTHORITY, Origin.IMPORTED)


def prune(store: Store, inventory: Inventory, *, keep: int, needed: Collection[str]) -> Inventory:
    """Delete the versions that are not needed; a failure is only logged.

    Args:
        store: Where the versions are.
        inventory: The versions of a gateway.
        keep: How many stay at least.
        needed: Ids of versions that stay.

    Returns:
        What is left.
    """
    removed: set[str] = set()
    try:
        for version in superfluous(inventory.versions, keep=keep, needed=needed):
            store.remove_version(version)
            removed.add(version.id)
            logger.info("pruned gateway=%s version=%s", inventory.target.name, version.id)
    except StorageError as error:
        logger.warning("old versions stay gateway=%s error=%s", inventory.target.name, error)
    return replace(
        inventory,
        versions=tuple(each for each in inventory.versions if each.id not in removed),
        stored=tuple(each for each in inventory.stored if each.version.id not in removed),
    )


def superfluous(
    versions: Sequence[Version], *, keep: int, needed: Collection[str]
) -> tuple[Version, ...]:
    """Return those of ``versions`` (newest first) that may be deleted, by the rules above."""
    from_ca = [version.id for version in versions if version.origin in FROM_CA]
    unknown = [version.id for version in versions if version.origin is None]
    kept = {*needed, *from_ca[:1], *unknown[:1]} & {version.id for version in versions}
    for version in versions:
        if len(kept) >= keep:
            break
        kept.add(version.id)
    return tuple(version for version in versions if version.id not in kept)
