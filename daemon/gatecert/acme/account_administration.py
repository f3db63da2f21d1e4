"""Account commands of an operator: show an account, change its key, deactivate it.

Nothing here creates an account. A caller that changes one holds the locks of all gateways that use
it (``accounts`` of the command line does), so that no order is in progress with the old key.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatecert.acme.account_key import KeyChange
from gatecert.acme.resources import VALID
from gatecert.errors import (
    AccountMissingError,
    ACMEError,
    AuthorityError,
    WrongUsageError,
    clean,
)

if TYPE_CHECKING:
    from gatecert.acme.client import Client
    from gatecert.config.schema.authority import AuthoritySettings
    from gatecert.deadline import Deadline
    from gatecert.model import Account
    from gatecert.store.protocol import AccountStore

logger = logging.getLogger(__name__)

MAX_URL = 1000

# RFC 8555 has no problem type for a deactivated account; Boulder and Pebble use this word.
_DEACTIVATED = re.compile(r"\bdeactivated\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """The account with one CA, as `gatecert account show` reports it.

    Attributes:
        authority: The CA's name in the configuration.
        url: Empty if there is no account, or only its key is known.
        status: The CA's ``valid``, ``deactivated`` or ``revoked``; ``none`` if there is no account,
            ``unknown`` if the CA could not be asked.
        contact: URLs as the CA has them; if it omits them, as last sent.
        key_fingerprint: SHA-256 of the public key's DER (SubjectPublicKeyInfo), hexadecimal.
        key_change_pending: True if a key change was interrupted and not completed.
        terms_of_service: URL of the CA's current terms; empty if it has none.
        problem: Why the CA could not be asked, one line.
    """

    authority: str
    directory_url: str
    url: str = ""
    status: str = "none"
    contact: tuple[str, ...] = ()
    key_fingerprint: str = ""
    key_change_pending: bool = False
    terms_of_service: str = ""
    problem: str = ""


class AccountAdministration:
    """The account commands for one CA.

    Args:
        settings: The CA's configuration.
        accounts: Stores accounts.
        client: The CA's client.
    """

    def __init__(self, settings: AuthoritySettings, accounts: AccountStore, client: Client) -> None:
        self._settings = settings
        self._accounts = accounts
        self._client = client
        self._change = KeyChange(settings.name, accounts, client, settings.account_key)

    def status(self, deadline: Deadline) -> AccountStatus:
        """Report the account; change nothing, locally or at the CA.

        Raises:
            StorageError: The stored account cannot be read.
        """
        settings = self._settings
        account = self._accounts.account(settings.name)
        if account is None:
            return AccountStatus(settings.name, settings.directory_url)
        status = AccountStatus(
            authority=settings.name,
            directory_url=settings.directory_url,
            url=account.url if account.directory_url == settings.directory_url else "",
            status="unknown",
            contact=account.contact,
            key_fingerprint=_fingerprint(account.private_key),
            key_change_pending=self._change.is_pending,
        )
        try:
            terms = self._client.directory(deadline).terms_of_service
            status = replace(status, terms_of_service=clean(terms, MAX_URL))
            fetched = self._client.fetch_account(self._located(account, deadline), deadline)
        except AccountMissingError:
            return replace(status, url="", status="none")
        except AuthorityError as error:
            if _is_about_deactivation(error):
                return replace(status, status="deactivated")
            return replace(status, problem=error.message)
        return replace(status, status=fetched.status, contact=fetched.contact or status.contact)

    def change_key(self, deadline: Deadline) -> tuple[Account, bool]:
        """Change the account key.

        Returns:
            The account with its new key, and True if this only completed an interrupted change.

        Raises:
            WrongUsageError: There is no account.
            AuthorityError: The CA refuses, or cannot be asked.
            StorageError: The new key cannot be stored.
        """
        account = self._stored()
        pending = self._change.is_pending
        completed = self._change.complete(account, deadline)
        if pending and completed.private_key != account.private_key:
            return completed, True
        return self._change.change(self._located(completed, deadline), deadline), False

    def deactivate(self, deadline: Deadline) -> Account:
        """Deactivate the account at the CA and retire it locally.

        Raises:
            WrongUsageError: There is no account.
            AuthorityError: The CA refuses, ignores the request, or cannot be asked.
            StorageError: The CA deactivated it, but it could not be retired locally.
        """
        account = self._stored()
        try:
            account = self._change.complete(account, deadline)
            account = self._located(account, deadline)
            fetched = self._client.deactivate(account, deadline)
            if fetched.status == VALID:
                raise AuthorityError(
                    f"{self._client.label} accepted the deactivation, but the account is still "
                    "valid; gatecert goes on using it",
                    fix=f"ask the operator of the CA to deactivate {account.url}",
                )
        except AccountMissingError:
            logger.info("account unknown to the CA authority=%s", self._settings.name)
        except ACMEError as error:
            if not _is_about_deactivation(error):
                raise
        self._accounts.retire_account(self._settings.name)
        logger.info("account deactivated authority=%s url=%s", self._settings.name, account.url)
        return account

    def _stored(self) -> Account:
        account = self._accounts.account(self._settings.name)
        if account is None:
            raise WrongUsageError(
                f"there is no account with {self._client.label}",
                fix="the first order creates one",
            )
        return account

    def _located(self, account: Account, deadline: Deadline) -> Account:
        """Return the account with its URL, which the CA finds by the key (section 7.3.1)."""
        if account.url and account.directory_url == self._settings.directory_url:
            return account
        url = self._client.find_account(account.private_key, deadline)
        return replace(account, url=url, directory_url=self._settings.directory_url)


def _is_about_deactivation(error: AuthorityError) -> bool:
    return isinstance(error, ACMEError) and _DEACTIVATED.search(error.detail) is not None


def _fingerprint(private_key: bytes) -> str:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only when shown

    public = serialization.load_pem_private_key(private_key, None).public_key()
    der = public.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(der).hexdigest()
