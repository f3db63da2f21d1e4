"""Challenge tokens and their key authorizations (RFC 8555 section 8.1): ``challenges/<token>``.

A token comes from the authority and becomes a file name, so its alphabet is checked before anything
else (base64url, RFC 8555 section 8.3; CVE-2026-40611 is what happens otherwise). Tokens are for
this moment only: they appear whole, but are not fsynced, because no order outlives a power failure
with its challenge half presented; it is presented again.

A file has two lines: the key authorization, and the mark of the process that presents it. Once that
is gone, the token is abandoned, and whoever put something up for it elsewhere can take that down.
A process number may come again, so a token of a certain age counts as abandoned whoever has it.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from gatecert.store import durable, json_record
from gatecert.store.codec import DamagedRecordError
from gatecert.store.layout import PRIVATE_FILE
from gatecert.store.temporary_names import is_abandoned, process_mark

if TYPE_CHECKING:
    from gatecert.store.layout import Layout

ABANDONED_AFTER = 86_400.0  # seconds; no validation takes as long

TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)  # a file name that is not too long


class Tokens:
    """The tokens that any responder on one state directory may answer with."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def put_token(self, token: str, key_authorization: str) -> None:
        """Keep a key authorization under its token."""
        if not TOKEN.fullmatch(token):
            raise ValueError("the authority's token is not base64url")
        data = f"{key_authorization}\n{process_mark()}\n".encode("ascii")
        self._layout.make(self._layout.challenges)
        path = self._layout.challenges / token
        durable.write_file(path, data, mode=PRIVATE_FILE, sync=False)

    def token(self, token: str) -> str | None:
        """The key authorization of a token; None for unknown or ill-formed tokens."""
        return self._read(token)[0] or None

    def remove_token(self, token: str) -> None:
        """Forget a token; unknown ones are no error."""
        if TOKEN.fullmatch(token):
            durable.remove_file(self._layout.challenges / token, sync=False)

    def abandoned_tokens(self) -> tuple[str, ...]:
        """Tokens of processes that are gone, in no order."""
        directory = self._layout.challenges
        if not directory.is_dir():
            return ()
        with durable.step("read", directory):
            names = [path.name for path in directory.iterdir()]
        return tuple(name for name in names if TOKEN.fullmatch(name) and self._is_abandoned(name))

    def sweep(self) -> None:
        """Remove files that a crash left half written."""
        durable.sweep(self._layout.challenges)

    def _is_abandoned(self, token: str) -> bool:
        try:
            written = (self._layout.challenges / token).lstat().st_mtime
        except FileNotFoundError:
            return False
        return abs(time.time() - written) > ABANDONED_AFTER or is_abandoned(self._read(token)[1])

    def _read(self, token: str) -> tuple[str, str]:
        """Key authorization and mark of a token; empty where there is none, or it is damaged."""
        if not TOKEN.fullmatch(token):
            return "", ""
        try:
            data = json_record.read_file(self._layout.challenges / token) or b""
            key_authorization, _, mark = data.decode("ascii").partition("\n")
        except (DamagedRecordError, UnicodeDecodeError):
            return "", ""
        return key_authorization, mark.rstrip("\n")
