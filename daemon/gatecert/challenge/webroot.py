"""http-01 responses as files below a web server's document root (RFC 8555 section 8.3).

A token is a file name here, so its alphabet is checked before anything else (CVE-2026-40611). The
files are for everybody to read; they appear whole, or not at all.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from gatecert.errors import ChallengeError

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

DIRECTORY = ".well-known/acme-challenge"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,255}")


def publish(webroot: Path, token: str, key_authorization: str) -> None:
    """Write a response where the web server finds it.

    Raises:
        ValueError: The token is not base64url text.
        ChallengeError: The file cannot be written.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("the authority's token is not base64url")
    directory = webroot / DIRECTORY
    partial = directory / f".{token}"
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        partial.write_bytes(key_authorization.encode("ascii"))
        partial.chmod(0o644)
        partial.replace(directory / token)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise ChallengeError(
            f"{directory}: the http-01 response cannot be written: {error.strerror}",
            fix="correct challenges.http-01.webroot, or let gatecert write there",
        ) from error


def withdraw(webroot: Path, token: str) -> None:
    """Remove a response; whatever goes wrong is only logged."""
    if not _TOKEN.fullmatch(token):
        return
    try:
        (webroot / DIRECTORY / token).unlink(missing_ok=True)
    except OSError as error:
        logger.warning("http-01 response stays behind token=%s reason=%s", token, error.strerror)
