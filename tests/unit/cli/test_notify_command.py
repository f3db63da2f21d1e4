"""``gatecert notify``: what it shows of receivers, and of a test message to them."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import yaml
from tests.fakes.clock import Clock
from tests.fakes.gateway_statuses import gateway

from gatecert import cli
from gatecert.model import ReceiverPlan
from gatecert.model.monitoring import ReceiverKind
from gatecert.monitoring.delivery_answer import Answer
from gatecert.monitoring.notification_state import (
    FILE_NAME,
    NotificationState,
    Outgoing,
    ReceiverState,
    encode,
)
from gatecert.monitoring.notifications import Notifications
from gatecert.report.gateway_status import Condition

if TYPE_CHECKING:
    from pathlib import Path

RECEIVERS = [
    {"command": ["true"], "name": "well"},
    {"command": ["sh", "-c", "echo no route; exit 3"], "name": "ill"},
]


class Run(Protocol):
    """Runs a command; returns exit code, standard output and error."""

    def __call__(self, *arguments: str) -> tuple[int, str, str]: ...


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    configuration = tmp_path / "config.yaml"
    written = {
        "state_directory": str(tmp_path),
        "notify": RECEIVERS,
        "gateways": {"vpn": {"hostname": "vpn.example.com", "mode": "custom"}},
    }
    configuration.write_text(yaml.dump(written), "utf-8")

    def command(*arguments: str) -> tuple[int, str, str]:
        argv = ["gatecert", "-c", str(configuration), "notify", *arguments]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as ended:
            cli.run()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return command


def remember(tmp_path: Path, **states: ReceiverState) -> None:
    (tmp_path / FILE_NAME).write_bytes(encode(NotificationState({}, states)))


def test_receivers_are_shown_as_they_are(run: Run, tmp_path: Path) -> None:
    assert run() == (0, "ill: nothing told yet\nwell: nothing told yet\n", "")
    now = datetime.now(UTC)
    ill = ReceiverState(
        outgoing=Outgoing("1", {}),
        told_at=now - timedelta(hours=5),
        failures=3,
        failing_since=now - timedelta(hours=3),
        next_at=now + timedelta(hours=1, minutes=30),
        problem="it answers 403",
        fix="check its URL",
    )
    remember(tmp_path, ill=ill, well=ReceiverState(told_at=now - timedelta(hours=2)))
    assert run()[1].splitlines() == [
        "ill: fails for 3 h, next attempt in 1 h: it answers 403; check its URL (told 5 h ago)",
        "well: told 2 h ago",
    ]
    found: dict[str, Any] = json.loads(run("--json", "ill")[1])
    assert found["schema"] == 1
    (shown,) = found["receivers"]
    assert (shown["name"], shown["waiting"], shown["fix"]) == ("ill", 1, "check its URL")


def test_a_refused_message_is_shown_as_the_daemon_knows_it(run: Run, tmp_path: Path) -> None:
    async def refuse(plan: ReceiverPlan, message: Outgoing) -> Answer:
        del plan, message
        return Answer(accepted=False, problem="it answers 403", fix="check its URL", refused=True)

    clock = Clock(datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=20))
    before = ReceiverPlan("its-earlier-name", ReceiverKind.COMMAND, command=("true",))
    monitor = Notifications([before], tmp_path, clock, deliver=refuse)
    monitor.seen(gateway("vpn", Condition.SILENT, served=False))
    for minutes in (1, 1, 2, 4, 8):
        clock.time += timedelta(minutes=minutes)
        asyncio.run(monitor.run_due())

    assert " min, next attempt in 1" in run("well")[1]
    (shown,) = json.loads(run("--json", "well")[1])["receivers"]
    (known,) = monitor.statuses()
    assert datetime.fromisoformat(shown["next_at"]) == clock.time + timedelta(minutes=16)
    assert known.next_at == clock.time + timedelta(minutes=16)
    assert shown["waiting"] == known.waiting == 1


def test_a_damaged_record_is_left_to_the_daemon(run: Run, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"{")
    assert run("well") == (0, "well: nothing told yet\n", "")
    assert (tmp_path / FILE_NAME).read_bytes() == b"{"


def test_a_test_message_that_fails_says_why(run: Run) -> None:
    assert run("--test", "well") == (0, "well: accepted the test message\n", "")
    code, output, _ = run("--test")
    assert code == 1
    assert output.splitlines()[0] == (
        "ill: not accepted: the command sh failed (exit status 3): no route; correct it"
    )
    found = json.loads(run("--test", "--json", "i*")[1])
    assert [each["accepted"] for each in found["receivers"]] == [False]


def test_an_unknown_receiver_is_wrong_usage(run: Run) -> None:
    code, _, errors = run("--test", "wel")
    assert code == 2
    assert "did you mean 'well'" in errors
