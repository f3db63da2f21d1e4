from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gatecert.model import Stage
from gatecert.report.progress import ProgressLog

if TYPE_CHECKING:
    import pytest

HERE = "a.example.com resolves to 203.0.113.5, this gateway"
ELSEWHERE = "a.example.com A 203.0.113.9 is not an address of this gateway"


def test_repeated_lookup_is_logged_at_debug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    log = ProgressLog()
    for found in (ELSEWHERE, ELSEWHERE, HERE, HERE, ELSEWHERE):
        log("a", Stage.RESOLVE, "looking up a.example.com")
        log("a", Stage.RESOLVE, found)
    news = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert news == [
        f"resolve gateway=a {message}"
        for message in ("looking up a.example.com", ELSEWHERE, HERE, ELSEWHERE)
    ]
    assert len(caplog.records) == 10


def test_lookups_are_compared_per_gateway_and_other_steps_always_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    log = ProgressLog()
    for gateway in ("a", "b"):
        log(gateway, Stage.RESOLVE, HERE)
        log(gateway, Stage.ORDER, "placed")
        log(gateway, Stage.ORDER, "placed")
    assert [record.levelno for record in caplog.records] == [logging.INFO] * 6
