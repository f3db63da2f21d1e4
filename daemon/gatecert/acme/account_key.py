"""Account key change that no crash can turn into a lost account (RFC 8555 section 7.3.5).

    store the new key → ask the CA to change → replace the old key

After a crash, both keys are there, and the CA is asked which one it knows (7.3.1). If it knows the
new one, that replaces the old one; otherwise the old one is still valid and the new one stays for
the next attempt. No key is deleted that the CA may yet accept.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from gatecert.certificate import key
from gatecert.errors import AccountMissingError, ACMEError, StorageError
from gatecert.model import KeyType

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatecert.acme.client import Client
    from gatecert.deadline import Deadline
    from gatecert.model import Account
    from gatecert.store.protocol import AccountStore

logger = logging.getLogger(__name__)

_CONFLICT = 409


ALGORITHMS = {
    "ES256": KeyType.ECDSA_P256,
    "ES384": KeyType.ECDSA_P384,
    "RS256": KeyType.RSA_2048,
}
"""Key types by JWS algorithm (RFC 7518 section 3.1), best first."""


def new_account_key(key_type: KeyType = KeyType.ECDSA_P256) -> bytes:
    """Make an account key, PEM."""
    return key.generate(key_type)


def accepted_key_type(algorithms: Collection[str], refused: KeyType) -> KeyType | None:
    """Return a key type that the CA accepts; None if there is none.

    Args:
        algorithms: The algorithms in its error (RFC 8555 section 6.2).
        refused: The key type that it has just refused.
    """
    found = (kind for name, kind in ALGORITHMS.items() if name in algorithms and kind != refused)
    return next(found, None)


class KeyChange:
    """The key change of the account with one CA.

    Args:
        name: The CA's name in the configuration.
        accounts: Stores accounts.
        client: The CA's client.
        key_type: Type of a new key.
    """

    def __init__(
        self,
        name: str,
        accounts: AccountStore,
        client: Client,
        key_type: KeyType = KeyType.ECDSA_P256,
    ) -> None:
        self._name = name
        self._key_type = key_type
        self._accounts = accounts
        self._client = client

    @property
    def is_pending(self) -> bool:
        """True if there is a new key that the CA may have accepted."""
        return self._accounts.next_key(self._name) is not None

    def complete(self, account: Account, deadline: Deadline) -> Account:
        """Complete an interrupted key change; return the account with the key that the CA knows.

        Raises:
            AuthorityError: The CA cannot be asked.
            StorageError: The result cannot be stored.
        """
        next_key = self._accounts.next_key(self._name)
        if next_key is None:
            return account
        if next_key == account.private_key:
            self._accounts.remove_next_key(self._name)
            return account
        try:
            url = self._client.find_account(next_key, deadline)
        except AccountMissingError:
            return account
        if account.url and account.url != url:
            return account
        logger.info("interrupted account key change had succeeded authority=%s", self._name)
        return self._adopt(replace(account, url=url), next_key)

    def change(self, account: Account, deadline: Deadline) -> Account:
        """Change the account key.

        Args:
            account: The result of `complete`.
            deadline: When to give up.

        Raises:
            AuthorityError: The CA refuses, or the outcome is unknown; `complete` finds out.
            StorageError: The key cannot be stored; nothing was sent, or `complete` finds out.
        """
        next_key = self._accounts.next_key(self._name)
        if next_key is None:
            self._accounts.save_next_key(self._name, new_account_key(self._key_type))
            next_key = self._accounts.next_key(self._name)
        if next_key is None:
            raise StorageError(f"the new account key of {self._name} cannot be read back")
        try:
            self._client.change_key(account, next_key, deadline)
        except ACMEError as error:
            if error.status != _CONFLICT:
                raise
            completed = self.complete(account, deadline)
            if completed.private_key != next_key:
                raise
            return completed
        logger.info("account key changed authority=%s url=%s", self._name, account.url)
        return self._adopt(account, next_key)

    def _adopt(self, account: Account, next_key: bytes) -> Account:
        account = replace(account, private_key=next_key)
        self._accounts.save_account(self._name, account)
        self._accounts.remove_next_key(self._name)
        return account
