"""Log records and progress of workers, written by the core."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gatecert.outcome_kinds import Stage
from gatecert.report.progress import ProgressLog

if TYPE_CHECKING:
    from gatecert.supervision.messages import Record, Step


class WorkerLog:
    """Writes records and progress of workers as if they came from this process."""

    def __init__(self) -> None:
        self._progress = ProgressLog()

    def record(self, record: Record) -> None:
        """Log a record."""
        log = logging.getLogger(record.name)
        if not log.isEnabledFor(record.levelno):
            return
        attributes = {
            "name": record.name,
            "levelno": record.levelno,
            "levelname": logging.getLevelName(record.levelno),
            "msg": record.msg,
            "args": tuple(record.args),
            "pathname": record.pathname,
            "lineno": record.lineno,
            "funcName": record.funcName,
            "created": record.created,
            "exc_text": record.exc_text,
            "fields": record.fields,
        }
        log.handle(logging.makeLogRecord(attributes))

    def step(self, step: Step) -> None:
        """Log a step of a pass."""
        self._progress(step.gateway, Stage(step.stage), step.text)
