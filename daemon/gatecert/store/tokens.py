"""Challenge tokens and their key authorizations (RFC 8555 section 8.1): ``challenges/<token>``.

A token comes from the authority and becomes a file name, so its alphabet is checked before anything
else (base64url, RFC 8555 section 8.3; CVE-2026-40611 is what happens otherwise). Tokens are for
this moment only: they appear whole, but are not fsynced, because no order outlives a power failure
with its challenge half presented; it is presented again.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING

from gatecert.errors import StorageError
from gatecert.store import durable, record
from gatecert.store.codec import DamagedRecordError
from gatecert.store.layout import PRIVATE_FILE

if TYPE_CHECKING:
    from gatecert.store.layout import Layout

logger = logging.getLogger(__name__)

FORGOTTEN_AFTER = 7 * 86_400.0  # seconds; no authority keeps an authorization pending for longer

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}")


class Tokens:
    """The tokens that any responder on one state directory may answer with."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def put_token(self, token: str, key_authorization: str) -> None:
        """Keep a key authorization under its token."""
        if not _TOKEN.fullmatch(token):
            raise ValueError("the authority's token is not base64url")
        data = key_authorization.encode("ascii")
        self._layout.make(self._layout.challenges)
        path = self._layout.challenges / token
        durable.write_file(path, data, mode=PRIVATE_FILE, sync=False)

    def token(self, token: str) -> str | None:
        """The key authorization of a token; None for unknown or ill-formed tokens."""
        if not _TOKEN.fullmatch(token):
            return None
        try:
            data = record.read_file(self._layout.challenges / token)
            return data.decode("ascii") if data else None
        except (DamagedRecordError, UnicodeDecodeError):
            return None

    def remove_token(self, token: str) -> None:
        """Forget a token; unknown ones are no error."""
        if _TOKEN.fullmatch(token):
            durable.remove_file(self._layout.challenges / token, sync=False)

    def forget_old(self) -> None:
        """Remove what crashes left; failing at that is logged only."""
        directory = self._layout.challenges
        if not directory.is_dir():
            return
        durable.sweep(directory)
        too_old = time.time() - FORGOTTEN_AFTER
        try:
            for path in list(directory.iterdir()):
                if path.lstat().st_mtime < too_old and _TOKEN.fullmatch(path.name):
                    durable.remove_file(path, sync=False)
        except (OSError, StorageError) as error:
            logger.warning("old challenge tokens stay behind: %s", error)
