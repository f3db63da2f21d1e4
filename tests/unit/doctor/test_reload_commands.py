"""Units that install.reload names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.config.schema import Configuration
from gatecert.doctor.reload_commands import findings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

UNITS = {
    "ocserv": {"LoadState": "loaded", "CanReload": "yes"},
    "static.service": {"LoadState": "loaded", "CanReload": "no"},
    "masked": {"LoadState": "masked", "CanReload": "no"},
}
MISSING = {"LoadState": "not-found", "CanReload": "no"}


class Systemd:
    """Knows some units, and records for which it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, units: Sequence[str], _: Sequence[str]) -> list[Mapping[str, str]]:
        self.asked += units
        return [UNITS.get(unit, MISSING) for unit in units]


def configured(*commands: Sequence[str]) -> Configuration:
    gateways = {
        f"vpn{number}": {"hostname": f"vpn{number}.cn", "install": {"reload": list(command)}}
        for number, command in enumerate(commands)
    }
    return Configuration.model_validate({"gateways": gateways}, by_alias=True, by_name=False)


def complaints(*command: str) -> list[tuple[object, str]]:
    found = findings(configured(command), show=Systemd())
    return [(each.location[-1], each.what) for each in found]


@pytest.mark.parametrize(
    ("command", "index", "what"),
    [
        ("systemctl reload ocsrv", 2, "there is no unit ocsrv; correct its name"),
        ("/usr/bin/systemctl --no-block reload -- ocserv ocsrv", 5, "there is no unit ocsrv"),
        ("systemctl restart ocsrv.service", 2, "there is no unit ocsrv.service"),
        ("systemctl reload masked", 2, "the unit masked is masked; run systemctl unmask masked"),
        ("systemctl reload static.service", 2, "cannot be reloaded, since it has no ExecReload="),
    ],
)
def test_a_unit_that_cannot_be_reloaded(command: str, index: int, what: str) -> None:
    ((where, said),) = complaints(*command.split())

    assert where == index
    assert what in said


@pytest.mark.parametrize(
    "command",
    [
        "systemctl reload ocserv",
        "systemctl restart static.service",
        "systemctl reload-or-restart static.service",
        "systemctl kill -s HUP ocsrv",
        "systemctl --user reload ocsrv",
        "systemctl -H host reload ocsrv",
        "systemctl --machine=vpn reload ocsrv",
        "systemctl reload ocs*",
        "systemctl",
        "service ocsrv reload",
    ],
)
def test_commands_that_may_succeed(command: str) -> None:
    assert complaints(*command.split()) == []


def test_all_units_are_asked_for_once() -> None:
    systemd = Systemd()
    gateways = configured(["systemctl", "reload", "a"], [], ["systemctl", "reload", "a", "b"])

    found = [each.location for each in findings(gateways, show=systemd)]

    assert systemd.asked == ["a", "b"]
    assert [where[1] for where in found] == ["vpn0", "vpn2", "vpn2"]


def test_nothing_is_known_without_systemd() -> None:
    assert list(findings(configured(["systemctl", "reload", "a"]), show=lambda _, __: [])) == []
