"""Accounts, and the keys that follow theirs."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.conformance.counted_requests import ACCOUNTS, URLS
from tests.conformance.store_machine import StoreMachine, a_number
from tests.conformance.store_material import private_key
from tests.conformance.stored_contents import AUTHORITIES

from gatecert.model import Account

an_authority = st.sampled_from((*AUTHORITIES, *AUTHORITIES[:1] * 3))


class AccountMachine(StoreMachine):
    """Uses accounts."""

    @rule(
        authority=an_authority,
        keep_key=st.booleans(),
        url=st.sampled_from(ACCOUNTS),
        contact=st.lists(st.just("mailto:ops@example.com"), max_size=1).map(tuple),
    )
    def save_account(
        self, authority: str, url: str, contact: tuple[str, ...], *, keep_key: bool
    ) -> None:
        """A new key is there before its URL is."""
        known = self.store.account(authority)
        keeps = known is not None and keep_key
        key = known.private_key if known and keeps else private_key(next(self.numbers))
        account = Account(key, url, URLS[0], contact)
        key_only = self.with_entry("account", authority, value=Account(key))
        self.use(
            lambda: self.store.save_account(authority, account),
            self.with_entry("account", authority, value=account),
            *([] if keeps else [key_only]),
        )

    @precondition(lambda self: any(key[0] == "account" for key in self.contents))
    @rule(authority=an_authority, number=a_number)
    def begin_rollover(self, authority: str, number: int) -> None:
        if ("account", authority) in self.contents:
            self.use(
                lambda: self.store.save_next_key(authority, private_key(number)),
                self.with_entry("next key", authority, value=private_key(number)),
            )

    @precondition(lambda self: any(key[0] == "next key" for key in self.contents))
    @rule(authority=an_authority)
    def end_rollover(self, authority: str) -> None:
        self.use(
            lambda: self.store.remove_next_key(authority),
            self.with_entry("next key", authority, value=None),
        )

    @rule(authority=an_authority)
    def retire_account(self, authority: str) -> None:
        """The account's own key goes last, so that what was interrupted can be done again."""
        known = self.store.account(authority)
        key_only = Account(known.private_key) if known is not None else None
        stripped = self.with_entry("next key", authority, value=None)
        self.use(
            lambda: self.store.retire_account(authority),
            {**stripped, ("account", authority): None},
            stripped,
            {**stripped, ("account", authority): key_only},
        )
