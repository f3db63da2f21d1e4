"""Tests of an order's key request."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from tests.fakes.acme_server import DIRECTORY_URL
from tests.fakes.acme_stores import Usage
from tests.fakes.pki import dns

from gatecert.acme.order_journal import DryRunJournal
from gatecert.model import CountedRequest, Expenses, Limits, PendingOrder, RateLimit, RequestKind

if TYPE_CHECKING:
    from gatecert.model import Target

NOW = datetime(2026, 11, 23, tzinfo=UTC)
LONG = f"{'a' * 60}.example.com"


@pytest.mark.parametrize(
    ("names", "wanted", "found"),
    [
        (("vpn.example.com", "www.example.com"), True, ["vpn.example.com"]),
        ((LONG, "www.example.com"), True, ["www.example.com"]),
        ((LONG,), True, []),
        (("vpn.example.com",), False, []),
    ],
)
def test_the_first_fitting_name_is_the_common_name(
    target: Target, names: tuple[str, ...], *, wanted: bool, found: list[str]
) -> None:
    target = replace(target, identifiers=dns(*names))
    request = DryRunJournal(Usage(), target, lambda: NOW).new_request(common_name=wanted)
    csr = x509.load_pem_x509_csr(request.csr)
    common = csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert [each.value for each in common] == found


def test_a_dry_run_counts_its_order_and_keeps_its_key_in_memory(target: Target) -> None:
    usage = Usage()
    journal = DryRunJournal(usage, target, lambda: NOW)
    request = journal.new_request()
    order = CountedRequest(RequestKind.ORDER, NOW)
    within = Limits(orders=RateLimit(1, timedelta(hours=3)))
    assert journal.open(request, DIRECTORY_URL, Expenses(NOW, (order,)), within) is None
    assert usage.counted() == (order,)
    placed = PendingOrder("acme", DIRECTORY_URL, "order/1", request.id, target.identifiers, NOW)
    journal.record(placed)
    assert journal.pending() == (placed, request)
    assert journal.open(request, DIRECTORY_URL, Expenses(NOW, (order,)), within) is not None
    assert usage.counted() == (order,)
