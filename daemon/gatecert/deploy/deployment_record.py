"""``deployment.json``: how far a deployment has come, on this host alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.model import Deployment
from gatecert.store.json_record import read_record, write_record
from gatecert.store.kept_files import KeptFiles

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class DeploymentRecord:
    """The record of one kind of content of one gateway; the file is read once.

    Args:
        path: The file.
        make_directory: Makes the directory of the file where it may be missing.
        kept: The records that this process has read.
    """

    def __init__(
        self,
        path: Path,
        make_directory: Callable[[], None] = lambda: None,
        kept: KeptFiles[Deployment] | None = None,
    ) -> None:
        self._path = path
        self._make_directory = make_directory
        self._files = kept or KeptFiles()
        self._value: Deployment | None = None
        self._is_read = False

    @property
    def value(self) -> Deployment | None:
        """The record; None if there is none, or it was damaged and set aside.

        Raises:
            StorageError: The file exists but cannot be read.
        """
        if not self._is_read:
            self._value = self._files.get(self._path, lambda: read_record(self._path, Deployment))
            self._is_read = True
        return self._value

    def save(self, deployment: Deployment) -> None:
        """Write the record.

        Raises:
            StorageError: It cannot be written.
        """
        self._make_directory()
        write_record(self._path, deployment)
        self._value, self._is_read = deployment, True
