"""Values as JSON has them, and back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.gateway_statuses import EVERY_STATE, FULL

from gatecert.model import Event, MonitoringPlan, PagePlan, ReceiverKind, ReceiverPlan, WebAccess
from gatecert.report.monitoring_status import MonitoringStatus, ReceiverStatus
from gatecert.supervision.plain_values import PlainValueError, from_plain, to_plain

if TYPE_CHECKING:
    from gatecert.report.gateway_status import GatewayStatus

NOW = datetime(2026, 11, 29, 10, 30, 15, 123456, tzinfo=UTC)
PLAN = MonitoringPlan(
    "/state",
    page=PagePlan(("127.0.0.1:1",), WebAccess("/c", "/k", users={"ada": "$2b$"})),
    receivers=(
        ReceiverPlan("mail", ReceiverKind.APPRISE, "/url", events=(Event.FAILED,)),
        ReceiverPlan("log", ReceiverKind.COMMAND, command=("logger", "-t"), remind=timedelta(1.5)),
    ),
)


@pytest.mark.parametrize(
    "value", [PLAN, FULL, *EVERY_STATE], ids=lambda value: getattr(value, "name", "plan")
)
def test_a_value_survives_the_way_through_json(value: MonitoringPlan | GatewayStatus) -> None:
    assert from_plain(type(value), json.loads(json.dumps(to_plain(value)))) == value


def test_unknown_fields_are_ignored_and_missing_ones_have_their_default() -> None:
    found = from_plain(MonitoringStatus, {"receivers": [{"name": "mail", "of-tomorrow": 1}]})
    assert found == MonitoringStatus(receivers=(ReceiverStatus("mail"),))


@pytest.mark.parametrize(
    ("plain", "what"),
    [
        ({}, "MonitoringPlan lacks state_directory"),
        ([], "MonitoringPlan has a value of another type"),
        ({"state_directory": 5}, "MonitoringPlan.state_directory has a value of another type"),
        ({"state_directory": "/s", "receivers": {}}, "MonitoringPlan.receivers has a value"),
        (
            {"state_directory": "/s", "receivers": [{"name": "n", "kind": "secret"}]},
            "MonitoringPlan.receivers.kind has a value that is not allowed",
        ),
        (
            {
                "state_directory": "/s",
                "receivers": [{"name": "n", "kind": "command", "group": "1"}],
            },
            "MonitoringPlan.receivers.group has a value of another type",
        ),
    ],
)
def test_what_does_not_fit_is_refused_without_its_value(plain: Any, what: str) -> None:  # noqa: ANN401
    with pytest.raises(PlainValueError) as refused:
        from_plain(MonitoringPlan, plain)
    assert str(refused.value).startswith(what)
    assert "secret" not in str(refused.value)


@dataclass(frozen=True)
class Times:
    at: datetime
    flag: bool = False
    number: float = 0.0


@pytest.mark.parametrize("at", [1e20, float("nan"), True])
def test_an_instant_is_a_number_that_a_calendar_has(at: float) -> None:
    with pytest.raises(PlainValueError, match=r"Times\.at"):
        from_plain(Times, {"at": at})


def test_an_instant_keeps_its_microseconds() -> None:
    assert from_plain(Times, to_plain(Times(NOW))).at == NOW


def test_true_is_no_number_and_one_is_not_true() -> None:
    at = NOW.timestamp()
    assert from_plain(Times, {"at": at, "number": 1}).number == 1.0
    with pytest.raises(PlainValueError):
        from_plain(Times, {"at": at, "number": True})
    with pytest.raises(PlainValueError):
        from_plain(Times, {"at": at, "flag": 1})


def test_bytes_have_no_plain_value() -> None:
    with pytest.raises(TypeError, match="bytes"):
        to_plain(b"key")
