"""The gateways as the core knows them, as logged and as the service manager shows them."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.model import OutcomeKind
from gatecert.report.service_manager import ServiceManager
from gatecert.supervision.gateways import IN_ORDER, Gateways
from gatecert.supervision.messages import Done


class Status(ServiceManager):
    """Keeps the status."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def status(self, words: str) -> None:
        self.lines.append(words)


@pytest.fixture
def status() -> Status:
    return Status()


@pytest.fixture
def gateways(status: Status) -> Gateways:
    gateways = Gateways(status)
    gateways.keep(["a", "b", "c"])
    return gateways


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def done(name: str, outcome: str = "idle", detail: str = "in order", stamp: str = "1") -> Done:
    return Done(name, outcome, detail, stamp=stamp)


# ---------------------------------------------------------------------- the log


def test_a_failure_is_logged_each_time_and_anything_else_when_it_changes(
    gateways: Gateways, caplog: pytest.LogCaptureFixture
) -> None:
    for outcome in ("failed", "failed", "waiting", "waiting", "idle", "waiting", "rolled-back"):
        gateways.report(done("a", outcome))
    assert [record.levelname for record in caplog.records] == [
        "ERROR",
        "ERROR",
        "INFO",
        "DEBUG",
        "DEBUG",
        "INFO",
        "ERROR",
    ]


def test_a_line_says_what_happened_and_when_the_next_pass_is(
    gateways: Gateways, caplog: pytest.LogCaptureFixture
) -> None:
    gateways.report(
        Done("a", "failed", "no answer", "late", "wait", 1.25, "2026-11-23T12:00:00+00:00")
    )
    gateways.report(done("b", "waiting", "for the name"))
    assert caplog.messages == [
        "failed gateway=a no answer fix=wait seconds=1.250 next=2026-11-23T12:00:00+00:00",
        "waiting gateway=b for the name seconds=0.000 next=on an event",
    ]
    fields = caplog.records[0].__dict__["fields"]
    assert fields == {"outcome": "failed", "code": "late", "fix": "wait"}


# ---------------------------------------------------------------------- stamps


@pytest.mark.parametrize("kind", OutcomeKind)
def test_only_a_gateway_in_order_keeps_its_stamp(gateways: Gateways, kind: OutcomeKind) -> None:
    gateways.take_over("a", "old")
    gateways.report(done("a", kind, stamp="new"))
    assert gateways.stamps == ({"a": "new"} if kind in IN_ORDER else {})


def test_a_pass_without_a_stamp_leaves_none(gateways: Gateways) -> None:
    gateways.take_over("a", "old")
    gateways.report(done("a", stamp=""))
    assert gateways.stamps == {}


def test_a_removed_gateway_is_forgotten(gateways: Gateways, status: Status) -> None:
    gateways.report(done("a", "failed"))
    gateways.report(done("b"))
    gateways.keep(["b", "c"])
    assert gateways.stamps == {"b": "1"}
    gateways.keep(["c", "d"])
    assert gateways.stamps == {}
    gateways.report(done("c"))
    assert status.lines[-1] == "2 gateways: 1 idle"


# ---------------------------------------------------------------------- the status


def test_the_status_counts_and_shows_a_failure(gateways: Gateways, status: Status) -> None:
    gateways.report(done("a"))
    gateways.report(done("b", "failed", "no answer"))
    gateways.report(done("c"))
    gateways.report(done("b"))
    assert status.lines == [
        "3 gateways: 1 idle",
        "3 gateways: 1 idle, 1 failed; b: no answer",
        "3 gateways: 2 idle, 1 failed",
        "3 gateways: 3 idle",
    ]


def test_the_status_of_one_gateway_is_its_outcome(gateways: Gateways, status: Status) -> None:
    gateways.keep(["a"])
    gateways.report(done("a", "waiting", "for the name"))
    assert status.lines == ["a: waiting, for the name"]


def test_nothing_is_announced_before_anything_is_known(gateways: Gateways, status: Status) -> None:
    gateways.announce()
    assert status.lines == []


def test_what_a_restart_found_in_order_is_announced(gateways: Gateways, status: Status) -> None:
    gateways.take_over("a", "1")
    gateways.take_over("a", "1")
    gateways.take_over("c", "1")
    gateways.announce()
    gateways.keep(["a"])
    gateways.announce()
    assert status.lines == ["3 gateways: 2 idle", "a: idle, in order"]


def test_a_reload_keeps_the_last_outcome(gateways: Gateways, status: Status) -> None:
    gateways.report(done("a", "renewed"))
    gateways.take_over("a", "1")
    gateways.announce()
    assert status.lines[-1] == "3 gateways: 1 renewed"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(OutcomeKind)), min_size=1))
def test_the_status_counts_each_gateway_once(passes: list[tuple[str, OutcomeKind]]) -> None:
    status = Status()
    gateways = Gateways(status)
    gateways.keep("abc")
    for name, kind in passes:
        gateways.report(done(name, kind))
    kinds = list(dict(passes).values())
    expected = ", ".join(f"{kinds.count(kind)} {kind}" for kind in OutcomeKind if kind in kinds)
    assert status.lines[-1].partition(";")[0] == f"3 gateways: {expected}"
