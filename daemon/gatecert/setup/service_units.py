"""Settings of gatecert's own units for a gateway: directories, and the reload of the server.

Everything is a drop-in of a name of its own, written as ``systemctl edit`` would; what root has
written there already stays.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.challenge.webroot import DIRECTORY
from gatecert.deploy.reload_unit import ReloadUnit, read_reload_unit
from gatecert.errors import DeploymentError
from gatecert.setup.host_reader import SERVICE
from gatecert.setup.server_change import Run, run_command
from gatecert.store import operator_files
from gatecert.store.directory_walk import make_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

UNITS: Final = Path("/etc/systemd/system")
MODE: Final = 0o644
DIRECTORY_MODE: Final = 0o755
COPIES_MODE: Final = 0o700


class ServiceUnits:
    """Prepares gatecert's units for one gateway.

    Args:
        gateway: The gateway's name.
        user: The user that gatecert works as; empty for root.
        units: The directory of the units that root writes.
        run: Runs a command.
        read_reload: Reads the gateway's reload unit.
    """

    def __init__(
        self,
        gateway: str,
        user: str,
        *,
        units: Path = UNITS,
        run: Run = run_command,
        read_reload: Callable[[str], ReloadUnit | None] = read_reload_unit,
    ) -> None:
        self._gateway = gateway
        self._owner = user or None
        self._units = units
        self._run = run
        self._read_reload = read_reload
        self.has_changed_service = False

    def allow_writing(self, directories: Sequence[Path]) -> None:
        """Let the sandboxed service write to directories.

        Raises:
            GatecertError: It cannot be set up.
        """
        if not directories:
            return
        paths = " ".join(str(each).replace("%", "%%").replace(" ", "\\x20") for each in directories)
        path = self._units / f"{SERVICE}.d" / f"init-{self._gateway}.conf"
        if self._write(path, f"[Service]\nReadWritePaths={paths}\n"):
            self.has_changed_service = True
            self._systemctl("daemon-reload")

    def webroot_directory(self, webroot: Path) -> Path:
        """Create the directory of http-01 responses below a webroot, and return it.

        Raises:
            StorageError: It cannot be created.
        """
        directory = webroot / DIRECTORY
        make_directory(
            directory, mode=DIRECTORY_MODE, above=DIRECTORY_MODE, owner=self._owner, shared=True
        )
        return directory

    def copies_directory(self, directory: Path) -> Path:
        """Create the directory of copies, which nobody else can read, and return it.

        Raises:
            StorageError: It cannot be created.
        """
        make_directory(directory, mode=COPIES_MODE, above=DIRECTORY_MODE, owner=self._owner)
        return directory

    def enable_reload(self, units: Sequence[str]) -> None:
        """Let systemd reload units when gatecert has installed a certificate.

        Args:
            units: The server's units; those that root has named already stay.

        Raises:
            GatecertError: It cannot be set up.
        """
        known = self._read_reload(self._gateway)
        if known is None or not known.servers:
            directory = self._units / f"gatecert-reload@{self._gateway}.service.d"
            self._write(
                directory / "unit.conf", f'[Service]\nEnvironment="UNIT={" ".join(units)}"\n'
            )
            self._systemctl("daemon-reload")
        if known is None or not known.enabled or known.active_state != "active":
            self._systemctl("enable", "--now", f"gatecert-reload@{self._gateway}.path")

    def start(self, *, is_active: bool) -> None:
        """Start the service, or make it read the configuration again.

        Raises:
            GatecertError: It does not start, or refuses the configuration.
        """
        if not is_active:
            self._systemctl("enable", "--now", SERVICE)
        elif self.has_changed_service:
            self._systemctl("restart", SERVICE)
        else:
            self._systemctl("reload", SERVICE)

    def _write(self, path: Path, text: str) -> bool:
        """Write a drop-in; return False if it is there already."""
        before = operator_files.read(path)
        if before == text.encode():
            return False
        operator_files.replace(
            path, before, text.encode(), mode=MODE, directory_mode=DIRECTORY_MODE
        )
        return True

    def _systemctl(self, *arguments: str) -> None:
        ended = self._run(("systemctl", "--quiet", *arguments))
        if not ended.succeeded:
            raise DeploymentError(
                f"systemctl {' '.join(arguments)} failed: {ended.output}",
                fix="see journalctl -xe; run gatecert init again, and it goes on from here",
            )
