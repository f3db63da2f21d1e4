"""Wishing for a reload that somebody with more rights carries out.

The daemon may not reload services, and need not: it leaves a file beside ``live``, a path unit of
systemd sees it (``gatecert-reload@NAME.path``), takes it away and reloads the one unit that root
has named. What is in the file is for people; nobody acts on it. The handshake afterwards tells
whether the wish was heard.

The wish stays until it is taken, so one that is made during a reload leads to another reload. It
need not outlive a power failure: servers read the certificate when they start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatecert.errors import ReloadError, StorageError
from gatecert.store import durable

if TYPE_CHECKING:
    from pathlib import Path

WISH: Final = "reload-wanted"


def request_reload(gateway_directory: Path, version: str) -> None:
    """Wish for the gateway to be reloaded.

    Args:
        gateway_directory: ``STATE/gateways/<name>``.
        version: Id of the version that ``live`` leads to.

    Raises:
        ReloadError: The wish cannot be written.
    """
    wish = gateway_directory / WISH
    try:
        durable.write_file(wish, f"{version}\n".encode(), mode=0o600, sync=False)
    except StorageError as error:
        raise ReloadError(error.message, fix=error.fix) from error
