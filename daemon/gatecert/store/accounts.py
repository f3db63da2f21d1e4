"""ACME accounts: ``accounts/<authority>/{key.pem,account.json,next-key.pem}``.

The key is essential: a CA returns the account URL for a known key (RFC 8555 section 7.3.1).
``account.json`` holds the digest of the key it belongs to. After a crash between the two writes, or
beside another key, the account URL counts as unknown.

``next-key.pem`` exists during a key rollover (section 7.3.5). It is durable before the CA receives
the request and is removed when it has become the account key, so that a crash never loses the key
that the CA knows. The key of a deactivated account is kept as ``key.pem.deactivated``.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatecert.model import Account
from gatecert.store import damaged_files, durable, json_record, pem_files
from gatecert.store.damaged_files import DamagedRecordError
from gatecert.store.layout import PRIVATE_FILE, StateFiles

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

NEXT_KEY = "next-key.pem"
DEACTIVATED_KEY = "key.pem.deactivated"


@dataclass(frozen=True, slots=True)
class _AccountRecord:
    """The contents of ``account.json``.

    Attributes:
        key_sha256: Digest of the ``key.pem`` that the record belongs to.
    """

    url: str
    directory_url: str
    contact: tuple[str, ...]
    key_sha256: str


class AccountFiles(StateFiles):
    """The account store; see ``AccountStore``."""

    def __init__(self, state_directory: Path) -> None:
        super().__init__(state_directory)
        self._account_lock = threading.Lock()  # keeps key and record of two writers together

    def account(self, authority: str) -> Account | None:
        """Return the account, without its URL where that is unknown."""
        directory = self._layout.account(authority)
        private_key = _read_key(directory / "key.pem")
        if private_key is None:
            return None
        record = json_record.read_record(directory / "account.json", _AccountRecord)
        if record is None:
            return Account(private_key)
        if record.key_sha256 != _digest(private_key):
            logger.warning(
                "account.json belongs to another key authority=%s read=key-only", authority
            )
            return Account(private_key)
        return Account(private_key, record.url, record.directory_url, record.contact)

    def save_account(self, authority: str, account: Account) -> None:
        """Write an account; its key is durable before its URL is written."""
        directory = self._layout.account(authority)
        record = _AccountRecord(
            account.url, account.directory_url, account.contact, _digest(account.private_key)
        )
        with self._account_lock:
            self._layout.make(directory)
            durable.sweep(directory)
            key = directory / "key.pem"
            if _read_key(key) != account.private_key:
                durable.write_file(key, account.private_key, mode=PRIVATE_FILE)
            json_record.write_record(directory / "account.json", record)

    def next_key(self, authority: str) -> bytes | None:
        """Return the new key (PEM) of an unfinished rollover."""
        return _read_key(self._layout.account(authority) / NEXT_KEY)

    def save_next_key(self, authority: str, private_key: bytes) -> None:
        """Write the new key of a rollover durably."""
        directory = self._layout.account(authority)
        self._layout.make(directory)
        durable.write_file(directory / NEXT_KEY, private_key, mode=PRIVATE_FILE)

    def remove_next_key(self, authority: str) -> None:
        """Remove the new key of a rollover; none is no error."""
        directory = self._layout.account(authority)
        if directory.is_dir():
            durable.remove_file(directory / NEXT_KEY)

    def retire_account(self, authority: str) -> None:
        """Move a deactivated account aside; none is no error."""
        directory = self._layout.account(authority)
        with self._account_lock:
            private_key = _read_key(directory / "key.pem")
            if private_key is None:
                return
            durable.write_file(directory / DEACTIVATED_KEY, private_key, mode=PRIVATE_FILE)
            # The key last: as long as it is there, an interrupted retirement can be done again.
            for name in (NEXT_KEY, "account.json", "key.pem"):
                durable.remove_file(directory / name)


def _read_key(path: Path) -> bytes | None:
    try:
        data = damaged_files.read_file(path)
    except DamagedRecordError as error:
        damaged_files.quarantine(path, str(error))
        return None
    if data is not None and not pem_files.has_private_key(data):
        damaged_files.quarantine(path, "it holds no private key")
        return None
    return data


def _digest(private_key: bytes) -> str:
    return hashlib.sha256(private_key).hexdigest()
