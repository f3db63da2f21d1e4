"""The bundle on disk: ``client-ca/{bundle.pem,previous.pem,deployment.json}``.

The server always reads ``bundle.pem``, so the file is replaced with one rename and never removed.
``previous.pem`` holds the previous bundle until a change is proven; a failed change is rolled back
to it, also after a crash. A roll back writes a new file, because a server that compares
modification times would not read an old one again.
"""

from __future__ import annotations

import logging
import math
import os
import time
from typing import TYPE_CHECKING, Final

from gatecert.client_ca import bundle as bundles
from gatecert.errors import CertificateError, StorageError
from gatecert.store import durable
from gatecert.store.damaged_files import DamagedRecordError, read_file
from gatecert.store.kept_files import KeptFiles
from gatecert.store.layout import (
    GROUP_DIRECTORY,
    GROUP_FILE,
    PRIVATE_DIRECTORY,
    PRIVATE_FILE,
)

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from gatecert.client_ca.bundle import Bundle

logger = logging.getLogger(__name__)

DIRECTORY: Final = "client-ca"


class BundleFiles:
    """The bundle of one gateway.

    Args:
        gateway_directory: ``STATE/gateways/<name>``, absolute.
        key_group: Group of the server, if it may read the files.
        kept: The bundles that this process has read.
    """

    def __init__(
        self,
        gateway_directory: Path,
        key_group: str | None = None,
        kept: KeptFiles[Bundle] | None = None,
    ) -> None:
        self._kept = kept or KeptFiles()
        self._directory = gateway_directory / DIRECTORY
        self._group = key_group

    @property
    def path(self) -> Path:
        """The file that the server reads."""
        return self._directory / "bundle.pem"

    @property
    def deployment_path(self) -> Path:
        """The file with the record of the deployment."""
        return self._directory / "deployment.json"

    def exists(self) -> bool:
        """Check if there is a bundle."""
        return self.path.is_file()

    def read(self) -> Bundle:
        """Return the bundle in place; an empty one if there is no file.

        Raises:
            StorageError: The file exists, but cannot be read or is damaged.
        """
        return self._kept.get(self.path, lambda: self._read(self.path)) or bundles.Bundle()

    def write(self, bundle: Bundle, *, now: datetime) -> None:
        """Replace the bundle with one rename.

        Raises:
            StorageError: It cannot be written; the previous file is unchanged.
        """
        self.make_directory()
        mode = PRIVATE_FILE if self._group is None else GROUP_FILE
        durable.write_file(self.path, bundle.to_pem(now=now), mode=mode, group=self._group)
        _date_ahead(self.path)

    def previous(self) -> Bundle | None:
        """Return the bundle to roll back to; None if no change is in progress.

        Raises:
            StorageError: The file exists, but cannot be read or is damaged.
        """
        return self._read(self._previous)

    def keep_previous(self, bundle: Bundle, *, now: datetime) -> None:
        """Write the bundle to roll back to."""
        self.make_directory()
        durable.write_file(self._previous, bundle.to_pem(now=now), mode=PRIVATE_FILE)

    def forget_previous(self) -> None:
        """Remove the previous bundle when a change is completed or rolled back."""
        durable.remove_file(self._previous)

    def make_directory(self) -> None:
        """Make the directory, and remove temporary files that a crash left in it."""
        mode = PRIVATE_DIRECTORY if self._group is None else GROUP_DIRECTORY
        durable.make_directory(self._directory, mode=mode, group=self._group)
        durable.sweep(self._directory)

    @property
    def _previous(self) -> Path:
        return self._directory / "previous.pem"

    def _read(self, path: Path) -> Bundle | None:
        try:
            data = read_file(path)
            return None if data is None else bundles.from_pem(data)
        except (DamagedRecordError, CertificateError) as error:
            reason = error.message if isinstance(error, CertificateError) else str(error)
            raise StorageError(
                f"{path} is damaged, so the client CAs cannot be read: {reason}",
                fix="restore the file, or remove it and add the client CAs again with gatecert"
                " client-ca add",
            ) from error


def _date_ahead(path: Path) -> None:
    """Set a file's modification time to the next whole second.

    ocserv compares whole seconds, and may have read the previous file in the current one.
    """
    next_second = math.floor(time.time()) + 1
    try:
        os.utime(path, (next_second, next_second))
    except OSError as error:  # matters only to servers that compare times
        logger.debug("modification time kept path=%s %s", path, error)
