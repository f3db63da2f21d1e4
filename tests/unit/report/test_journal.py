"""Journal entries as received on a real socket."""

from __future__ import annotations

import logging
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from gatecert.report.journal import JournalHandler, fields
from gatecert.report.logs import PRIORITIES, OneLine
from gatecert.report.message_ids import message_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.enable_socket


class Kept(logging.Handler):
    """Keeps records."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "socket"))
        server.settimeout(5)
        yield server


@pytest.fixture
def otherwise() -> Kept:
    return Kept()


@pytest.fixture
def handler(journal: socket.socket, otherwise: Kept) -> JournalHandler:
    handler = JournalHandler(PRIORITIES, otherwise, journal.getsockname())
    handler.setFormatter(OneLine())
    return handler


def record(
    template: str, *arguments: object, level: int = logging.INFO, **extra: object
) -> logging.LogRecord:
    logger = logging.getLogger("gatecert.test")
    return logger.makeRecord(
        logger.name, level, "/x/app.py", 7, template, arguments, None, "report", extra
    )


def entry(journal: socket.socket) -> dict[str, str]:
    """Read one datagram as journald does."""
    rest = journal.recv(1 << 20)
    found = {}
    while rest:
        name, _, rest = rest.partition(b"\n")
        (length,) = struct.unpack("<Q", rest[:8])
        found[name.decode()] = rest[8 : 8 + length].decode()
        assert rest[8 + length : 9 + length] == b"\n"
        rest = rest[9 + length :]
    return found


def test_a_record_is_an_entry_with_fields(handler: JournalHandler, journal: socket.socket) -> None:
    handler.handle(record("reloaded gateway=%s seconds=%.3f", "boston", 0.25))

    assert entry(journal) == {
        "MESSAGE": "reloaded gateway=boston seconds=0.250",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "gatecert",
        "CODE_FILE": "/x/app.py",
        "CODE_LINE": "7",
        "CODE_FUNC": "report",
        "GATECERT_LOGGER": "gatecert.test",
        "GATECERT_GATEWAY": "boston",
        "GATECERT_SECONDS": "0.25",
    }


@pytest.mark.parametrize(
    ("about", "named"),
    [
        ({"outcome": "failed", "code": "not-served"}, "not-served"),
        ({"outcome": "renewed", "code": ""}, "renewed"),
    ],
)
def test_an_entry_about_an_outcome_can_be_explained(
    handler: JournalHandler, journal: socket.socket, about: dict[str, str], named: str
) -> None:
    handler.handle(record("gateway=%s", "boston", fields=about))

    received = entry(journal)
    assert received["MESSAGE_ID"] == message_id(named)
    assert received["GATECERT_OUTCOME"] == about["outcome"]


def test_text_from_outside_chooses_no_explanation(
    handler: JournalHandler, journal: socket.socket
) -> None:
    handler.handle(record("refused %s", "code=not-served"))

    assert "MESSAGE_ID" not in entry(journal)


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, "7"), (logging.WARNING, "4"), (logging.ERROR, "3"), (logging.CRITICAL, "2")],
)
def test_levels_are_priorities(
    handler: JournalHandler, journal: socket.socket, level: int, priority: str
) -> None:
    handler.handle(record("message", level=level))

    assert entry(journal)["PRIORITY"] == priority


def test_text_from_outside_forges_no_field(handler: JournalHandler, journal: socket.socket) -> None:
    handler.handle(record("%s gateway=%s", "gateway=evil\nMESSAGE=forged", "a\nPRIORITY=0\n"))

    received = entry(journal)
    assert received["GATECERT_GATEWAY"] == "a PRIORITY=0"
    assert received["PRIORITY"] == "6"
    assert "\n" not in received["MESSAGE"]


def test_a_traceback_is_part_of_its_entry(handler: JournalHandler, journal: socket.socket) -> None:
    failed = record("unexpected error gateway=%s", "boston", level=logging.ERROR)
    failed.exc_info = (KeyError, KeyError("bug"), None)
    handler.handle(failed)

    assert "KeyError: 'bug'" in entry(journal)["MESSAGE"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (record("no fields at all"), {}),
        (record("100%% of gateway=%s", "boston"), {"gateway": "boston"}),
        (
            record("%d of gateway=%s%s seconds=%-5.1f", 1, "a", "b", 2.0),
            {"gateway": "a", "seconds": 2.0},
        ),
        (record("empty gateway=%s next=%s", "", None), {}),
        (record("too few gateway=%s"), {}),
        (
            record("x gateway=%s", "a", fields={"code": "not-served", "fix": ""}),
            {"gateway": "a", "code": "not-served"},
        ),
    ],
)
def test_fields_come_from_the_template(
    written: logging.LogRecord, expected: dict[str, object]
) -> None:
    assert fields(written) == expected


def test_named_arguments_are_no_fields() -> None:
    written = record("gateway=%(name)s")
    written.args = {"name": "boston"}

    assert fields(written) == {}


def test_fallback_handles_what_the_journal_rejects(
    handler: JournalHandler, journal: socket.socket, otherwise: Kept
) -> None:
    journal.close()

    handler.handle(record("lost gateway=%s", "boston"))

    assert [each.getMessage() for each in otherwise.records] == ["lost gateway=boston"]
