"""The worker's end of the connection: messages in both directions, and log records."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import threading
from datetime import timedelta
from http import HTTPStatus
from itertools import islice
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pytest

from gatecert.model import OutcomeKind, Stage, Wait
from gatecert.supervision.messages import (
    Fetched,
    Leave,
    LineReader,
    Message,
    MessageError,
    Record,
    Step,
    Work,
    decode,
    encode,
)
from gatecert.supervision.worker_log import WorkerLog
from gatecert.worker.connection import CORE_ENDED, Connection, RecordSender

if TYPE_CHECKING:
    from collections.abc import Iterator


class PlayedCore:
    """The core's end of a connection."""

    def __init__(self) -> None:
        self.socket, self.theirs = socket.socketpair()
        self.connection = Connection(self.theirs)

    def received(self, number: int) -> list[Message]:
        """Return the next messages that the worker has sent."""
        reader, found = LineReader(), list[Message]()
        while len(found) < number:
            found += map(decode, reader.feed(self.socket.recv(1 << 16)))
        return found


@pytest.fixture
def core() -> Iterator[PlayedCore]:
    core = PlayedCore()
    yield core
    core.socket.close()
    core.theirs.close()


def test_messages_of_the_core_arrive_in_order(core: PlayedCore) -> None:
    sent = [Work("hq"), Fetched("token"), Leave()]
    data = b"".join(map(encode, sent))
    core.socket.sendall(data[:30])
    core.socket.sendall(data[30:])
    assert list(islice(core.connection.messages(), 3)) == sent


def test_half_a_message_waits_for_its_rest(core: PlayedCore) -> None:
    messages = core.connection.messages()
    line = encode(Fetched(100_000 * "x"))
    sender = threading.Thread(target=core.socket.sendall, args=(line,))
    sender.start()
    assert next(messages) == Fetched(100_000 * "x")
    sender.join()


def test_what_is_no_message_is_refused(core: PlayedCore) -> None:
    core.socket.sendall(b"garbage\n")
    with pytest.raises(MessageError):
        next(core.connection.messages())


def test_waits_stay_in_the_worker(core: PlayedCore) -> None:
    core.connection.progress("boston", Stage.ORDER, Wait("the CA", 5))
    core.connection.progress("boston", Stage.ORDER, "ordered")
    assert core.received(1) == [Step("boston", "order", "ordered")]


def test_messages_of_threads_do_not_mix(core: PlayedCore) -> None:
    def send(name: str) -> None:
        for number in range(50):
            core.connection.progress(name, Stage.ORDER, f"{number}" + 5000 * name)

    threads = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    found = core.received(200)
    for thread in threads:
        thread.join()
    for name in "abcd":
        assert [each for each in found if isinstance(each, Step) and each.gateway == name] == [
            Step(name, "order", f"{number}" + 5000 * name) for number in range(50)
        ]


WORKER = """
import socket, sys
from gatecert.supervision.messages import Leave
from gatecert.worker.connection import Connection

core = Connection(socket.socket(fileno=int(sys.argv[1])))
"""


@pytest.mark.parametrize(
    "use",
    ["for message in core.messages(): pass", "while True: core.send(Leave())"],
    ids=["read", "write"],
)
def test_a_worker_ends_with_its_core(use: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER + use, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
        )
    assert worker.wait(60) == CORE_ENDED


# ---------------------------------------------------------------------- log records


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
