from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.fakes.clock import DAY, NOW

from gatecert.model import Event, Severity
from gatecert.monitoring.gateway_problems import Past
from gatecert.monitoring.notification_state import (
    NotificationState,
    Outgoing,
    Part,
    ReceiverState,
    Recovery,
    Told,
    decode,
    encode,
)
from gatecert.store.damaged_files import DamagedRecordError

TOLD = Told(
    "boston",
    Event.DRIFT,
    NOW,
    Severity.CRITICAL,
    "it serves \u2028 another",
    told_at=NOW + DAY,
    reminders=2,
    raised_at=NOW,
    ended_at=NOW,
    carried=Part.REMINDER,
    carried_severity=Severity.CRITICAL,
    returns=1,
)
STATE = NotificationState(
    {"boston": Past("ab", pointed_here=True, hostname="boston.example.com")},
    {
        "ops": ReceiverState(
            {("boston", Event.DRIFT): TOLD},
            {("kiel", Event.FAILED): Recovery(NOW, 3)},
            Outgoing("1", {"id": "1", "events": [1]}, ("ab",)),
            NOW,
            3,
            NOW,
            NOW + DAY,
            "it hangs",
            "repair it",
            "c0ffee",
        ),
        "idle": ReceiverState(),
    },
)


def changed(**values: Any) -> bytes:  # noqa: ANN401 - any JSON
    document = json.loads(encode(STATE))
    for path, value in values.items():
        *way, last = path.split("__")
        here = document
        for step in way:
            here = here[int(step) if step.isdigit() else step]
        here[last] = value
    return json.dumps(document).encode()


def test_what_is_written_is_read() -> None:
    assert decode(encode(STATE)) == STATE
    assert decode(encode(NotificationState())) == NotificationState()


def test_a_later_version_may_write_more() -> None:
    assert decode(changed(later=1, receivers__ops__later=[])) == STATE


def test_an_earlier_version_wrote_less() -> None:
    past = {"proven": "ab", "pointed_here": True}
    older = decode(changed(gateways__boston=past, receivers__ops__identity=None))
    assert older.gateways == {"boston": Past("ab", pointed_here=True)}
    assert older.receivers["ops"] == replace(STATE.receivers["ops"], identity="")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"[" * 100_000,
        changed(schema=2),
        changed(schema=True),
        changed(gateways=[]),
        changed(gateways__boston={"proven": 1, "pointed_here": True}),
        changed(gateways__boston__hostname=1),
        changed(receivers__ops=None),
        changed(receivers__ops__failures="3"),
        changed(receivers__ops__identity=3),
        changed(receivers__ops__next_at="soon"),
        changed(receivers__ops__next_at="0001-01-01T00:00:00+14:00"),
        changed(receivers__ops__outgoing={"id": "1"}),
        changed(receivers__ops__outgoing__accepted=[1]),
        changed(receivers__ops__told=[{}]),
        changed(receivers__ops__recovered=[{"gateway": "a", "event": "failed", "returns": 1}]),
        changed(receivers__ops__told__0__since=None),
        changed(receivers__ops__told__0__event="unknown"),
        changed(receivers__ops__told__0__carried="unknown"),
        changed(receivers__ops__told__0__reminders=True),
    ],
)
def test_anything_else_is_damaged(data: bytes) -> None:
    with pytest.raises(DamagedRecordError) as caught:
        decode(data)
    assert str(caught.value).isprintable()
