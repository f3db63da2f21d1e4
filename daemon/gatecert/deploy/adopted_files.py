"""``adopted.json``: the files of another ACME client that a gateway's server may still read.

Written when the certificate is adopted. If the server later serves an old certificate, the
configuration files that name these files tell why.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.deploy.server_files import find_references
from gatecert.store.json_record import read_record, write_record

if TYPE_CHECKING:
    from gatecert.deploy.server_files import Reference

FILE_NAME: Final = "adopted.json"


@dataclass(frozen=True, slots=True)
class AdoptedFile:
    """A file of the other client.

    Attributes:
        path: The file.
        name: The file in ``live`` that takes its place.
    """

    path: str
    name: str


@dataclass(frozen=True, slots=True)
class AdoptedFiles:
    """The files of the other client.

    Attributes:
        client: Its name.
        files: Those that a server may read.
    """

    client: str
    files: tuple[AdoptedFile, ...] = ()

    def references(self, live: Path, etc: Path = Path("/etc")) -> tuple[Reference, ...]:
        """Return the lines of servers' configurations that name one of the files."""
        return find_references({Path(each.path): live / each.name for each in self.files}, etc)


def read_adopted_files(gateway_directory: Path) -> AdoptedFiles | None:
    """Return the record of a gateway; None if its certificate was not adopted.

    Raises:
        StorageError: It exists but cannot be read.
    """
    return read_record(gateway_directory / FILE_NAME, AdoptedFiles)


def save_adopted_files(gateway_directory: Path, adopted: AdoptedFiles) -> None:
    """Write the record of a gateway.

    Raises:
        StorageError: It cannot be written.
    """
    write_record(gateway_directory / FILE_NAME, adopted)
