"""The fleet that has enrolled already is one for gatecert, too."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from bench.fleet import Fleet

from gatecert.app import build
from gatecert.config.load import load
from gatecert.model import Action
from gatecert.schedule.due import next_due, next_watch
from harness.gatecert import Gatecert

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def daemon(tmp_path: Path) -> Gatecert:
    daemon = Gatecert(tmp_path)
    daemon.configuration["authorities"]["pebble"] = {
        "directory_url": "https://127.0.0.1:1/dir",
        "terms_of_service_agreed": True,
    }
    return daemon


def test_nothing_is_due_for_a_gateway(daemon: Gatecert) -> None:
    fleet = Fleet(daemon)
    fleet.add(1)
    fleet.add_gateway("listening", "listening.example.com", listener="127.0.0.1:4433")
    daemon.write()
    application = build(load(daemon.configuration_file), lambda *_: None, threading.Event())
    now = fleet.now
    for name, target in application.targets.items():
        current = application.pipeline.open(target)
        due = next_due(current.situation, now)
        assert (due.action, due.at > now) == (Action.ENROL, True), name
        assert current.state.host.next_look is not None
        assert current.state.host.next_look > now
    watched = application.pipeline.open(application.targets["listening"])
    at = next_watch(watched.situation, now)
    assert at is not None
    assert at > now
