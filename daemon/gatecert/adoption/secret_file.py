"""Files for the secrets that a configuration names, beside the configuration file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gatecert.store import durable, operator_files

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
        if operator_files.read(self.path) == data:
            return
        durable.make_directory(self.path.parent, mode=operator_files.NEW_DIRECTORY_MODE)
        if owner is None:
            durable.write_file(self.path, data, mode=0o600)
        else:
            durable.write_file(
                self.path, data, mode=0o600, owner=str(owner.user), group=str(owner.group)
            )
