"""Our account with an authority (RFC 8555 section 7.3): one, made once, found again when lost.

- The key is on the disk before the authority hears of it, so that no account is ever lost.
- Whoever still has the key still has the account: ``account.json`` lost or damaged is no reason to
  make another one (authorities limit how many they make), nor to spend an external account
  binding, which some accept only once. So the authority is asked for the key's account first.
- Threads and processes take turns at making one, so that a key for an external account binding is
  never spent twice.
- Without the operator's word that the terms of service are agreed to, nothing is made.
- Contact addresses are sent again when the configuration has others. They are a courtesy: where the
  authority refuses them, or cannot be told, the account is made or used without.
- A change of the key that a crash cut off is settled first (``account_key``).
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

# RFC 8555 section 7.3.4 names none; these are what authorities answer to a binding they refuse.
BINDING_REFUSED = {
    "badSignatureAlgorithm",
    "externalAccountRequired",
    "malformed",
    "unauthorized",
}

CONTACT_REFUSED = {"invalidContact", "unsupportedContact"}

_BASE64URL = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class AccountRegistrar:
    """Finds, makes and mends our account with one authority; one thread at a time.

    Args:
        settings: The authority, as configured.
        accounts: Where accounts are kept.
        client: The way to the authority.
    """

    def __init__(self, settings: AuthoritySettings, accounts: AccountStore, client: Client) -> None:
        self._settings = settings
        self._accounts = accounts
        self._client = client
        self._lock = threading.Lock()
        self._key_change = KeyChange(settings.name, accounts, client, settings.account_key)
        self._forgotten: set[str] = set()

    def ensure_account(self, deadline: Deadline, budget: Budget) -> Account:
        """The account to order with; made if there is none.

        Raises:
            RateLimitBudgetError: It would have to be made, and not now.
            TermsNotAgreedError: It would have to be made, and the terms are not agreed to.
            AuthorityError: The authority cannot be asked, or refuses.
            StorageError: The account cannot be kept; nothing was made.
        """
        with self._lock:
            account = self._accounts.account(self._settings.name)
            if account is not None:
                account = self._key_change.settle(account, deadline)
            if account is None or not self._is_usable(account):
                account = self._register(account, deadline, budget)
            return self._with_current_contact(account, deadline)

    def known(self, deadline: Deadline) -> Account | None:
        """The account that there is; None where it would have to be made.

        Raises:
            AuthorityError: The authority cannot be asked which key it knows.
            StorageError: What is kept cannot be read.
        """
        with self._lock:
            account = self._accounts.account(self._settings.name)
            if account is not None:
                account = self._key_change.settle(account, deadline)
            if account is None or self._is_usable(account):
                return account
            try:
                url = self._client.find_account(account.private_key, deadline)
            except ACMEError as error:
                if error.problem_type not in {"accountDoesNotExist", "unauthorized"}:
                    raise
                return None
            return replace(account, url=url, directory_url=self._settings.directory_url)

    def forget(self, account: Account) -> None:
        """Note that the authority does not know this account any more; only its key stays."""
        with self._lock:
            self._forgotten.add(account.url)

    def _is_usable(self, account: Account) -> bool:
        if not account.url.startswith("https://"):  # kept as the authority wrote it: relative
            return False
        here = account.directory_url == self._settings.directory_url
        return bool(account.url) and here and account.url not in self._forgotten

    def _register(self, known: Account | None, deadline: Deadline, budget: Budget) -> Account:
        try:
            return self._register_key(known, deadline, budget)
        except ACMEError as error:
            # Nobody knows a key that never had an account, so another one may take its place.
            if error.problem_type != "badSignatureAlgorithm" or (known and known.url):
                raise
            kept = self._accounts.account(self._settings.name)
            refused = kind(load(kept.private_key)) if kept else None
            key_type = accepted_key_type(error.algorithms, refused or self._settings.account_key)
            if key_type is None:
                raise
            logger.warning(
                "another account key authority=%s type=%s %s",
                self._settings.name,
                key_type,
                error.message,
            )
            self._accounts.save_account(self._settings.name, Account(new_account_key(key_type)))
        return self._register_key(self._accounts.account(self._settings.name), deadline, budget)

    def _register_key(self, known: Account | None, deadline: Deadline, budget: Budget) -> Account:
        contact = self._contact()
        if known is None:
            key = self._new_key()
            url = self._make(key, contact, deadline, budget)
        else:
            key = known.private_key
            try:
                url = self._client.find_account(key, deadline)
                logger.info("account found again authority=%s url=%s", self._settings.name, url)
                contact = known.contact
            except AccountMissingError:
                url = self._make(key, contact, deadline, budget)
            except ACMEError as error:
                # An authority that finds no accounts gives the one of a key to who makes it again.
                if (
                    self._settings.external_account is not None
                    or isinstance(error, RateLimitedError | UserActionRequiredError)
                    or error.problem_type == "badSignatureAlgorithm"
                ):
                    raise
                logger.info("account not found authority=%s %s", self._settings.name, error)
                url = self._make(key, contact, deadline, budget)
        account = Account(key, url, self._settings.directory_url, contact)
        self._accounts.save_account(self._settings.name, account)
        self._forgotten.discard(url)
        return account

    def _new_key(self) -> bytes:
        """A key, durable; another process that was quicker wins."""
        key = new_account_key(self._settings.account_key)
        self._accounts.save_account(self._settings.name, Account(key))
        kept = self._accounts.account(self._settings.name)
        return kept.private_key if kept is not None else key

    def _make(self, key: bytes, contact: Sequence[str], deadline: Deadline, budget: Budget) -> str:
        directory = self._client.directory(deadline)
        self._require_terms(directory)
        binding = self._binding(directory, key, deadline)
        budget.account()
        try:
            url = self._new_account(key, contact, deadline, binding)
        except (ACMEError, AuthorityServerError) as error:
            if binding is not None and _may_refuse_binding(error):
                error.fix = (
                    f"check key_id, hmac_key_file and algorithm below {self._where} against what "
                    f"the authority gave you; a key that works only once may be spent"
                )
            raise
        logger.info("account made authority=%s url=%s", self._settings.name, url)
        return url

    def _new_account(
        self,
        key: bytes,
        contact: Sequence[str],
        deadline: Deadline,
        binding: Mapping[str, Any] | None,
    ) -> str:
        """Make an account; without contact addresses where the authority refuses those."""
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
            "account without contact authority=%s %s fix=%s",
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
    """Whether an error may be about the binding: some CAs answer 500 to a key they do not know."""
    return isinstance(error, AuthorityServerError) or error.problem_type in BINDING_REFUSED


def _read_secret(external: ExternalAccountSettings, where: str) -> str:
    """The HMAC key as base64url; plain base64, which some authorities hand out, will do."""
    try:
        text = external.hmac_key_file.read_text("latin-1")
    except OSError as error:
        raise AuthorityError(
            f"{external.hmac_key_file} cannot be read: {error.strerror}",
            fix=f"correct {where}.hmac_key_file",
        ) from error
    secret = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    if not _BASE64URL.fullmatch(secret) or len(secret) % 4 == 1:
        raise AuthorityError(
            f"{external.hmac_key_file} does not hold base64url text",
            fix=f"put the key that the authority gave you into {where}.hmac_key_file",
        )
    return secret
