"""The ACME account with one CA (RFC 8555 section 7.3): created once, found again when lost.

- The key is on the disk before the CA sees it, so that no account is ever lost.
- The key identifies the account. If ``account.json`` is lost or damaged, the CA is asked for the
  key's account before another one is created: CAs limit new accounts, and some accept an external
  account binding only once.
- Threads and processes create an account one at a time, so that a key for an external account
  binding is never used twice.
- Nothing is created unless the operator has agreed to the terms of service.
- Contact addresses are sent again when the configuration changes. They are optional: if the CA
  refuses them, or cannot be reached, the account is created or used without.
- An interrupted key change is completed first (``account_key``).
"""

from __future__ import annotations

import logging
import re
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gatecert.acme.account_key import KeyChange, accepted_key_type, new_account_key
from gatecert.acme.directory_check import binding_refusal, terms_refusal
from gatecert.certificate.key import kind, load
from gatecert.errors import (
    AccountMissingError,
    ACMEError,
    AuthorityError,
    AuthorityServerError,
    InterruptedOrderError,
    RateLimitedError,
    UserActionRequiredError,
)
from gatecert.model import Account
from gatecert.trusted_files import WeakFileError, read_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatecert.acme.budget import Budget
    from gatecert.acme.client import Client
    from gatecert.acme.resources import Directory
    from gatecert.config.schema.authority import AuthoritySettings, ExternalAccountSettings
    from gatecert.deadline import Deadline
    from gatecert.store.protocol import AccountStore

logger = logging.getLogger(__name__)

MAIL = "mailto:"

# RFC 8555 section 7.3.4 defines none; CAs return these for a binding they refuse.
BINDING_REFUSED = {
    "badSignatureAlgorithm",
    "externalAccountRequired",
    "malformed",
    "unauthorized",
}

CONTACT_REFUSED = {"invalidContact", "unsupportedContact"}

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class AccountRegistrar:
    """Finds, creates and updates the account with one CA; one thread at a time.

    Args:
        settings: The CA's configuration.
        accounts: Stores accounts.
        client: The CA's client.
    """

    def __init__(self, settings: AuthoritySettings, accounts: AccountStore, client: Client) -> None:
        self._settings = settings
        self._accounts = accounts
        self._client = client
        self._lock = threading.Lock()
        self._key_change = KeyChange(settings.name, accounts, client, settings.account_key)
        self._unknown: set[str] = set()

    def ensure_account(self, deadline: Deadline, budget: Budget) -> Account:
        """Return the account to order with; create it if there is none.

        Raises:
            RateLimitBudgetError: A new account would exceed a rate limit now.
            TermsNotAgreedError: A new account needs agreement to the terms of service.
            AuthorityError: The CA cannot be reached, or refuses.
            StorageError: The account cannot be stored; nothing was created.
        """
        with self._lock:
            account = self._accounts.account(self._settings.name)
            if account is not None:
                account = self._key_change.complete(account, deadline)
            if account is None or not self._is_usable(account):
                account = self._register(account, deadline, budget)
            return self._with_current_contact(account, deadline)

    def find(self, deadline: Deadline) -> Account | None:
        """Return the existing account; None if there is none.

        Raises:
            AuthorityError: The CA cannot be asked for the key's account.
            StorageError: The stored account cannot be read.
        """
        with self._lock:
            account = self._accounts.account(self._settings.name)
            if account is not None:
                account = self._key_change.complete(account, deadline)
            if account is None or self._is_usable(account):
                return account
            try:
                url = self._client.find_account(account.private_key, deadline)
            except ACMEError as error:
                if error.problem_type not in {"accountDoesNotExist", "unauthorized"}:
                    raise
                return None
            return replace(account, url=url, directory_url=self._settings.directory_url)

    def mark_unknown(self, account: Account) -> None:
        """Note that the CA no longer knows this account; `ensure_account` keeps only its key."""
        with self._lock:
            self._unknown.add(account.url)

    def _is_usable(self, account: Account) -> bool:
        if not account.url.startswith("https://"):  # stored by an older version as a relative URL
            return False
        same_directory = account.directory_url == self._settings.directory_url
        return same_directory and account.url not in self._unknown

    def _register(self, stored: Account | None, deadline: Deadline, budget: Budget) -> Account:
        try:
            return self._register_key(stored, deadline, budget)
        except ACMEError as error:
            # A key that never had an account may be replaced.
            if error.problem_type != "badSignatureAlgorithm" or (stored and stored.url):
                raise
            stored_now = self._accounts.account(self._settings.name)
            refused = kind(load(stored_now.private_key)) if stored_now else None
            key_type = accepted_key_type(error.algorithms, refused or self._settings.account_key)
            if key_type is None:
                raise
            logger.warning(
                "account key replaced authority=%s type=%s %s",
                self._settings.name,
                key_type,
                error.message,
            )
            self._accounts.save_account(self._settings.name, Account(new_account_key(key_type)))
        return self._register_key(self._accounts.account(self._settings.name), deadline, budget)

    def _register_key(self, stored: Account | None, deadline: Deadline, budget: Budget) -> Account:
        contact = self._contact()
        if stored is None:
            key = self._new_key()
            url = self._create(key, contact, deadline, budget)
        else:
            key = stored.private_key
            try:
                url = self._client.find_account(key, deadline)
                logger.info("account found again authority=%s url=%s", self._settings.name, url)
                contact = stored.contact
            except AccountMissingError:
                url = self._create(key, contact, deadline, budget)
            except ACMEError as error:
                # A CA without account look-up returns the existing account for a newAccount.
                if (
                    self._settings.external_account is not None
                    or isinstance(error, RateLimitedError | UserActionRequiredError)
                    or error.problem_type == "badSignatureAlgorithm"
                ):
                    raise
                logger.info("account not found authority=%s %s", self._settings.name, error)
                url = self._create(key, contact, deadline, budget)
        account = Account(key, url, self._settings.directory_url, contact)
        self._accounts.save_account(self._settings.name, account)
        self._unknown.discard(url)
        return account

    def _new_key(self) -> bytes:
        """Return a durable key; another process that stored one first wins."""
        key = new_account_key(self._settings.account_key)
        self._accounts.save_account(self._settings.name, Account(key))
        stored_now = self._accounts.account(self._settings.name)
        return stored_now.private_key if stored_now is not None else key

    def _create(
        self, key: bytes, contact: Sequence[str], deadline: Deadline, budget: Budget
    ) -> str:
        directory = self._client.directory(deadline)
        self._require_terms(directory)
        binding = self._binding(directory, key, deadline)
        budget.account()
        try:
            url = self._new_account(key, contact, deadline, binding)
        except (ACMEError, AuthorityServerError) as error:
            if binding is not None and _may_refuse_binding(error):
                error.fix = (
                    f"compare key_id, hmac_key_file and algorithm below {self._where} with what "
                    f"the CA gave you; a key that works only once may have been used"
                )
            raise
        logger.info("account created authority=%s url=%s", self._settings.name, url)
        return url

    def _new_account(
        self,
        key: bytes,
        contact: Sequence[str],
        deadline: Deadline,
        binding: Mapping[str, Any] | None,
    ) -> str:
        """Create an account; without contact addresses if the CA refuses them."""
        try:
            return self._client.new_account(key, contact, deadline, binding=binding)
        except ACMEError as error:
            if not contact or error.problem_type not in CONTACT_REFUSED:
                raise
            refusal = error
        try:
            url = self._client.new_account(key, (), deadline, binding=binding)
        except ACMEError as error:
            if error.problem_type in CONTACT_REFUSED:
                raise refusal from error
            raise
        logger.warning(
            "account created without contact authority=%s %s fix=%s",
            self._settings.name,
            refusal.message,
            refusal.fix,
        )
        return url

    def _require_terms(self, directory: Directory) -> None:
        refusal = terms_refusal(self._settings, directory, self._client.label)
        if refusal is not None:
            raise refusal

    def _binding(
        self, directory: Directory, key: bytes, deadline: Deadline
    ) -> Mapping[str, Any] | None:
        external = self._settings.external_account
        where = self._where
        refusal = binding_refusal(self._settings, directory, self._client.label)
        if refusal is not None:
            raise refusal
        if external is None:
            return None
        return self._client.external_account_binding(
            key, external.key_id, _read_secret(external, where), external.algorithm.value, deadline
        )

    @property
    def _where(self) -> str:
        return f"authorities.{self._settings.name}.external_account"

    def _with_current_contact(self, account: Account, deadline: Deadline) -> Account:
        contact = self._contact()
        if contact == account.contact:
            return account
        try:
            self._client.update_contact(account, contact, deadline)
        except (AccountMissingError, InterruptedOrderError):
            raise
        except AuthorityError as error:
            logger.warning(
                "contact not updated authority=%s %s fix=%s",
                self._settings.name,
                error.message,
                error.fix,
            )
            return account
        account = replace(account, contact=contact)
        self._accounts.save_account(self._settings.name, account)
        logger.info("contact updated authority=%s", self._settings.name)
        return account

    def _contact(self) -> tuple[str, ...]:
        return tuple(f"{MAIL}{address}" for address in self._settings.contact)


def _may_refuse_binding(error: ACMEError | AuthorityServerError) -> bool:
    """Check whether an error may concern the binding; some CAs return 500 for an unknown key."""
    return isinstance(error, AuthorityServerError) or error.problem_type in BINDING_REFUSED


def _read_secret(external: ExternalAccountSettings, where: str) -> str:
    """Return the HMAC key as base64url; plain base64, which some CAs give out, is converted."""
    try:
        text = read_secret(external.hmac_key_file).decode("latin-1")
    except WeakFileError as error:
        raise AuthorityError(
            f"the file of {where}.hmac_key_file is not used: it {error.weakness}", fix=error.fix
        ) from error
    except OSError as error:
        raise AuthorityError(
            f"{external.hmac_key_file} cannot be read: {error.strerror}",
            fix=f"correct {where}.hmac_key_file",
        ) from error
    secret = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    if not _BASE64URL.fullmatch(secret) or len(secret) % 4 == 1:
        raise AuthorityError(
            f"{external.hmac_key_file} is not base64url text",
            fix=f"write the key that the CA gave you to the file in {where}.hmac_key_file",
        )
    return secret
