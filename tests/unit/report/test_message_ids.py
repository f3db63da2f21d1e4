"""Identifiers of journal entries never change, because operators search for them."""

from __future__ import annotations

import hashlib
from uuid import UUID

import pytest

from gatecert.report.message_ids import NAMESPACE, message_id, message_id_of


def test_an_identifier_never_changes() -> None:
    assert message_id("not-served") == "d2090815c3995dc683852236000c9294"


def test_an_identifier_is_a_uuid_made_from_the_name() -> None:
    """RFC 9562 section 5.5: SHA-1 of namespace and name; version 5, variant 10."""
    digest = bytearray(hashlib.sha1(NAMESPACE.bytes + b"failed").digest()[:16])  # noqa: S324
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    assert message_id("failed") == digest.hex()
    assert UUID(message_id("failed")).version == 5


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"code": "acme", "outcome": "failed"}, "acme"),
        ({"outcome": "renewed", "gateway": "boston"}, "renewed"),
    ],
)
def test_the_code_names_a_record_before_its_outcome(fields: dict[str, object], named: str) -> None:
    assert message_id_of(fields) == message_id(named)


def test_a_record_about_something_else_has_none() -> None:
    assert message_id_of({"gateway": "boston"}) is None
