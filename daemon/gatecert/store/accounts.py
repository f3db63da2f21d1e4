"""ACME accounts: ``accounts/<authority>/{key.pem,account.json,next-key.pem}``.

The key is what counts: an authority finds an account again by its key (RFC 8555 section 7.3.1).
``account.json`` therefore names the key it was written for; after a crash between the two writes,
or beside a key from elsewhere, the account's URL counts as unknown rather than belonging to the
wrong key.

``next-key.pem`` is there while the account's key is being changed (section 7.3.5): it is durable
before the authority hears of it, and goes only when it has become the account's key, so that
whichever of the two the authority knows is still here after a crash. The key of an account that was
given up is kept aside as ``key.pem.deactivated``.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatecert.model import Account
from gatecert.store import durable, json_record, pem_files
from gatecert.store.codec import DamagedRecordError
from gatecert.store.layout import PRIVATE_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.store.layout import Layout

logger = logging.getLogger(__name__)

NEXT_KEY = "next-key.pem"
RETIRED_KEY = "key.pem.deactivated"


@dataclass(frozen=True, slots=True)
class _AccountRecord:
    """What stands in ``account.json``.

    Attributes:
        key_sha256: Digest of ``key.pem``, to tell whether this record is about that key.
    """

    url: str
    directory_url: str
    contact: tuple[str, ...]
    key_sha256: str


class Accounts:
    """The accounts below one state directory."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._writing = threading.Lock()  # key and record of two writers may not mix

    def account(self, authority: str) -> Account | None:
        """The account, as far as it is known."""
        directory = self._layout.account(authority)
        private_key = _read_key(directory / "key.pem")
        if private_key is None:
            return None
        known = json_record.read_record(directory / "account.json", _AccountRecord)
        if known is None:
            return Account(private_key)
        if known.key_sha256 != _digest(private_key):
            logger.warning("account is of another key authority=%s read=key-only", authority)
            return Account(private_key)
        return Account(private_key, known.url, known.directory_url, known.contact)

    def save_account(self, authority: str, account: Account) -> None:
        """Keep an account; the key is durable before its URL is written."""
        directory = self._layout.account(authority)
        known = _AccountRecord(
            account.url, account.directory_url, account.contact, _digest(account.private_key)
        )
        with self._writing:
            self._layout.make(directory)
            durable.sweep(directory)
            key = directory / "key.pem"
            if _read_key(key) != account.private_key:
                durable.write_file(key, account.private_key, mode=PRIVATE_FILE)
            json_record.write_record(directory / "account.json", known)

    def next_key(self, authority: str) -> bytes | None:
        """The key that may have taken the place of the account's."""
        return _read_key(self._layout.account(authority) / NEXT_KEY)

    def save_next_key(self, authority: str, private_key: bytes) -> None:
        """Keep a key that is about to take the place of the account's."""
        directory = self._layout.account(authority)
        self._layout.make(directory)
        durable.write_file(directory / NEXT_KEY, private_key, mode=PRIVATE_FILE)

    def remove_next_key(self, authority: str) -> None:
        """Forget the key beside the account's."""
        directory = self._layout.account(authority)
        if directory.is_dir():
            durable.remove_file(directory / NEXT_KEY)

    def retire_account(self, authority: str) -> None:
        """Put an account that was given up out of the way."""
        directory = self._layout.account(authority)
        with self._writing:
            private_key = _read_key(directory / "key.pem")
            if private_key is None:
                return
            durable.write_file(directory / RETIRED_KEY, private_key, mode=PRIVATE_FILE)
            for name in ("key.pem", NEXT_KEY, "account.json"):
                durable.remove_file(directory / name)


def _read_key(path: Path) -> bytes | None:
    try:
        data = json_record.read_file(path)
    except DamagedRecordError as error:
        json_record.quarantine(path, str(error))
        return None
    if data is not None and not pem_files.has_private_key(data):
        json_record.quarantine(path, "it holds no private key")
        return None
    return data


def _digest(private_key: bytes) -> str:
    return hashlib.sha256(private_key).hexdigest()
