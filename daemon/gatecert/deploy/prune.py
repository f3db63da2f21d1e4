"""Which versions may go.

The newest few stay. Whatever their age, these stay too: the live one; those that the caller needs,
the best one that is still valid above all; and the newest that an authority issued or an
administrator imported, however many bootstrap certificates came after it. A version that lost its
``meta.json`` may be such a one, so the newest of those stays as well.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gatecert.errors import StorageError
from gatecert.model import Origin

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gatecert.model import Version
    from gatecert.store.protocol import Store

logger = logging.getLogger(__name__)

TRUSTED = (Origin.AUTHORITY, Origin.IMPORTED)


def prune(
    store: Store, gateway: str, *, keep: int, live: str | None, needed: Collection[str] = ()
) -> None:
    """Delete the versions that nobody needs; failing at that is logged only.

    Args:
        store: Where they are.
        gateway: Whose.
        keep: How many stay, the live one included.
        live: Id of the version that ``live`` leads to.
        needed: Ids of further versions that stay.
    """
    try:
        for version in superfluous(store.versions(gateway), keep=keep, live=live, needed=needed):
            store.remove_version(version)
            logger.info("pruned gateway=%s version=%s", gateway, version.id)
    except StorageError as error:
        logger.warning("old versions stay gateway=%s error=%s", gateway, error)


def superfluous(
    versions: Sequence[Version], *, keep: int, live: str | None, needed: Collection[str] = ()
) -> tuple[Version, ...]:
    """Those of ``versions`` (newest first) that may go, by the rules above."""
    trusted = [version.id for version in versions if version.origin in TRUSTED]
    unknown = [version.id for version in versions if version.origin is None]
    kept = {live, *needed, *trusted[:1], *unknown[:1]} & {version.id for version in versions}
    for version in versions:
        if len(kept) >= keep:
            break
        kept.add(version.id)
    return tuple(version for version in versions if version.id not in kept)
