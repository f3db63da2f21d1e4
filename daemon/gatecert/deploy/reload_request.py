"""Request a reload that systemd carries out.

The daemon has no privilege to reload services. It writes a file beside ``live``; a path unit of
systemd (``gatecert-reload@NAME.path``) sees the file, removes it and reloads the one unit that
root has configured. The content of the file is for people only. The handshake that follows tells
whether the reload happened.

The file stays until systemd removes it, so a request during a reload leads to another reload. It
need not survive a power failure: servers read the certificate when they start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatecert.errors import ReloadError, StorageError
from gatecert.store import durable

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME: Final = "reload-wanted"


def request_reload(gateway_directory: Path, version: str) -> None:
    """Request a reload of the gateway.

    Args:
        gateway_directory: ``STATE/gateways/<name>``.
        version: Id of the version that ``live`` leads to.

    Raises:
        ReloadError: The file cannot be written.
    """
    path = gateway_directory / FILE_NAME
    try:
        durable.write_file(path, f"{version}\n".encode(), mode=0o600, sync=False)
    except StorageError as error:
        raise ReloadError(error.message, fix=error.fix) from error
