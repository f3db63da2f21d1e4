"""Notifications by Apprise: mail, chats and a hundred more services (extra ``notify``).

Apprise says only whether a service has accepted a message, and writes the reason to its log. From
there it gets into the error, without anything that is in the URL apart from its host.

Mails of the same message have the same Message-ID, so that a mailbox can drop one that was sent
again. Apprise makes a new one for each mail and has no setting for it, so this module replaces the
function that does.
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from gatecert.deadline import Deadline
from gatecert.errors import clean
from gatecert.monitoring.delivery_answer import CHECK_IT, Answer
from gatecert.monitoring.time_limit import TooLateError, at_most

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from apprise import Apprise, AppriseAsset

MISSING: Final = "the library Apprise is not installed"
INSTALL: Final = "pip install gatecert[notify]; the Debian package has it"
SHORTEST_SECRET: Final = 3  # characters
LONGEST_REASON: Final = 300
CLEANUP: Final = 1.0  # seconds, for what follows a time-out: the QUIT to a mail server hangs, too
# Of smtplib, socket and requests: nothing was sent, or the service said no
_UNSENT: Final = re.compile(
    r"\[Errno (?:-\d+|101|111|113)\]|\((?:4|5)\d\d, b|error=[34]\d\d|Authentication"
)
_SENT: Final = "Sent "  # of every service of Apprise, for each recipient


def notify(
    urls: Sequence[str],
    message: Mapping[str, object],
    done: Collection[str],
    accepted: Callable[[str], None],
    seconds: float,
) -> Answer:
    """Send the message to each URL that has not accepted it.

    Args:
        urls: Where to.
        message: What is sent.
        done: Digests of the URLs that have accepted it.
        accepted: Is told the digest of each other one that does, if only for one of its recipients.
        seconds: How long all of it may take. One that hangs takes its part of them at most.
    """
    try:
        import apprise  # noqa: PLC0415 - an extra
    except ImportError:
        return Answer(accepted=False, problem=MISSING, fix=INSTALL, refused=True)
    problems, unsent, deadline = [], True, Deadline.after(seconds)
    left = sum(digest_of(url, str(message["id"])) not in done for url in urls)
    _keep_message_id(str(message["id"]))
    for number, url in enumerate(urls, 1):
        digest = digest_of(url, str(message["id"]))
        if digest in done:
            unsent = False
            continue
        where = f"URL {number} ({_shown(url)})" if len(urls) > 1 else _shown(url)
        service, part = apprise.Apprise(asset=_asset()), deadline.remaining / left
        left -= 1
        with _log() as log:
            if not service.add(url):
                problems.append(f"{where} is not a URL that Apprise knows")
                continue
            is_told, reason = _notify(service, message, part)
            if is_told or any(line.startswith(_SENT) for line in log):
                accepted(digest)  # some of its recipients have it, and must not get it again
                unsent = False
            if not is_told:
                reason = reason or _reason(log, url)
                unsent = unsent and bool(_UNSENT.search(reason))
                problems.append(f"{where} did not accept it{': ' if reason else ''}{reason}")
    if not problems:
        return Answer(accepted=True)
    return Answer(accepted=False, problem=clean("; ".join(problems)), fix=FIX, refused=unsent)


FIX: Final = f"check the URL in the receiver's file; {CHECK_IT}"


def digest_of(url: str, identifier: str) -> str:
    """Return what a message remembers of a URL that has accepted it."""
    return hashlib.sha256(f"{identifier} {url}".encode()).hexdigest()[:16]


def _notify(service: Apprise, message: Mapping[str, object], seconds: float) -> tuple[bool, str]:
    """Send the message to one service; return whether it was accepted, or that it took too long."""
    from apprise import NotifyFormat, NotifyType  # noqa: PLC0415 - an extra

    kinds = {"critical": NotifyType.FAILURE, "warning": NotifyType.WARNING}
    try:
        with at_most(seconds, CLEANUP):
            is_told = service.notify(
                title=str(message["title"]),
                body=str(message["text"]),
                notify_type=kinds.get(str(message["severity"]), NotifyType.INFO),
                body_format=NotifyFormat.TEXT,
            )
    except TooLateError:
        return False, f"no answer within {math.ceil(seconds)} s"
    return bool(is_told), ""


def _asset() -> AppriseAsset:
    from apprise import AppriseAsset  # noqa: PLC0415 - an extra

    return AppriseAsset(
        app_id="gatecert",
        app_desc="gatecert",
        app_url="",
        async_mode=False,
        secure_logging=True,
        storage_mode="memory",
        pgp_autogen=False,
        pem_autogen=False,
    )


def _keep_message_id(identifier: str) -> None:
    """Give every mail the id of the message."""
    from apprise.plugins.email import base  # noqa: PLC0415 - an extra

    def make_msgid(idstring: str | None = None, domain: str | None = None) -> str:
        del idstring
        return f"<gatecert.{identifier}@{domain or 'localhost'}>"

    vars(base)["make_msgid"] = make_msgid


@contextmanager
def _log() -> Iterator[list[str]]:
    """Collect what Apprise writes to its log."""
    lines: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Collect(logging.DEBUG)
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)


def _reason(log: Sequence[str], url: str) -> str:
    """Return the last error in the log, without what is in the URL."""
    for mark in ("Exception:", "Failed to", "failed", "error"):
        found = [line for line in log if mark in line]
        if found:
            said = found[-1].partition("Exception:")[2] or found[-1]
            return redacted(clean(said, LONGEST_REASON), url)
    return ""


def redacted(text: str, url: str) -> str:
    """Return a text without any part of a URL but its scheme and host."""
    host = _host(url)
    pieces = re.split(r"[:/@?&=,#+;]+", url.partition("://")[2] or url)
    secrets = {part for one in pieces for part in (one, *re.split(r"[@:/ ]+", unquote(one)))}
    secrets |= {unquote(one) for one in pieces}
    longest_first = sorted(secrets - {host}, key=len, reverse=True)
    patterns = [re.escape(one) for one in longest_first if len(one) >= SHORTEST_SECRET]
    if not patterns:
        return text
    secret = re.compile("|".join(patterns), re.IGNORECASE)
    parts = text.split(host) if host else [text]
    return host.join(secret.sub("***", part) for part in parts)


def _shown(url: str) -> str:
    """Return the scheme of a URL, and the host of a mail server."""
    return f"{_scheme(url) or '?'}://{clean(_host(url), 255)}"


def _scheme(url: str) -> str:
    found = re.match(r"[A-Za-z][A-Za-z0-9]{0,19}(?=://)", url)
    return found[0] if found else ""


def _host(url: str) -> str:
    """Return the host of a mail server; that of other services may be a token."""
    if not _scheme(url).startswith("mailto"):
        return ""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
