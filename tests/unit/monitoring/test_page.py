"""The answers of the status page; tests/page reads it in a browser."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.gateway_statuses import BOSTON, DAY, EVERY_STATE, FULL, NOW, error, gateway
from tests.fakes.many_statuses import many

from gatecert.model.fleet import FleetHalt
from gatecert.model.fleet_report import FleetReport
from gatecert.monitoring.exchange import Request
from gatecert.monitoring.overview import Overview
from gatecert.monitoring.page import Page
from gatecert.report.as_of import as_of
from gatecert.report.gateway_status import Condition, FleetStatus, as_json
from gatecert.report.monitoring_status import ListenerStatus, MonitoringStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatecert.monitoring.exchange import Response
    from gatecert.report.gateway_status import GatewayStatus

ALL = (*EVERY_STATE, FULL)


class Reader:
    """Asks for pages at a time that a test sets."""

    def __init__(self, statuses: Iterable[GatewayStatus] = ALL) -> None:
        self.overview = Overview(daemon=4711, ready=True)
        self.now = NOW
        self.show(statuses)
        self._page = Page(self.overview, lambda: self.now)

    def show(self, statuses: Iterable[GatewayStatus]) -> None:
        told = tuple(statuses)
        self.overview.keep(one.name for one in told)
        for one in told:
            self.overview.describe(one)

    def get(self, path: str, **query: str) -> Response:
        return self._page(Request(path, query))

    def text(self, path: str, **query: str) -> str:
        return self.get(path, **query).body.decode()


def shown(html: str) -> list[str]:
    return re.findall(r'<a href="gateways/([^"]*)">', html)


def test_json_is_what_the_command_prints() -> None:
    response = Reader().get("/status.json")

    expected = as_json([as_of(one, NOW) for one in ALL], now=NOW, daemon=4711)
    assert response.body.decode() == f"{expected}\n"
    assert response.content_type == "application/json"


def test_an_expiry_needs_no_pass() -> None:
    reader = Reader((BOSTON,))
    assert "1 gateway, which is well" in reader.text("/")

    reader.now += 61 * DAY

    (one,) = json.loads(reader.text("/status.json"))["gateways"]
    assert (one["state"], one["days_left"]) == ("expired", -1)
    assert "1 of 1 needs you" in reader.text("/")
    assert "24 h ago" in reader.text("/gateways/boston")
    assert reader.get("/readyz").status == 503


@pytest.mark.parametrize(("daemon", "status"), [(4711, 200), (None, 503)])
def test_health_is_a_daemon_that_runs(daemon: int | None, status: int) -> None:
    reader = Reader()
    reader.overview.daemon = daemon

    assert reader.get("/healthz").status == status
    assert reader.text("/healthz") == ("ok\n" if daemon else "daemon not running\n")


def test_it_is_ready_once_every_gateway_is_known_and_serves() -> None:
    reader = Reader((BOSTON,))
    assert reader.get("/readyz").body == b"ok\n"

    reader.overview.keep(["boston", "oslo"])
    assert reader.get("/readyz").status == 503
    assert reader.text("/readyz") == "1 of 2 gateways not read yet\n"

    reader.overview.describe(gateway("oslo", Condition.EXPIRED))
    assert reader.text("/readyz") == "oslo: certificate expired\n"


def test_it_is_not_ready_while_the_daemon_starts() -> None:
    reader = Reader((BOSTON,))
    reader.overview.ready = False

    assert reader.get("/readyz").status == 503
    assert reader.text("/readyz") == "daemon starts: not every gateway can serve yet\n"


def test_a_gateway_that_cannot_be_read_says_why() -> None:
    reader = Reader((BOSTON,))
    reader.overview.keep(["boston", "oslo"])
    reader.overview.fail("oslo", error("state-unreadable", "state.json: permission denied"))

    assert reader.text("/gateways/oslo") == (
        "oslo: its status cannot be read: state.json: permission denied\n"
    )


def test_readiness_has_levels() -> None:
    reader = Reader((BOSTON, gateway("fresh", Condition.UNPROVEN)))

    assert reader.get("/readyz", level="serving").status == 200
    assert reader.get("/readyz", level="trusted").status == 503
    assert reader.text("/readyz", level="trusted").startswith("fresh: unproven: ")
    assert reader.get("/readyz", level="x").status == 400


def test_a_problem_is_one_line_of_plain_text() -> None:
    reader = Reader((gateway("one", Condition.EMPTY, words="a\x1b[31m\nb\u202e" + "x" * 10_000),))

    text = reader.text("/readyz")

    assert text.count("\n") == 1
    assert text.rstrip("\n").isprintable()
    assert len(text) < 1_100
    assert dict(reader.get("/readyz").headers)["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["", "/x", "/gateways", "/gateways/", "/gateways/x", "/../etc"])
def test_everything_else_is_not_found(path: str) -> None:
    assert Reader().get(path).status == 404


def test_a_gateway_that_was_not_read_yet_says_so() -> None:
    reader = Reader((BOSTON,))
    reader.overview.keep(["boston", "oslo"])

    assert reader.get("/gateways/oslo").status == 503
    assert "1 gateway was not read yet" in reader.text("/")


def test_what_else_does_not_work_is_said_on_every_page() -> None:
    reader = Reader((BOSTON,))
    broken = ListenerStatus("metrics", "127.0.0.1:9876", "the port is in use", "choose another")
    reader.overview.monitoring = MonitoringStatus((broken,))

    for path in ("/", "/gateways/boston"):
        assert "metrics at 127.0.0.1:9876: the port is in use" in reader.text(path)
        assert "→ choose another" in reader.text(path)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"q": "oslo"}, ["oslo"]),
        ({"q": "  EXPIRED  "}, ["late"]),
        ({"q": "served old.example"}, ["oslo"]),
        ({"q": "no-such-gateway"}, []),
        ({"needs": "1", "q": "trusted"}, ["lyon", "full"]),
    ],
)
def test_the_filter_wants_every_word(query: dict[str, str], names: list[str]) -> None:
    text = Reader().text("/", **query)

    assert shown(text) == names
    assert f"{len(names)} of {len(ALL)} shown" in text


def test_a_long_list_leaves_out_the_history() -> None:
    assert Reader(many(50)).text("/").count("<details") == 49  # one gateway has none
    assert Reader(many(51)).text("/").count("<details") == 0


def test_it_is_rendered_once_for_a_change_and_a_minute() -> None:
    reader = Reader()
    first = reader.get("/").body
    reader.now += timedelta(seconds=20)
    assert reader.get("/").body is first

    reader.overview.describe(replace(BOSTON, failures=1))
    second = reader.get("/").body
    assert second is not first

    reader.now += timedelta(minutes=1)
    assert reader.get("/").body is not second


def test_responses_are_not_kept_without_limit() -> None:
    reader = Reader((BOSTON,))
    first = reader.get("/").body
    for number in range(30):
        reader.get("/", q=f"{number}")

    assert reader.get("/").body is not first


def test_the_policy_allows_this_script_and_this_style_only() -> None:
    response = Reader().get("/")
    policy = dict(response.headers)["Content-Security-Policy"]

    for element in ("script", "style"):
        (text,) = re.findall(f"<{element}>(.*?)</{element}>", response.body.decode(), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert " style=" not in response.body.decode()


def test_events_are_a_stream() -> None:
    reader = Reader()
    response = reader.get("/events", since="0")

    async def received() -> list[bytes]:
        assert response.stream is not None
        return [await anext(response.stream) for _ in range(2)]

    assert response.content_type == "text/event-stream"
    number = reader.overview.number
    assert asyncio.run(received())[1].startswith(b"id: %d\nevent: changed\n" % number)


@pytest.mark.parametrize("path", ["/", "/gateways/evil"])
def test_what_comes_from_outside_is_text(path: str) -> None:
    text = "<script>alert(1)</script>\"'&"
    evil = gateway(
        "evil", Condition.NOT_SERVED, hostname=text, served_detail=text, issuer=text, failures=1
    )
    html = Reader([evil]).text(path)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_the_page_of_thousands_of_gateways_is_small() -> None:
    reader = Reader(many(3_000))
    body = reader.get("/").body

    assert len(shown(body.decode())) == 3_000
    assert len(body) <= 1_000_000
    assert len(gzip.compress(body, 4)) <= 100_000


def test_the_head_says_what_is_wrong_with_the_fleet() -> None:
    reader = Reader([BOSTON])
    assert "brake" not in reader.text("/")
    halt = FleetHalt(
        paused_since=NOW, pause_reason="audit", brake_since=NOW, brake_reason="5 of 60"
    )
    silent = tuple(f"gw-{number}" for number in range(7))
    reader.overview.fleet = FleetReport(NOW, hosts=9, silent=silent, halt=halt)
    reader.overview.changed()
    page = reader.text("/")
    going_on = "only what ends within a day goes on"
    assert f"<li>brake since 10:30 UTC: 5 of 60; {going_on}<p>→ gatecert fleet resume" in page
    assert f"<li>fleet paused since 10:30 UTC (audit): {going_on}" in page
    assert "<li>silent hosts: gw-0, gw-1, gw-2, gw-3, gw-4 and 2 more" in page

    reader.overview.fleet = FleetReport(NOW, "db1 refuses connections", "start the database")
    reader.overview.changed()
    page = reader.text("/gateways/boston")
    assert "database away since 10:30 UTC: serving on, no orders: db1 refuses connections" in page
    assert "→ start the database" in page


def test_a_gateway_shows_how_the_hosts_of_its_cluster_fare() -> None:
    words = "generation 12 proven on 2 of 3 hosts (gw-c silent since 09:12 UTC)"
    reader = Reader([replace(BOSTON, fleet=FleetStatus(words, NOW, 12, 3, ("gw-a", "gw-b")))])
    assert f"<dt>fleet</dt><dd>{words}</dd>" in reader.text("/gateways/boston")
