"""Basic authentication (RFC 7617) against bcrypt hashes.

A hash takes 50 ms to 1 s, so it is computed in a thread, which ends with it: the loop stays free,
and no thread is left at idle. One hash is computed at a time, and few requests may wait, so guesses
cost at most one processor. A header that was right is remembered for the life of the process, as a
keyed digest: a scrape every 15 s costs nothing.

An unknown user costs as much as a known one, and all comparisons take the same time.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

MOST_WAITING: Final = 16  # requests whose password is being checked or is waiting for that
MOST_REMEMBERED: Final = 64  # headers; one user may write the same one in several ways
LONGEST_PASSWORD: Final = 72  # bytes; bcrypt ignores the rest
LOG_SECONDS: Final = 60.0  # between two lines about wrong passwords


class PasswordCheck:
    """Checks the ``Authorization`` header of requests.

    Args:
        users: bcrypt hash of the password, by name.
    """

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = {name.encode(): hashed.encode() for name, hashed in users.items()}
        self._stand_in = max(self._users.values(), key=_cost)
        self._digest_key = os.urandom(32)
        self._right: set[bytes] = set()
        self._checks: set[asyncio.Task[bool]] = set()
        self._turn = asyncio.Lock()
        self._logged_at = -LOG_SECONDS
        self._wrong = 0

    async def allows(self, header: str, peer: str) -> bool | None:
        """Check a header.

        Args:
            header: As received; empty if there was none.
            peer: The client, for the log.

        Returns:
            Whether it is right; None if so many wait that it is not checked.
        """
        digest = hashlib.blake2b(header.encode(), key=self._digest_key).digest()
        if digest in self._right:
            return True
        credentials = _credentials(header)
        if credentials is None:
            return False
        if len(self._checks) >= MOST_WAITING:
            return None
        check = asyncio.get_running_loop().create_task(self._check(*credentials, digest))
        self._checks.add(check)
        check.add_done_callback(self._checks.discard)
        right = await asyncio.shield(check)  # goes on without the client, and counts until then
        if not right:
            self._log(peer)
        return right

    async def close(self) -> None:
        """Wait for the check in progress, and drop the others."""
        checks = tuple(self._checks)
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)

    async def _check(self, user: bytes, password: bytes, digest: bytes) -> bool:
        async with self._turn:
            if digest in self._right:
                return True
            hashed = self._users.get(user)
            matches = await _matches(password[:LONGEST_PASSWORD], hashed or self._stand_in)
        if not matches or hashed is None:
            return False
        if len(self._right) >= MOST_REMEMBERED:
            self._right.clear()
        self._right.add(digest)
        return True

    def _log(self, peer: str) -> None:
        """Log wrong passwords, seldom; never the name, which may be the password."""
        self._wrong += 1
        now = time.monotonic()
        if now - self._logged_at >= LOG_SECONDS:
            logger.warning("wrong password client=%s attempts=%d", peer, self._wrong)
            self._logged_at, self._wrong = now, 0


def _cost(hashed: bytes) -> int:
    return int(hashed[4:6])


def _credentials(header: str) -> tuple[bytes, bytes] | None:
    """Return user and password of a header; None if it has none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (ValueError, binascii.Error):
        return None
    return (user, password) if colon else None


async def _matches(password: bytes, hashed: bytes) -> bool:
    """Compare a password with a hash, in a thread that ends with it."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[bool] = loop.create_future()

    def answer(*, matches: bool) -> None:
        if not result.done():
            result.set_result(matches)

    def compare() -> None:
        matches = False
        try:
            import bcrypt  # noqa: PLC0415 - an extra, for listeners with passwords only

            matches = bcrypt.checkpw(password, hashed)
        except Exception:
            logger.exception("password not checked")
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(lambda: answer(matches=matches))

    threading.Thread(target=compare, name="password", daemon=True).start()
    return await result
