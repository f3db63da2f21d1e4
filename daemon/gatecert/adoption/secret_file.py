"""Files for the secrets that a configuration names, beside the configuration file."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gatecert.store import durable
from gatecert.store.directory_walk import place
from gatecert.store.operator_files import NEW_DIRECTORY_MODE

if TYPE_CHECKING:
    from gatecert.store.drop_root import Owner


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret and its file.

    Attributes:
        value: The secret, without a line end.
    """

    path: Path
    value: str = field(repr=False)

    def write(self, owner: Owner | None) -> None:
        """Write the file, mode 0600, unless it has this content.

        Args:
            owner: The user of the daemon; None for the user of this process.

        Raises:
            StorageError: It cannot be written.
        """
        data = f"{self.value}\n".encode()
        with place(self.path, make=NEW_DIRECTORY_MODE) as found:
            status = found.status()
            known = found.read() if status and stat.S_ISREG(status.st_mode) else None
            if known is not None and known[0] == data:
                return
            durable.write_file(
                found.path,
                data,
                mode=0o600,
                owner=None if owner is None else str(owner.user),
                group=None if owner is None else str(owner.group),
                directory=found.directory,
            )
