"""Passes of a command: side by side, and ended by Ctrl-C."""

from __future__ import annotations

import signal
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gatecert.cli.passes import run_passes, state_of
from gatecert.cli.progress_lines import ProgressLines
from gatecert.errors import LockTimeoutError, StorageError
from gatecert.model import (
    Deployment,
    EnrolmentState,
    GatewayState,
    Identifier,
    IdentifierType,
    Outcome,
    OutcomeKind,
    Target,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NAME = Identifier(IdentifierType.DNS, "vpn.example.com")


def target(name: str) -> Target:
    return Target(name, (NAME,), "vpn.example.com")


def outcome(name: str, kind: OutcomeKind = OutcomeKind.DEPLOYED) -> Outcome:
    return Outcome(name, NOW, kind, "is served")


def live(*, bootstrap: bool) -> SimpleNamespace:
    return SimpleNamespace(summary=SimpleNamespace(is_bootstrap=bootstrap, not_after=NOW))


@dataclass
class PlayedApplication:
    """Knows the state of one gateway."""

    live: Any = field(default_factory=lambda: live(bootstrap=False))
    order: Any = None
    deployment: Any = None
    broken: bool = False

    def open(self, target: Target) -> Any:  # noqa: ANN401 - a Pass, as far as it is used
        if self.broken:
            raise StorageError(f"{target.name} cannot be read")
        return SimpleNamespace(
            live=self.live,
            state=GatewayState(EnrolmentState(order=self.order)),
            situation=SimpleNamespace(deployment=self.deployment),
        )


@pytest.fixture
def application() -> PlayedApplication:
    return PlayedApplication()


def test_one_gateway_that_cannot_be_run_does_not_stop_the_others(
    application: PlayedApplication, capsys: pytest.CaptureFixture[str]
) -> None:
    def attend(target: Target) -> Outcome:
        if target.name == "locked":
            raise LockTimeoutError("locked is being changed", fix="wait")
        return outcome(target.name)

    targets = [target("locked"), target("a"), target("b")]
    ran = run_passes(cast("Any", application), targets, attend, ProgressLines(), threading.Event())

    assert sorted(each.gateway for each in ran.outcomes) == ["a", "b"]
    assert list(ran.errors) == ["locked"]
    assert not ran.interrupted
    assert capsys.readouterr().err == "gatecert: locked is being changed (wait)\n"


def test_an_interrupt_stops_the_passes_and_says_what_they_leave(
    application: PlayedApplication, capsys: pytest.CaptureFixture[str]
) -> None:
    cancelled, both = threading.Event(), threading.Barrier(2)

    def attend(target: Target) -> Outcome:
        if both.wait(10) == 0:
            signal.raise_signal(signal.SIGINT)
        assert cancelled.wait(10)
        kind = OutcomeKind.WAITING if target.name == "a" else OutcomeKind.DEPLOYED
        return outcome(target.name, kind)

    targets = [target("a"), target("b"), target("never-begun")]
    ran = run_passes(
        cast("Any", application), targets, attend, ProgressLines(), cancelled, most_at_once=2
    )

    assert ran.interrupted
    assert not ran.still_running
    assert [each.gateway for each in ran.outcomes] == ["b"]
    assert sorted(ran.unfinished) == ["a", "never-begun"]
    output, errors = capsys.readouterr()
    assert output == "b: deployed: is served (0.00 s)\n"
    kept = "interrupted: keeps its certificate, which ends 2026-11-23"
    assert sorted(errors.splitlines()) == [f"a: {kept}", f"never-begun: {kept}"]


def test_a_pass_that_does_not_stop_is_left(
    application: PlayedApplication,
) -> None:
    end = threading.Event()

    def attend(target: Target) -> Outcome:
        signal.raise_signal(signal.SIGINT)
        end.wait(10)
        return outcome(target.name)

    ran = run_passes(
        cast("Any", application),
        [target("a")],
        attend,
        ProgressLines(),
        threading.Event(),
        grace=0.01,
    )
    end.set()

    assert (ran.still_running, ran.unfinished) == (True, ["a"])


@pytest.mark.parametrize(
    ("application", "state"),
    [
        (PlayedApplication(live=None), "has no certificate yet"),
        (
            PlayedApplication(live=live(bootstrap=True), order="pending"),
            "keeps its bootstrap certificate; its order is kept",
        ),
        (
            PlayedApplication(deployment=Deployment("v1", confirmed=NOW)),
            "keeps its certificate, which ends 2026-11-23",
        ),
        (
            PlayedApplication(deployment=Deployment("v1")),
            "keeps its certificate, which ends 2026-11-23; its deployment is not finished",
        ),
        (
            PlayedApplication(broken=True),
            "its state cannot be read: a cannot be read",
        ),
    ],
)
def test_what_an_interrupted_pass_leaves(application: PlayedApplication, state: str) -> None:
    assert state_of(cast("Any", application), target("a")) == state
