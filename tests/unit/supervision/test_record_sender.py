"""Log records of other processes, as the core logs them."""

from __future__ import annotations

import logging
import signal
import sys
from datetime import timedelta
from http import HTTPStatus
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pytest
from tests.fakes.worker_core import PlayedCore

from gatecert.model import OutcomeKind
from gatecert.supervision.messages import Record, Step
from gatecert.supervision.record_sender import RecordSender
from gatecert.supervision.worker_log import WorkerLog

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def core() -> Iterator[PlayedCore]:
    core = PlayedCore()
    yield core
    core.socket.close()
    core.theirs.close()


class Kept(logging.Handler):
    """Keeps records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def passed_on(core: PlayedCore, record: logging.LogRecord) -> logging.LogRecord:
    """Send a record as a worker does, and return the one that the core logs."""
    RecordSender(core.connection).emit(record)
    (message,) = core.received(1)
    assert isinstance(message, Record)
    kept, logger = Kept(), logging.getLogger(record.name)
    logger.addHandler(kept)
    try:
        WorkerLog().record(message)
    finally:
        logger.removeHandler(kept)
    (found,) = kept.records
    return found


def made(template: str, *arguments: Any, level: int = logging.ERROR) -> logging.LogRecord:  # noqa: ANN401 - of logging
    return logging.LogRecord("gatecert.worker_test", level, "file.py", 7, template, arguments, None)


@pytest.mark.parametrize(
    ("template", "argument"),
    [
        ("%s", "text"),
        ("%s", 5),
        ("%d", 5),
        ("%.1f", 5.25),
        ("%.1f", float("inf")),
        ("%s", None),
        ("%s", True),
        ("%d", True),
        ("%s", OutcomeKind.FAILED),
        ("%s", HTTPStatus.NOT_FOUND),
        ("%d", HTTPStatus.NOT_FOUND),
        ("%d", signal.SIGTERM),
        ("%s", timedelta(days=1)),
        ("%s", PurePath("/srv")),
        ("%s", ["a", 1]),
    ],
)
def test_a_record_reads_the_same_in_the_core(
    core: PlayedCore, template: str, argument: object
) -> None:
    record = made(f"value={template}", argument)
    found = passed_on(core, record)
    assert found.getMessage() == record.getMessage()
    assert found.msg == record.msg  # fields of the journal are named there


def test_a_record_keeps_its_place_time_level_and_fields(core: PlayedCore) -> None:
    record = made("failed")
    record.fields = {"code": "late", "outcome": OutcomeKind.FAILED, "count": 3}
    found = passed_on(core, record)
    for name in ("name", "levelno", "levelname", "pathname", "lineno", "funcName", "created"):
        assert getattr(found, name) == (getattr(record, name) or "")
    assert found.__dict__["fields"] == {"code": "late", "outcome": "failed", "count": 3}


def test_a_percent_sign_without_arguments_is_text(core: PlayedCore) -> None:
    assert passed_on(core, made("100 % done")).getMessage() == "100 % done"


def test_an_exception_is_shown_by_the_core(core: PlayedCore) -> None:
    record = made("unexpected error")
    try:
        int("odd")
    except ValueError:
        record.exc_info = sys.exc_info()
    shown = logging.Formatter().format(passed_on(core, record))
    assert shown.startswith("unexpected error\nTraceback (most recent call last):")
    assert "ValueError: invalid literal" in shown


def test_the_core_drops_what_it_does_not_log(core: PlayedCore) -> None:
    RecordSender(core.connection).emit(made("detail", level=logging.DEBUG))
    (message,) = core.received(1)
    assert isinstance(message, Record)
    kept, logger = Kept(), logging.getLogger(message.name)
    logger.addHandler(kept)
    logger.setLevel(logging.INFO)
    try:
        WorkerLog().record(message)
    finally:
        logger.removeHandler(kept)
        logger.setLevel(logging.NOTSET)
    assert not kept.records


def test_a_step_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    WorkerLog().step(Step("hq", "order", "ordered"))
    (record,) = caplog.records
    assert "hq" in record.getMessage()
    assert "ordered" in record.getMessage()
