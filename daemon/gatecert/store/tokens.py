"""Challenge tokens and their key authorizations (RFC 8555 section 8.1): ``challenges/<token>``.

The CA chooses the token, and it becomes a file name, so its alphabet is checked first (base64url,
RFC 8555 section 8.3; CVE-2026-40611). Files appear complete but are not fsynced: after a power
failure the order is resumed and the challenge is presented again.

A file has two lines: the key authorization and the mark of the process that presents it. Once that
process has ended, the token is abandoned, and its response elsewhere can be cleaned up. Process ids
are reused, so a token older than a day counts as abandoned in any case.
"""

from __future__ import annotations

import re
import time

from gatecert.store import damaged_files, durable
from gatecert.store.damaged_files import DamagedRecordError
from gatecert.store.layout import PRIVATE_FILE, StateFiles
from gatecert.store.temporary_names import is_abandoned, process_mark

ABANDONED_AFTER = 86_400.0  # seconds; longer than any validation

TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)  # short enough for a file name


class TokenFiles(StateFiles):
    """The tokens that every responder of the state directory answers; see ``TokenStore``."""

    def put_token(self, token: str, key_authorization: str) -> None:
        """Store the key authorization of a token."""
        if not TOKEN.fullmatch(token):
            raise ValueError("the CA sent a token that is not base64url")
        data = f"{key_authorization}\n{process_mark()}\n".encode("ascii")
        self._layout.make(self._layout.challenges)
        path = self._layout.challenges / token
        durable.write_file(path, data, mode=PRIVATE_FILE, sync=False)

    def token(self, token: str) -> str | None:
        """Return the key authorization of a token; None for unknown or malformed tokens."""
        return self._read_token(token)[0] or None

    def remove_token(self, token: str) -> None:
        """Remove a token; unknown ones are no error."""
        if TOKEN.fullmatch(token):
            durable.remove_file(self._layout.challenges / token, sync=False)

    def abandoned_tokens(self) -> tuple[str, ...]:
        """Return the tokens of processes that have ended, in no order."""
        directory = self._layout.challenges
        if not directory.is_dir():
            return ()
        with durable.step("read", directory):
            names = [path.name for path in directory.iterdir()]
        return tuple(
            name for name in names if TOKEN.fullmatch(name) and self._is_abandoned_token(name)
        )

    def _is_abandoned_token(self, token: str) -> bool:
        try:
            written = (self._layout.challenges / token).lstat().st_mtime
        except FileNotFoundError:
            return False
        old = abs(time.time() - written) > ABANDONED_AFTER
        return old or is_abandoned(self._read_token(token)[1])

    def _read_token(self, token: str) -> tuple[str, str]:
        """Return key authorization and process mark; empty if missing or damaged."""
        if not TOKEN.fullmatch(token):
            return "", ""
        try:
            data = damaged_files.read_file(self._layout.challenges / token) or b""
            key_authorization, _, mark = data.decode("ascii").partition("\n")
        except (DamagedRecordError, UnicodeDecodeError):
            return "", ""
        return key_authorization, mark.rstrip("\n")
