"""Tokens and TXT records of challenges."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.conformance.store_machine import StoreMachine
from tests.conformance.stored_contents import TOKENS, shown_record

from gatecert.deadline import Deadline
from gatecert.model import TextRecord

a_token = st.sampled_from(TOKENS)


class ChallengeMachine(StoreMachine):
    """Uses tokens and records."""

    @rule(token=a_token, value=st.sampled_from(["a.thumbprint", "b.thumbprint"]))
    def put_token(self, token: tuple[str, str], value: str) -> None:
        self.use(
            lambda: self.store.put_token(*token, value),
            self.with_entry("token", *token, value=value),
        )

    @rule(token=a_token)
    def remove_token(self, token: tuple[str, str]) -> None:
        self.use(
            lambda: self.store.remove_token(*token), self.with_entry("token", *token, value=None)
        )

    @rule(token=a_token)
    def wait_for_hosts(self, token: tuple[str, str]) -> None:
        assert self.store.wait_for_hosts(*token, Deadline.after(60)) == ()

    @rule(name=st.sampled_from(["_acme-challenge.vpn.example.com", "_acme-challenge.example.org"]))
    def add_record(self, name: str) -> None:
        record, now = TextRecord(name, f"value {next(self.numbers)}", "example.com"), self.instant()
        shown = (*self.entries("records"), (record, now, False))
        self.use(
            lambda: self.store.add_record(record, now=now), self.with_entry("records", value=shown)
        )

    @precondition(lambda self: self.entries("records"))
    @rule(data=st.data())
    def abandon_record(self, data: st.DataObject) -> None:
        published = data.draw(st.sampled_from(self.store.records()))
        shown, abandoned = shown_record(published), (published.record, published.at, True)
        records = tuple(abandoned if each == shown else each for each in self.entries("records"))
        self.use(
            lambda: self.store.abandon_record(published), self.with_entry("records", value=records)
        )

    @precondition(lambda self: self.entries("records"))
    @rule(data=st.data())
    def remove_record(self, data: st.DataObject) -> None:
        published = data.draw(st.sampled_from(self.store.records()))
        shown = shown_record(published)
        left = tuple(each for each in self.entries("records") if each != shown)
        self.use(
            lambda: self.store.remove_record(published), self.with_entry("records", value=left)
        )
