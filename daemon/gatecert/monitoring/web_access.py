"""TLS of a listener: a context that follows its files.

gatecert itself may renew the certificate of the listener, so the files are looked at before each
connection. If they cannot be used, the last context stays in force.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from gatecert.errors import CertificateError
from gatecert.http.server_context import server_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from gatecert.model import WebAccess

logger = logging.getLogger(__name__)

Stamp: TypeAlias = tuple[tuple[int, int, int, int] | None, ...]


class RenewedContext:
    """The TLS context of a listener.

    Args:
        access: Names the files; has a certificate.
        changed: Is called when a problem begins or ends.

    Attributes:
        problem: Why the files cannot be used, one line; empty if they can.
        fix: What to do about it.
    """

    def __init__(self, access: WebAccess, changed: Callable[[], None] = lambda: None) -> None:
        self.problem = ""
        self.fix = ""
        self._access = access
        self._changed = changed
        self._context: ssl.SSLContext | None = None
        self._stamp: Stamp | None = None

    def current(self) -> ssl.SSLContext | None:
        """Return the context for a new connection; None if there never was a usable one."""
        access = self._access
        paths = filter(None, (access.certificate, access.key, access.client_authorities))
        stamp = tuple(map(_stamp, paths))  # before reading, so that a later change is noticed
        if stamp == self._stamp and not self.problem:
            return self._context
        try:
            context = server_context(
                access.certificate,
                access.key,
                access.client_authorities,
                require_client=access.require_client,
                minimum_version=access.minimum_version,
            )
        except CertificateError as error:
            self._note(error.message, error.fix)
            return self._context
        if self._context is not None:
            logger.info("certificate of the listener read again file=%s", access.certificate)
        self._context, self._stamp = context, stamp
        self._note("", "")
        return context

    def _note(self, problem: str, fix: str) -> None:
        if problem == self.problem:
            return
        self.problem, self.fix = problem, fix
        self._changed()


def _stamp(path: str) -> tuple[int, int, int, int] | None:
    """Return what changes whenever a file is replaced or written; None without a file."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
