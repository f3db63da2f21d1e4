"""Challenge tokens and their key authorizations (RFC 8555 section 8.1).

Those of http-01 are ``challenges/<token>``, those of another type ``challenges/<type>.<token>``. No
token contains a dot, so a responder that looks for one type never finds a response of another.

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
from typing import TYPE_CHECKING

from gatecert.store import damaged_files, durable
from gatecert.store.damaged_files import DamagedRecordError
from gatecert.store.layout import PRIVATE_FILE, StateFiles
from gatecert.store.temporary_names import is_abandoned, process_mark

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.deadline import Deadline

ABANDONED_AFTER = 86_400.0  # seconds; longer than any validation

TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)  # short enough for a file name
EARLIER = "tls-alpn-01_"  # began the names of tls-alpn-01 before they had a dot


class TokenFiles(StateFiles):
    """The tokens that every responder of the state directory answers; see ``TokenStore``."""

    def put_token(self, kind: str, token: str, key_authorization: str) -> None:
        """Store the key authorization of a token."""
        if not TOKEN.fullmatch(token):
            raise ValueError("the CA sent a token that is not base64url")
        data = f"{key_authorization}\n{process_mark()}\n".encode("ascii")
        self._layout.make(self._layout.challenges)
        durable.write_file(self._token_path(kind, token), data, mode=PRIVATE_FILE, sync=False)

    def token(self, kind: str, token: str) -> str | None:
        """Return the key authorization of a token; None for unknown or malformed tokens."""
        if not TOKEN.fullmatch(token) or token.startswith(EARLIER):
            return None
        return self._read_token(self._token_path(kind, token))[0] or None

    def remove_token(self, kind: str, token: str) -> None:
        """Remove a token; unknown ones are no error."""
        if TOKEN.fullmatch(token):
            durable.remove_file(self._token_path(kind, token), sync=False)

    def wait_for_hosts(self, kind: str, token: str, deadline: Deadline) -> tuple[str, ...]:
        """Return at once: no other host shares this store."""
        del kind, token, deadline
        return ()

    def abandoned_tokens(self, kind: str) -> tuple[str, ...]:
        """Return the tokens of processes that have ended, in no order."""
        directory = self._layout.challenges
        if not directory.is_dir():
            return ()
        beginning = _file_name(kind, "")
        with durable.step("read", directory):
            found = [path for path in directory.iterdir() if path.name.startswith(beginning)]
        tokens = {path.name.removeprefix(beginning): path for path in found}
        return tuple(
            token
            for token, path in tokens.items()
            if TOKEN.fullmatch(token) and self._is_abandoned_token(path)
        )

    def _token_path(self, kind: str, token: str) -> Path:
        return self._layout.challenges / _file_name(kind, token)

    def _is_abandoned_token(self, path: Path) -> bool:
        try:
            written = path.lstat().st_mtime
        except FileNotFoundError:
            return False
        old = abs(time.time() - written) > ABANDONED_AFTER
        return old or is_abandoned(self._read_token(path)[1])

    def _read_token(self, path: Path) -> tuple[str, str]:
        """Return key authorization and process mark; empty if missing or damaged."""
        try:
            data = damaged_files.read_file(path) or b""
            key_authorization, _, mark = data.decode("ascii").partition("\n")
        except (DamagedRecordError, UnicodeDecodeError):
            return "", ""
        return key_authorization, mark.rstrip("\n")


def _file_name(kind: str, token: str) -> str:
    return token if kind == "http-01" else f"{kind}.{token}"
