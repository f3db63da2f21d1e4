"""The monitor with a played core: what it serves, writes and tells after each message."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.fakes.gateway_statuses import NOW, gateway

from gatecert.measurement import Measurement
from gatecert.model import (
    MetricsPlan,
    MonitoringPlan,
    OutcomeKind,
    PagePlan,
    PastOutcome,
    ReceiverKind,
    ReceiverPlan,
)
from gatecert.model.fleet_report import FleetReport
from gatecert.monitoring.monitor import run
from gatecert.monitoring.textfile import TextfilePauses
from gatecert.report.gateway_status import Condition
from gatecert.supervision.messages import (
    Described,
    FleetSeen,
    Leave,
    LineReader,
    Measured,
    Ready,
    Record,
    Unreadable,
    Watch,
    decode,
    encode,
)
from gatecert.supervision.monitoring_file import read_monitoring_status
from gatecert.supervision.plain_values import to_plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from gatecert.report.gateway_status import GatewayStatus
    from gatecert.supervision.messages import Message

PATIENCE = 20.0  # seconds for anything
WELL_AT = 1_795_000_000.0  # seconds since the epoch
WELL = gateway("boston", history=(PastOutcome(NOW, OutcomeKind.RENEWED, "renewed", "", since=NOW),))
ILL = gateway("kiel", Condition.NOT_SERVED, served=False, served_detail="serves another one")

pytestmark = pytest.mark.usefixtures("logs_as_before")


@dataclass
class PlayedCore:
    """The core's end, and the files of the monitor.

    Attributes:
        directory: Of the state, the sockets and the textfile.
        records: Log records that have arrived.
    """

    directory: Path
    writer: asyncio.StreamWriter
    records: list[Record]

    def send(self, *messages: Message) -> None:
        for message in messages:
            self.writer.write(encode(message))

    def watch(self, plan: MonitoringPlan, *names: str) -> None:
        self.send(Watch(to_plain(plan), list(names), 4711))

    def describe(self, *statuses: GatewayStatus) -> None:
        self.send(*(Described(each.name, to_plain(each)) for each in statuses))

    def plan(self, **changes: object) -> MonitoringPlan:
        """Return a plan with a socket for metrics and one for the page."""
        plan = MonitoringPlan(
            str(self.directory),
            MetricsPlan((self.address("metrics"),)),
            PagePlan((self.address("page"),)),
        )
        return replace(plan, **changes)  # type: ignore[arg-type] # fields of the plan

    def address(self, name: str) -> str:
        return f"unix:{self.directory}/{name}"

    async def get(self, listener: str, path: str) -> tuple[int, str]:
        """Return status and body; wait until the listener is there."""
        await self.until((self.directory / listener).exists)
        reader, writer = await asyncio.open_unix_connection(self.directory / listener)
        writer.write(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        await closed(writer)
        return int(head.split()[1]), body.decode()

    async def metric(self, name: str) -> str:
        """Return the value of a sample; empty if there is none."""
        _, body = await self.get("metrics", "/metrics")
        found = [line for line in body.splitlines() if line.startswith(f"{name} ")]
        return found[0].rpartition(" ")[2] if found else ""

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - of files and logs
                await asyncio.sleep(0.01)

    async def until_metric(self, name: str, value: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while await self.metric(name) != value:  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.02)


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@asynccontextmanager
async def core(directory: Path, pauses: TextfilePauses | None) -> AsyncIterator[PlayedCore]:
    """Run a monitor, and end it."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    played = PlayedCore(directory, writer, [])

    async def receive() -> None:
        lines = LineReader()
        while data := await reader.read(1 << 16):
            messages = map(decode, lines.feed(data))
            played.records += [each for each in messages if isinstance(each, Record)]

    receiving = asyncio.create_task(receive())
    monitor = asyncio.create_task(run(theirs, logging.INFO, pauses))
    try:
        yield played
        played.send(Leave())
        await asyncio.wait_for(monitor, PATIENCE)
        await asyncio.wait_for(receiving, PATIENCE)
    finally:
        monitor.cancel()
        receiving.cancel()
        await closed(writer)


def play(
    directory: Path,
    scene: Callable[[PlayedCore], Awaitable[None]],
    pauses: TextfilePauses | None = None,
) -> None:
    """Play a scene with a monitor."""

    async def perform() -> None:
        async with core(directory, pauses) as played:
            await scene(played)

    asyncio.run(perform())


def test_a_fleet_is_shown_while_there_is_one(tmp_path: Path) -> None:
    up = "gatecert_fleet_database_up"

    async def scene(core: PlayedCore) -> None:
        with_fleet = core.plan(has_fleet=True)
        core.watch(with_fleet, "boston")
        core.send(FleetSeen(to_plain(FleetReport(NOW, "db1 refuses connections"))))
        await core.until_metric(up, "0.0")
        assert "db1 refuses connections" in (await core.get("page", "/"))[1]
        core.watch(replace(with_fleet, metrics=None), "boston")
        core.watch(with_fleet, "boston")
        await core.until_metric(up, "0.0")  # metrics that are new know of it
        core.send(FleetSeen(to_plain(FleetReport(NOW))))
        await core.until_metric(up, "1.0")
        core.watch(core.plan(), "boston")
        await core.until_metric(up, "")
        assert "refuses" not in (await core.get("page", "/"))[1]

    play(tmp_path, scene)


def test_gateways_are_shown_once_they_are_described(tmp_path: Path) -> None:
    async def scene(core: PlayedCore) -> None:
        core.watch(core.plan(), "boston", "kiel")
        core.send(Ready(ready=True))
        core.describe(WELL)
        await core.until_metric("gatecert_gateways_known", "1.0")
        assert await core.metric('gatecert_certificate_served{gateway="boston"}') == "1.0"
        assert (await core.get("page", "/readyz"))[0] == 503
        core.describe(ILL)
        await core.until_metric("gatecert_gateways_not_served", "1.0")
        assert (await core.get("page", "/readyz"))[0] == 200
        status, body = await core.get("page", "/status.json")
        assert status == 200
        document = json.loads(body)
        assert document["daemon"] == {"running": True, "pid": 4711}
        assert [each["name"] for each in document["gateways"]] == ["boston", "kiel"]
        assert "serves another one" in (await core.get("page", "/"))[1]

    play(tmp_path, scene)


def test_a_reload_does_not_make_the_daemon_unready(tmp_path: Path) -> None:
    async def scene(core: PlayedCore) -> None:
        core.watch(core.plan(), "boston")
        core.send(Ready(ready=True))
        core.describe(WELL)
        await core.until_metric("gatecert_gateways_known", "1.0")
        assert (await core.get("page", "/readyz"))[0] == 200
        core.watch(core.plan(), "boston", "kiel")
        await core.until_metric("gatecert_gateways_configured", "2.0")
        assert await core.metric("gatecert_ready") == "1.0"
        unready = (503, "1 of 2 gateways not read yet\n")
        assert await core.get("page", "/readyz") == unready  # of the new one, nothing is known
        core.watch(core.plan(), "boston")
        await core.until_metric("gatecert_gateways_configured", "1.0")
        assert (await core.get("page", "/readyz"))[0] == 200

    play(tmp_path, scene)


def test_the_listeners_serve_their_own_paths_only(tmp_path: Path) -> None:
    async def scene(core: PlayedCore) -> None:
        core.watch(core.plan(), "boston")
        assert (await core.get("metrics", "/"))[0] == 200
        assert (await core.get("metrics", "/status.json"))[0] == 404
        assert (await core.get("page", "/metrics"))[0] == 404

    play(tmp_path, scene)


def test_measurements_are_counted(tmp_path: Path) -> None:
    async def scene(core: PlayedCore) -> None:
        core.watch(core.plan(), "boston")
        core.send(*[Measured(Measurement.WORKER_RESTARTS, {}, 1.0)] * 3)
        await core.until_metric("gatecert_worker_restarts_total", "3.0")

    play(tmp_path, scene)


def test_a_new_plan_opens_and_closes_listeners_and_forgets_gateways(tmp_path: Path) -> None:
    async def scene(core: PlayedCore) -> None:
        core.watch(core.plan(), "boston", "kiel")
        core.describe(WELL, ILL)
        await core.until_metric("gatecert_gateways_known", "2.0")
        core.watch(core.plan(page=None), "boston")
        await core.until(lambda: not (tmp_path / "page").exists())
        await core.until_metric("gatecert_gateways_known", "1.0")
        assert await core.metric('gatecert_certificate_served{gateway="kiel"}') == ""
        core.describe(ILL)  # of a worker of the configuration before
        core.describe(WELL)
        core.watch(core.plan(metrics=None), "boston")
        status, _ = await core.get("page", "/gateways/boston")
        assert status == 200
        assert not (tmp_path / "metrics").exists()

    play(tmp_path, scene)


def test_gateways_without_metrics_of_their_own_are_in_the_sums(tmp_path: Path) -> None:
    async def scene(core: PlayedCore) -> None:
        plan = core.plan()
        assert plan.metrics is not None
        core.watch(plan, "boston")
        core.describe(WELL)
        await core.until_metric('gatecert_certificate_served{gateway="boston"}', "1.0")
        core.watch(replace(plan, metrics=replace(plan.metrics, per_gateway=False)), "boston")
        await core.until_metric('gatecert_certificate_served{gateway="boston"}', "")
        assert await core.metric('gatecert_gateways{state="trusted"}') == "1.0"

    play(tmp_path, scene)


def test_a_gateway_whose_state_cannot_be_read_fails_and_is_named(tmp_path: Path) -> None:
    async def scene(core: PlayedCore) -> None:
        core.watch(core.plan(), "boston", "lab")
        core.send(Ready(ready=True))
        core.describe(WELL)
        await core.until_metric('gatecert_last_attempt_success{gateway="boston"}', "1.0")
        for name in ("boston", "lab"):
            core.send(Unreadable(name, WELL_AT, "storage", "state.json: Input/output error", ""))
        await core.until_metric('gatecert_needs_attention{gateway="boston"}', "1.0")
        assert await core.metric('gatecert_last_attempt_success{gateway="boston"}') == "1.0"
        assert await core.metric('gatecert_consecutive_failures{gateway="boston"}') == "0.0"
        assert await core.metric("gatecert_gateways_known") == "1.0"  # nothing is known of lab
        _, body = await core.get("page", "/")
        assert "lab: its status cannot be read: state.json: Input/output error" in body
        assert (await core.get("page", "/readyz"))[0] == 503
        core.describe(WELL)
        await core.until_metric('gatecert_needs_attention{gateway="boston"}', "0.0")

    play(tmp_path, scene)


def test_the_textfile_has_the_same_metrics(tmp_path: Path) -> None:
    textfile = tmp_path / "gatecert.prom"

    async def scene(core: PlayedCore) -> None:
        core.watch(core.plan(metrics=MetricsPlan(textfile=str(textfile))), "boston")
        core.describe(WELL)
        await core.until(textfile.exists)
        await core.until(lambda: 'gatecert_certificate_served{gateway="boston"} 1.0' in written())

    def written() -> str:
        return textfile.read_text("utf-8")

    play(tmp_path, scene)
    assert textfile.stat().st_mode & 0o777 == 0o644


def test_the_textfile_is_written_again_before_it_looks_as_if_nothing_ran(
    tmp_path: Path,
) -> None:
    textfile = tmp_path / "gatecert.prom"

    async def scene(core: PlayedCore) -> None:
        core.watch(core.plan(metrics=MetricsPlan(textfile=str(textfile)), page=None), "boston")
        await core.until(textfile.exists)
        first = textfile.stat().st_ino
        await core.until(lambda: textfile.stat().st_ino != first)

    play(tmp_path, scene, TextfilePauses(least=0.0, most=0.3))


def textfile_plan(core: PlayedCore, name: str) -> MonitoringPlan:
    return core.plan(metrics=MetricsPlan(textfile=str(core.directory / name)))


@pytest.mark.parametrize("drops", ["renamed", "no textfile", "no metrics", "nothing"])
def test_a_textfile_of_the_configuration_before_is_removed(tmp_path: Path, drops: str) -> None:
    textfile, renamed = tmp_path / "gatecert.prom", tmp_path / "gatecert-2.prom"

    async def scene(core: PlayedCore) -> None:
        core.watch(textfile_plan(core, textfile.name), "boston")
        await core.until(textfile.exists)
        match drops:
            case "renamed":
                core.watch(textfile_plan(core, renamed.name), "boston")
                await core.until(renamed.exists)
            case "no textfile":
                core.watch(core.plan(), "boston")
            case "no metrics":
                core.watch(core.plan(metrics=None), "boston")
            case "nothing":
                core.send(Watch({}, [], 4711))
        await core.until(lambda: not textfile.exists())

    play(tmp_path, scene)
    assert renamed.exists() == (drops == "renamed")


def test_a_textfile_of_somebody_else_stays(tmp_path: Path) -> None:
    textfile = tmp_path / "gatecert.prom"

    async def scene(core: PlayedCore) -> None:
        core.watch(textfile_plan(core, textfile.name), "boston")
        await core.until(textfile.exists)
        other = tmp_path / "other"
        other.write_text("theirs 1\n")
        other.rename(textfile)
        core.watch(textfile_plan(core, "renamed.prom"), "boston")
        await core.until((tmp_path / "renamed.prom").exists)

    play(tmp_path, scene)
    assert textfile.read_text() == "theirs 1\n"


def test_the_textfile_stays_when_the_daemon_ends(tmp_path: Path) -> None:
    textfile = tmp_path / "gatecert.prom"

    async def scene(core: PlayedCore) -> None:
        core.watch(textfile_plan(core, textfile.name), "boston")
        await core.until(textfile.exists)

    play(tmp_path, scene)
    assert textfile.exists()


def test_what_does_not_work_is_logged_once_and_in_the_status(tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "gatecert.prom"

    async def scene(core: PlayedCore) -> None:
        (tmp_path / "page").mkdir()  # where the socket should be
        core.watch(core.plan(metrics=MetricsPlan(textfile=str(missing))), "boston")
        await core.until(lambda: len(read_monitoring_status(tmp_path).problems) == 2)
        core.describe(WELL, WELL)
        await core.until(lambda: len(core.records) >= 2)

    async def wait(core: PlayedCore) -> None:
        await scene(core)
        await asyncio.sleep(0.3)
        assert len(core.records) == 2, core.records

    play(tmp_path, wait)
    page, metrics = read_monitoring_status(tmp_path).listeners
    assert (page.purpose, metrics.address) == ("page", str(missing))
    assert page.fix
    assert metrics.fix


def test_a_receiver_is_told_and_its_result_is_a_metric(tmp_path: Path) -> None:
    told = tmp_path / "told"
    receiver = ReceiverPlan(
        "file",
        ReceiverKind.COMMAND,
        command=("/usr/bin/tee", "-a", str(told)),
        group=timedelta(seconds=0.2),
    )

    async def scene(core: PlayedCore) -> None:
        core.watch(core.plan(receivers=(receiver,)), "boston", "kiel")
        core.describe(WELL, ILL)
        delivered = 'gatecert_notifications_total{receiver="file",result="delivered"}'
        await core.until_metric(delivered, "1.0")
        message = json.loads(told.read_text("utf-8").splitlines()[0])
        assert [(each["event"], each["gateway"]) for each in message["events"]] == [
            ("not-served", "kiel")
        ]
        core.watch(core.plan(receivers=(receiver,)), "boston", "kiel")
        core.describe(WELL, ILL)  # after a reload: nothing new
        core.describe(replace(ILL, state=Condition.TRUSTED, served=True, served_detail=""))
        await core.until_metric(delivered, "2.0")

    play(tmp_path, scene)
    events = [json.loads(line)["events"][0]["event"] for line in told.read_text().splitlines()]
    assert events == ["not-served", "recovered"]


def test_the_monitor_ends_with_its_core_and_leaves_no_socket(tmp_path: Path) -> None:
    async def perform() -> None:
        ours, theirs = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=ours)
        played = PlayedCore(tmp_path, writer, [])
        monitor = asyncio.create_task(run(theirs, logging.INFO))
        played.watch(played.plan(), "boston")
        await played.until((tmp_path / "page").exists)
        await closed(writer)
        await asyncio.wait_for(monitor, PATIENCE)

    asyncio.run(perform())
    assert not (tmp_path / "page").exists()
    assert not (tmp_path / "metrics").exists()


def test_a_message_that_is_none_ends_the_monitor(tmp_path: Path) -> None:
    async def perform() -> None:
        ours, theirs = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=ours)
        monitor = asyncio.create_task(run(theirs, logging.CRITICAL))
        writer.write(b"garbage\n")
        try:
            await asyncio.wait_for(monitor, PATIENCE)
        finally:
            await closed(writer)

    with pytest.raises(Exception, match="a line that is not JSON"):
        asyncio.run(perform())
    assert not list(tmp_path.iterdir())
