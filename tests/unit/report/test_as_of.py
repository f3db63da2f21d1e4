"""The status of a gateway at a later time than the pass that made it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.fakes.gateway_statuses import BOOTSTRAP, BOSTON, DAY, FULL, NOW, gateway

from gatecert.report.as_of import as_of
from gatecert.report.gateway_status import SENTENCES, Condition


def test_nothing_changes_within_the_same_day() -> None:
    assert as_of(BOSTON, NOW) is BOSTON


@pytest.mark.parametrize(
    ("passed", "left"),
    [
        (timedelta(seconds=1), 59),
        (59 * DAY, 1),
        (60 * DAY - timedelta(seconds=1), 0),
        (61 * DAY, -1),
        (63.5 * DAY, -3),
    ],
)
def test_the_days_that_are_left_are_counted_again(passed: timedelta, left: int) -> None:
    assert as_of(BOSTON, NOW + passed).days_left == left


@pytest.mark.parametrize(
    "state", [Condition.TRUSTED, Condition.REVOKED, Condition.UNPROVEN, Condition.SILENT]
)
def test_a_certificate_expires_without_a_pass(state: Condition) -> None:
    later = as_of(gateway("oslo", state), NOW + 60 * DAY)

    assert later.state is Condition.EXPIRED
    assert later.words == SENTENCES[Condition.EXPIRED]


def test_a_bootstrap_certificate_stays_one() -> None:
    one = gateway("new", Condition.WAITING, **BOOTSTRAP)

    assert as_of(one, NOW + 90 * DAY).state is Condition.WAITING


def test_a_gateway_without_a_certificate_stays_as_it_is() -> None:
    void = gateway("void", Condition.EMPTY, not_after=None, days_left=None)

    assert as_of(void, NOW + 90 * DAY) is void


def test_client_cas_are_counted_again() -> None:
    clients = as_of(FULL, NOW + 3 * DAY).client_authentication

    assert clients is not None
    assert [each.days_left for each in clients.authorities] == [17]
    assert FULL.client_authentication is not None
    assert clients.warnings == FULL.client_authentication.warnings
