"""Changing an account's key so that no crash loses the account (RFC 8555 section 7.3.5).

    the new key is durable → the authority is asked to change → the new key is the account's

Whoever comes after a crash finds both keys and asks the authority which one it knows (7.3.1): the
new one takes its place where it does; else the old one is still good, and the new one stays for
the next attempt. No key is thrown away that the authority might yet come to know.
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
"""Which key makes signatures of a JWS algorithm (RFC 7518 section 3.1), best first."""


def new_account_key(key_type: KeyType = KeyType.ECDSA_P256) -> bytes:
    """Make an account key, PEM."""
    return key.generate(key_type)


def accepted_key_type(algorithms: Collection[str], refused: KeyType) -> KeyType | None:
    """The type of key that an authority takes, by the algorithms that it names.

    Args:
        algorithms: What the authority says (RFC 8555 section 6.2).
        refused: The type of key that it has just refused.
    """
    found = (kind for name, kind in ALGORITHMS.items() if name in algorithms and kind != refused)
    return next(found, None)


class KeyChange:
    """The change of the key of our account with one authority.

    Args:
        name: The authority's name in the configuration.
        accounts: Where accounts are kept.
        client: The way to the authority.
        key_type: Of a new key.
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
    def is_under_way(self) -> bool:
        """Whether there is a key that may have become the account's."""
        return self._accounts.next_key(self._name) is not None

    def settle(self, account: Account, deadline: Deadline) -> Account:
        """The account with the key that the authority knows, after a change that was cut off.

        Raises:
            AuthorityError: The authority cannot be asked.
            StorageError: What it said cannot be kept.
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
        logger.info("change of the account key had gone through authority=%s", self._name)
        return self._adopt(replace(account, url=url), next_key)

    def change(self, account: Account, deadline: Deadline) -> Account:
        """Give the account another key.

        Args:
            account: As `settle` left it.
            deadline: When to give up.

        Raises:
            AuthorityError: The authority refuses, or it is not known whether it has changed the
                key; the next `settle` finds out.
            StorageError: The key cannot be kept; nothing was sent, or `settle` finds out.
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
            settled = self.settle(account, deadline)
            if settled.private_key != next_key:
                raise
            return settled
        logger.info("account key changed authority=%s url=%s", self._name, account.url)
        return self._adopt(account, next_key)

    def _adopt(self, account: Account, next_key: bytes) -> Account:
        account = replace(account, private_key=next_key)
        self._accounts.save_account(self._name, account)
        self._accounts.remove_next_key(self._name)
        return account
