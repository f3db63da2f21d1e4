"""What the servers read: the ``live`` link of a gateway, and how far its deployment has come.

``live`` is a relative link to ``versions/<id>``. Swapping is one rename of it (rename(2)), so key
and certificate change in the same instant, and a crash leaves the old pair or the new one. All of
this is the host's alone: a pair of gateways that shares its versions has two ``live`` links.
"""

from __future__ import annotations

import logging
import math
import os
import time
from typing import TYPE_CHECKING, Final

from gatecert.deploy.copies import write_copies
from gatecert.model import Deployment
from gatecert.store import durable
from gatecert.store.json_record import quarantine, read_record, write_record

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.model import InstallPlan, Version

logger = logging.getLogger(__name__)

VERSIONS: Final = "versions"


class LiveDirectory:
    """The ``live`` link of one gateway and ``deployment.json`` beside it.

    Args:
        gateway_directory: ``STATE/gateways/<name>``, absolute.
    """

    def __init__(self, gateway_directory: Path) -> None:
        self._directory = gateway_directory

    @property
    def path(self) -> Path:
        """The link; what servers and reload commands are told."""
        return self._directory / "live"

    def current(self) -> str | None:
        """Id of the version that ``live`` leads to; None where it is missing or leads elsewhere."""
        try:
            destination = self._directory / self.path.readlink()
            leads_to_version = destination.parent == self._directory / VERSIONS
            return destination.name if leads_to_version and destination.is_dir() else None
        except OSError:  # missing, no link, or out of reach
            return None

    def install(self, plan: InstallPlan, version: Version, private_key: bytes) -> bool:
        """Let ``live`` lead to a version, and write the copies that servers insist on.

        Args:
            plan: Says which copies there are.
            version: Below the gateway's ``versions``.
            private_key: The version's, PEM.

        Returns:
            Whether anything had to be changed.

        Raises:
            StorageError: The link could not be changed; it and the copies are as they were.
            CopyError: The link was changed, but not every copy could be written.
        """
        swapped = self.swap(version)
        return write_copies(plan.copy_to, version, private_key) or swapped

    def swap(self, version: Version) -> bool:
        """Let ``live`` lead to a version, with one rename.

        Something else in its place is set aside, so that it can never stop a certificate.

        Returns:
            Whether it led elsewhere before.

        Raises:
            StorageError: It could not be done; the link is untouched.
        """
        before = self.current()
        if before == version.id:
            return False
        if os.path.lexists(self.path) and not self.path.is_symlink():
            quarantine(self.path, "it is not a link")
        _date_ahead(version)
        durable.replace_link(self.path, f"{VERSIONS}/{version.id}")
        logger.debug("swapped live=%s version=%s before=%s", self.path, version.id, before)
        return True

    def deployment(self) -> Deployment | None:
        """How far the deployment has come; None where it is not known, damaged files included.

        Raises:
            StorageError: The file is there but cannot be read.
        """
        return read_record(self._deployment_file, Deployment)

    def save_deployment(self, deployment: Deployment) -> None:
        """Remember how far the deployment has come.

        Raises:
            StorageError: It cannot be written.
        """
        write_record(self._deployment_file, deployment)

    @property
    def _deployment_file(self) -> Path:
        return self._directory / "deployment.json"


def _date_ahead(version: Version) -> None:
    """Give the files of a version a modification time in the next whole second.

    ocserv reads a file again only if it is newer, in whole seconds, than its last look. That look
    may have been within this very second, and a version that is put back is older than it.
    """
    next_second = math.floor(time.time()) + 1
    for path in version.directory.glob("*.pem"):
        try:
            os.utime(path, (next_second, next_second))
        except OSError as error:  # a server that does not compare times will read it all the same
            logger.debug("modification time kept path=%s %s", path, error)
