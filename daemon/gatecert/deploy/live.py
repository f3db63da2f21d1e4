"""The ``live`` link of a gateway, which servers read.

``live`` is a relative link to ``versions/<id>``. One rename (rename(2)) swaps it, so key and
certificate change in the same instant, and a crash leaves the old pair or the new one. The link
belongs to this host alone: two hosts that share versions have a ``live`` link each.
"""

from __future__ import annotations

import logging
import math
import os
import time
from typing import TYPE_CHECKING, Final

from gatecert.deploy.copies import write_copies
from gatecert.store import durable
from gatecert.store.damaged_files import quarantine

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.model import InstallPlan, Version

logger = logging.getLogger(__name__)

VERSIONS: Final = "versions"


class LiveDirectory:
    """The ``live`` link of one gateway.

    Args:
        gateway_directory: ``STATE/gateways/<name>``, absolute.
    """

    def __init__(self, gateway_directory: Path) -> None:
        self._directory = gateway_directory

    @property
    def path(self) -> Path:
        """The link, as servers and reload commands get it."""
        return self._directory / "live"

    def current(self) -> str | None:
        """Return the id of the version that ``live`` leads to; None if it leads to none."""
        try:
            destination = self._directory / self.path.readlink()
            leads_to_version = destination.parent == self._directory / VERSIONS
            return destination.name if leads_to_version and destination.is_dir() else None
        except OSError:  # missing, no link, or out of reach
            return None

    def install(self, plan: InstallPlan, version: Version, private_key: bytes) -> bool:
        """Point ``live`` at a version and write the copies (``install.copy_to``).

        Args:
            plan: Names the copies.
            version: Below the gateway's ``versions``.
            private_key: The version's, PEM.

        Returns:
            Whether anything changed.

        Raises:
            StorageError: The link cannot be changed; it and the copies are unchanged.
            CopyError: The link is changed, but not every copy could be written.
        """
        swapped = self.swap(version)
        return write_copies(plan.copy_to, version, private_key) or swapped

    def swap(self, version: Version) -> bool:
        """Point ``live`` at a version, with one rename.

        Anything else in its place is set aside, so that it cannot block a certificate.

        Returns:
            Whether the link changed.

        Raises:
            StorageError: The link cannot be changed.
        """
        before = self.current()
        if before == version.id:
            return False
        if os.path.lexists(self.path) and not self.path.is_symlink():
            quarantine(self.path, "it is not a link")
        _date_ahead(self._directory / VERSIONS / version.id)
        durable.replace_link(self.path, f"{VERSIONS}/{version.id}")
        logger.debug("swapped live=%s version=%s before=%s", self.path, version.id, before)
        return True


def _date_ahead(version: Path) -> None:
    """Set the modification time of a version's files to the next whole second.

    ocserv reads a file again only if it is newer, in whole seconds, than its last read. That read
    may be in this second, and a version that is put back is older.
    """
    next_second = math.floor(time.time()) + 1
    for path in version.glob("*.pem"):
        try:
            os.utime(path, (next_second, next_second))
        except OSError as error:  # servers that do not compare times read it anyway
            logger.debug("modification time kept path=%s %s", path, error)
