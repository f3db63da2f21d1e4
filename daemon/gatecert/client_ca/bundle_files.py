"""The bundle on the disk: ``client-ca/{bundle.pem,previous.pem,deployment.json}``.

The server reads ``bundle.pem``, through this one path for ever, so the file is replaced with one
rename and never taken away. ``previous.pem`` is what it held before a change; it is there only
while the change is not proven, and is what a failed one goes back to, also after a crash. It is put
back as a new file: a server that compares times of modification would not read an old one again.
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
from gatecert.store.codec import DamagedRecordError
from gatecert.store.json_record import read_file
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
        key_group: Group that the server runs as, if it may read what gatecert keeps.
    """

    def __init__(self, gateway_directory: Path, key_group: str | None = None) -> None:
        self._directory = gateway_directory / DIRECTORY
        self._group = key_group

    @property
    def path(self) -> Path:
        """What the server is told to read."""
        return self._directory / "bundle.pem"

    @property
    def deployment_path(self) -> Path:
        """The record of the bundle's deployment."""
        return self._directory / "deployment.json"

    def exists(self) -> bool:
        """Whether there is something to read."""
        return self.path.is_file()

    def read(self) -> Bundle:
        """The authorities in force; none where there is no file.

        Raises:
            StorageError: The file is there, but cannot be read or understood.
        """
        return self._read(self.path) or bundles.Bundle()

    def write(self, bundle: Bundle, *, now: datetime) -> None:
        """Put a bundle where the server reads it, with one rename.

        Raises:
            StorageError: It cannot be written; what was there is untouched.
        """
        self.make_directory()
        mode = PRIVATE_FILE if self._group is None else GROUP_FILE
        durable.write_file(self.path, bundle.to_pem(now=now), mode=mode, group=self._group)
        _date_ahead(self.path)

    def previous(self) -> Bundle | None:
        """What to go back to; None where no change is under way.

        Raises:
            StorageError: It is there, but cannot be read or understood.
        """
        return self._read(self._previous)

    def keep_previous(self, bundle: Bundle, *, now: datetime) -> None:
        """Remember what to go back to."""
        self.make_directory()
        durable.write_file(self._previous, bundle.to_pem(now=now), mode=PRIVATE_FILE)

    def forget_previous(self) -> None:
        """The change is over, one way or the other."""
        durable.remove_file(self._previous)

    def make_directory(self) -> None:
        """Make the directory of the files, and remove what a crash left in it."""
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
            why = error.message if isinstance(error, CertificateError) else str(error)
            raise StorageError(
                f"{path} does not hold the authorities of user certificates any more: {why}",
                fix="put it right, or remove it and add the authorities again with gatecert"
                " client-ca add",
            ) from error


def _date_ahead(path: Path) -> None:
    """Give a file a modification time in the next whole second.

    ocserv compares whole seconds, and may have read the file before in this very one.
    """
    next_second = math.floor(time.time()) + 1
    try:
        os.utime(path, (next_second, next_second))
    except OSError as error:  # a server that does not compare times will read it all the same
        logger.debug("modification time kept path=%s %s", path, error)
