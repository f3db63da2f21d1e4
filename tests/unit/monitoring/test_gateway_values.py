from __future__ import annotations

from dataclasses import fields, replace

import pytest
from tests.fakes.gateway_statuses import (
    BOSTON,
    CLIENT_CA,
    DAY,
    EVERY_STATE,
    FULL,
    NOW,
    gateway,
)

from gatecert.model import OutcomeKind, PastOutcome
from gatecert.monitoring.gateway_values import GatewayValues, gateway_values
from gatecert.monitoring.metric_families import GATEWAY_FAMILIES
from gatecert.report.attention import level
from gatecert.report.gateway_status import Condition, GatewayStatus


def past(*kinds: OutcomeKind) -> tuple[PastOutcome, ...]:
    return tuple(PastOutcome(NOW, kind, "what happened", "", NOW) for kind in kinds)


def test_every_value_has_a_metric() -> None:
    assert {each.name for each in fields(GatewayValues)} - {"state"} == GATEWAY_FAMILIES.keys()


@pytest.mark.parametrize("status", EVERY_STATE, ids=lambda status: status.name)
def test_every_state(status: GatewayStatus) -> None:
    values = gateway_values(status)
    assert values.state is status.state
    assert values.trusted == (status.state is Condition.TRUSTED)
    assert values.needs_attention == level(status).needs_a_person
    assert values.served is status.served
    assert (values.not_after is None) == (status.not_after is None)


def test_bootstrap_certificate_has_dates_and_is_not_trusted() -> None:
    values = gateway_values(gateway("new", Condition.BOOTSTRAP, served=True))
    assert BOSTON.not_after is not None
    assert values.not_after == BOSTON.not_after.timestamp()
    assert values.served is True
    assert values.trusted is False


def test_nothing_is_known_of_an_empty_gateway() -> None:
    values = gateway_values(
        gateway("void", Condition.EMPTY, not_before=None, not_after=None, served=None, next_at=None)
    )
    assert values == GatewayValues(
        state=Condition.EMPTY,
        not_after=None,
        not_before=None,
        served=None,
        trusted=False,
        revoked=None,
        last_attempt_success=None,
        failures=0,
        points_here=None,
        next_action=None,
        needs_attention=True,
        client_authority_not_after=None,
    )


@pytest.mark.parametrize(
    ("failures", "kinds", "success"),
    [
        (0, (), None),
        (1, (), False),
        (0, (OutcomeKind.WAITING, OutcomeKind.BOOTSTRAPPED), None),
        (0, (OutcomeKind.RENEWED, OutcomeKind.FAILED), True),
        (0, (OutcomeKind.IDLE, OutcomeKind.DEPLOYED, OutcomeKind.FAILED), True),
        (0, (OutcomeKind.IDLE, OutcomeKind.FAILED), True),
        (0, (OutcomeKind.WAITING, OutcomeKind.ROLLED_BACK, OutcomeKind.RENEWED), False),
        (2, (OutcomeKind.DEPLOYED, OutcomeKind.FAILED), False),
        (0, (OutcomeKind.IMPORTED,), True),
    ],
)
def test_last_attempt(
    failures: int,
    kinds: tuple[OutcomeKind, ...],
    success: bool | None,  # noqa: FBT001 - a parameter of the test
) -> None:
    status = replace(BOSTON, failures=failures, history=past(*kinds))
    assert gateway_values(status).last_attempt_success is success


def test_revocation() -> None:
    checked = FULL.revocation
    assert checked is not None
    for revoked in (True, False, None):
        status = replace(BOSTON, revocation=replace(checked, revoked=revoked))
        assert gateway_values(status).revoked is revoked
    assert gateway_values(gateway("gone", Condition.REVOKED)).revoked is True


def test_first_client_authority_counts() -> None:
    clients = FULL.client_authentication
    assert clients is not None
    later = replace(CLIENT_CA, not_after=NOW + 400 * DAY)
    status = replace(FULL, client_authentication=replace(clients, authorities=(later, CLIENT_CA)))
    assert gateway_values(status).client_authority_not_after == CLIENT_CA.not_after.timestamp()
    none = replace(FULL, client_authentication=replace(clients, authorities=()))
    assert gateway_values(none).client_authority_not_after is None
