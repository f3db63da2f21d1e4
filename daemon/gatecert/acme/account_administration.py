"""What an operator does with our account at an authority: look at it, change its key, give it up.

Nothing here makes an account. Whoever changes one holds the locks of all gateways that use it, so
that no order is under way with the old key meanwhile (``accounts`` of the command line sees to it).
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

LONGEST_URL = 1000

# RFC 8555 has no problem type for it; Boulder and Pebble say so in these words.
_DEACTIVATED = re.compile(r"\bdeactivated\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """What is known of our account at an authority.

    Attributes:
        authority: The authority's name in the configuration.
        url: Empty where there is no account, or only its key is known.
        status: What the authority says: ``valid``, ``deactivated``, ``revoked``; ``none`` where
            there is no account, ``unknown`` where it could not be asked.
        contact: URLs, as the authority has them; where it does not say, as it was told.
        key_fingerprint: SHA-256 of the public key's DER (SubjectPublicKeyInfo), hexadecimal.
        key_change_pending: Whether a change of the key was cut off and has not been settled.
        terms_of_service: URL of the authority's terms as they are now; empty where it has none.
        problem: Why it could not be asked, one line.
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
    """Our account with one authority, for the commands about it.

    Args:
        settings: The authority, as configured.
        accounts: Where accounts are kept.
        client: The way to the authority.
    """

    def __init__(self, settings: AuthoritySettings, accounts: AccountStore, client: Client) -> None:
        self._settings = settings
        self._accounts = accounts
        self._client = client
        self._change = KeyChange(settings.name, accounts, client, settings.account_key)

    def view(self, deadline: Deadline) -> AccountStatus:
        """What is known of the account; changes nothing, here or there.

        Raises:
            StorageError: What is kept cannot be read.
        """
        settings = self._settings
        account = self._accounts.account(settings.name)
        if account is None:
            return AccountStatus(settings.name, settings.directory_url)
        view = AccountStatus(
            authority=settings.name,
            directory_url=settings.directory_url,
            url=account.url if account.directory_url == settings.directory_url else "",
            status="unknown",
            contact=account.contact,
            key_fingerprint=_fingerprint(account.private_key),
            key_change_pending=self._change.is_under_way,
        )
        try:
            terms = self._client.directory(deadline).terms_of_service
            view = replace(view, terms_of_service=clean(terms, LONGEST_URL))
            seen = self._client.fetch_account(self._located(account, deadline), deadline)
        except AccountMissingError:
            return replace(view, url="", status="none")
        except AuthorityError as error:
            if _is_about_deactivation(error):
                return replace(view, status="deactivated")
            return replace(view, problem=error.message)
        return replace(view, status=seen.status, contact=seen.contact or view.contact)

    def change_key(self, deadline: Deadline) -> tuple[Account, bool]:
        """Give the account another key.

        Returns:
            The account with its new key, and whether a change that had been cut off was all that
            was left to finish.

        Raises:
            WrongUsageError: There is no account.
            AuthorityError: The authority refuses, or cannot be asked.
            StorageError: The new key cannot be kept.
        """
        account = self._kept()
        pending = self._change.is_under_way
        settled = self._change.settle(account, deadline)
        if pending and settled.private_key != account.private_key:
            return settled, True
        return self._change.change(self._located(settled, deadline), deadline), False

    def deactivate(self, deadline: Deadline) -> Account:
        """Give the account up, at the authority and here.

        Raises:
            WrongUsageError: There is no account.
            AuthorityError: The authority refuses, ignores the request, or cannot be asked.
            StorageError: It is given up there, and could not be put out of the way here.
        """
        account = self._kept()
        try:
            account = self._change.settle(account, deadline)
            account = self._located(account, deadline)
            seen = self._client.deactivate(account, deadline)
            if seen.status == VALID:
                raise AuthorityError(
                    f"{self._client.label} accepted the deactivation, but the account is still "
                    "valid; its key stays in use here",
                    fix=f"ask the operator of the CA to deactivate {account.url}",
                )
        except AccountMissingError:
            logger.info("the authority knows no such account authority=%s", self._settings.name)
        except ACMEError as error:
            if not _is_about_deactivation(error):
                raise
        self._accounts.retire_account(self._settings.name)
        logger.info("account given up authority=%s url=%s", self._settings.name, account.url)
        return account

    def _kept(self) -> Account:
        account = self._accounts.account(self._settings.name)
        if account is None:
            raise WrongUsageError(
                f"there is no account with {self._client.label}",
                fix="one is made with the first order",
            )
        return account

    def _located(self, account: Account, deadline: Deadline) -> Account:
        """The account with its URL, which the authority knows by the key (section 7.3.1)."""
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
