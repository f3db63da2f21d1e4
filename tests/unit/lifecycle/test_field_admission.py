"""CSRs of gateways in the field: which names may be ordered, and how urgently."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, NOW
from tests.fakes.pki import Pki, dns

from gatecert.lifecycle.field_admission import refusal, summary_of, urgency
from gatecert.model import Identifier, IdentifierType
from gatecert.model.fleet import Priority, Urgency

if TYPE_CHECKING:
    from gatecert.model import CertificateSummary

DOMAINS = ("ddns.example", "fleet.example.cn")
SITE = "site1.ddns.example"
END = NOW + 90 * DAY


@pytest.fixture(scope="module")
def last() -> CertificateSummary:
    pki = Pki()
    leaf = pki.issue(SITE, pki.root(), names=(SITE,), begin=NOW - DAY, end=END)
    summary = summary_of(leaf.pem)
    assert summary is not None
    return summary


@pytest.mark.parametrize("name", [SITE, "a.b.ddns.example"])
def test_names_below_a_domain_may_be_ordered(name: str) -> None:
    assert refusal(dns(name), DOMAINS, ("cn",)) == ""


@pytest.mark.parametrize(
    "name",
    [
        "ddns.example",
        "site1.ddns.example.org",
        "site1ddns.example",
        "*.ddns.example",
        "*.site1.ddns.example",
        "site_1.ddns.example",
        "site1..ddns.example",
        "SITE1.ddns.example",
        "-.ddns.example",
        "\x1b[31m.ddns.example",
        ".ddns.example",
    ],
)
def test_no_other_name_may(name: str) -> None:
    found = refusal(dns(SITE, name), DOMAINS, ())
    assert "is not a host name below ddns.example or fleet.example.cn" in found
    assert found.isprintable()


def test_addresses_may_not_be_ordered() -> None:
    address = Identifier(IdentifierType.IP, "192.0.2.1")
    assert "192.0.2.1 is not a host name" in refusal((address,), DOMAINS, ())


def test_excluded_regions_count_by_name() -> None:
    assert refusal(dns("site1.fleet.example.cn"), DOMAINS, ("cn",)) == "region cn is never enrolled"


@pytest.mark.parametrize(("number", "told"), [(0, "no name"), (101, "more than 100 names")])
def test_no_names_and_too_many_are_refused(number: int, told: str) -> None:
    names = dns(*(f"site{each}.ddns.example" for each in range(number)))
    assert told in refusal(names, DOMAINS, ())


def test_a_first_certificate_is_no_renewal(last: CertificateSummary) -> None:
    assert urgency(None, dns(SITE), NOW) == Urgency(Priority.NONE)
    assert urgency(last, dns(SITE, "site2.ddns.example"), NOW).priority is Priority.NONE


@pytest.mark.parametrize(
    ("left", "priority"),
    [(91 * DAY / 10 + timedelta(seconds=1), Priority.RENEWAL), (91 * DAY / 10, Priority.ENDING)],
)
def test_under_a_tenth_of_the_life_is_urgent(
    last: CertificateSummary, left: timedelta, priority: Priority
) -> None:
    assert urgency(last, dns(SITE), END - left) == Urgency(priority, END, END - 91 * DAY / 10)


def test_a_damaged_certificate_has_no_summary() -> None:
    assert summary_of(b"garbage") is None
