"""Notes of `gatecert check` about the reload."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gatecert import container
from gatecert.deploy.reload_unit import ReloadUnit, ServerUnit
from gatecert.doctor.reload_checks import reload_notes

DIRECTORY = Path("/var/lib/gatecert/gateways/vpn")
COMPLETE = ReloadUnit(
    "vpn",
    "loaded",
    enabled=True,
    active_state="active",
    servers=(ServerUnit("ocserv.service", "loaded", "active", can_reload=True),),
)


def notes(unit: ReloadUnit | None) -> list[str]:
    return list(reload_notes("vpn", unit, DIRECTORY))


def test_nothing_is_said_where_systemd_reloads_the_server() -> None:
    assert notes(COMPLETE) == []


def test_a_unit_that_is_not_set_up_may_not_be_needed() -> None:
    (note,) = notes(ReloadUnit("vpn", "loaded"))

    assert note.startswith("install.reload is empty, and gatecert-reload@vpn.path is not enabled")
    assert "unless the gateway detects new certificates itself" in note
    assert note.endswith("systemctl enable --now gatecert-reload@vpn.path")


def test_a_unit_that_somebody_has_begun_to_set_up_is_needed() -> None:
    (note,) = notes(replace(COMPLETE, enabled=False))

    assert note == (
        "install.reload is empty, and gatecert-reload@vpn.path is not enabled:"
        " systemctl enable --now gatecert-reload@vpn.path"
    )


@pytest.mark.parametrize(
    ("inside", "words"), [(False, "enable gatecert-reload@vpn.path"), (True, "watch its volume")]
)
def test_without_systemd_both_ways_are_named(
    monkeypatch: pytest.MonkeyPatch, words: str, *, inside: bool
) -> None:
    monkeypatch.setattr(container, "in_container", inside)

    (note,) = notes(None)

    assert words in note
