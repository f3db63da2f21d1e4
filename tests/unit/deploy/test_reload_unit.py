"""The systemd units that reload a gateway's server, as systemd shows them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatecert.deploy.reload_request import FILE_NAME
from gatecert.deploy.reload_unit import (
    FEW,
    Lack,
    ReloadUnit,
    ServerUnit,
    read_reload_units,
    reload_problem,
)
from gatecert.deploy.unit_properties import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GATEWAY = Path("/var/lib/gatecert/gateways/boston")
ENDED = datetime(2026, 11, 29, 10, 52, 49, tzinfo=UTC)
PATH_UNIT = """\
Paths=/var/lib/gatecert/gateways/boston/reload-wanted (PathExists)
Result=success
Id=gatecert-reload@boston.path
LoadState=loaded
ActiveState=active
UnitFileState=enabled
InactiveEnterTimestamp=
"""
SERVICE = """\
Result=exit-code
ExecMainStatus=1
ExecStart={ path=/usr/lib/gatecert/reload-unit ; argv[]=/usr/lib/gatecert/reload-unit $UNIT ; \
ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }
Environment="A=x UNIT=y" UNIT=ocserv.service "B=it's"
Id=gatecert-reload@boston.service
LoadState=loaded
ActiveState=failed
UnitFileState=static
InactiveEnterTimestamp=Sun 2026-11-29 10:52:49 UTC
"""
OCSERV = "Id=ocserv.service\nLoadState=loaded\nActiveState=inactive\nCanReload=yes\n"
GOOD = ReloadUnit(
    "boston",
    "loaded",
    enabled=True,
    active_state="active",
    watched=("/var/lib/gatecert/gateways/boston/reload-wanted",),
    servers=(ServerUnit("ocserv.service", "loaded", "active", can_reload=True),),
)
NEW = ReloadUnit("boston", "loaded", watched=GOOD.watched)


class Systemd:
    """Shows the same units as long as it lives."""

    def __init__(self, *blocks: str) -> None:
        self._blocks = {each["Id"]: each for each in parse("\n".join(blocks))}
        self.calls = 0
        self.asked: list[str] = []

    def __call__(self, units: Sequence[str], properties: Sequence[str]) -> list[Mapping[str, str]]:
        self.calls += bool(units)
        self.asked += units
        if list(units) == ["gatecert-reload@*"]:
            return list(self._blocks.values())
        missing = {"LoadState": "not-found", "ActiveState": "inactive", "CanReload": "no"}
        return [
            {name: self._blocks.get(unit, missing).get(name, "") for name in properties}
            for unit in units
        ]


def read(*blocks: str) -> ReloadUnit:
    return read_reload_units(["boston"], show=Systemd(*blocks))["boston"]


def test_all_gateways_are_read_in_two_calls() -> None:
    systemd = Systemd(PATH_UNIT, SERVICE, OCSERV)

    units = read_reload_units(["boston", "paris"], show=systemd)

    assert list(units) == ["boston", "paris"]
    assert systemd.calls == 2
    boston = units["boston"]
    assert boston == replace(
        GOOD,
        servers=(ServerUnit("ocserv.service", "loaded", "inactive", can_reload=True),),
        result="exit-code",
        exit_status=1,
        ended=ENDED,
    )
    assert boston.last_run == "last run failed (exit status 1), 2026-11-29 10:52:49 UTC"
    assert units["paris"].load_state == "not-found"


def test_of_many_gateways_only_units_in_memory_are_read() -> None:
    systemd = Systemd(PATH_UNIT, SERVICE, OCSERV)
    others = [f"other{number}" for number in range(100)]

    units = read_reload_units([*others, "boston"], show=systemd)

    assert list(units) == [*others, "boston"]
    assert units["boston"] == read(PATH_UNIT, SERVICE, OCSERV)
    assert len(systemd.asked) == 1 + 2 * FEW + 1
    problem = reload_problem(units["other99"], GATEWAY.parent / "other99")
    assert problem is not None
    assert str(problem) == (
        "gatecert-reload@other99.path is not enabled:"
        " systemctl enable --now gatecert-reload@other99.path"
    )


def test_of_many_gateways_nothing_is_known_without_systemd() -> None:
    gateways = [f"other{number}" for number in range(100)]

    assert read_reload_units(gateways, show=lambda _, __: []) == {}


def test_without_systemd_nothing_is_known() -> None:
    assert read_reload_units(["boston"], show=lambda _, __: []) == {}


def test_a_unit_that_has_not_run() -> None:
    service = SERVICE.replace("exit-code", "success").replace("Sun 2026-11-29 10:52:49 UTC", "n/a")

    assert read(PATH_UNIT, service, OCSERV).last_run == ""
    assert read(PATH_UNIT, SERVICE.replace("exit-code", "success"), OCSERV).last_run == (
        "last run succeeded, 2026-11-29 10:52:49 UTC"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/usr/lib/gatecert/reload-unit $UNIT", "/usr/local/sbin/reload-boston"),
        ("ExecMainStatus=1", "EnvironmentFiles=/etc/default/boston (ignore_errors=no)"),
    ],
    ids=["its own command", "variables in a file"],
)
def test_no_name_is_missed_where_none_is_needed(before: str, after: str) -> None:
    service = SERVICE.replace(before, after).replace(" UNIT=ocserv.service", "")
    unit = replace(read(PATH_UNIT, service), ended=None)

    assert unit.servers == ()
    assert reload_problem(unit, GATEWAY) is None


def test_a_value_that_no_shell_would_write_is_read_nevertheless() -> None:
    service = SERVICE.replace('"B=it\'s"', '"')

    assert read(PATH_UNIT, service, OCSERV).servers == (
        ServerUnit("ocserv.service", "loaded", "inactive", can_reload=True),
    )


@pytest.mark.parametrize("name", ["--now", "ocserv@.service", "ocserv@", "a/b", ".", "@x"])
def test_names_that_are_no_units_are_not_looked_up(name: str) -> None:
    unit = read(PATH_UNIT, SERVICE.replace("UNIT=ocserv.service", f"UNIT={name}"))

    assert unit.servers == (ServerUnit(name),)


def test_several_units_may_be_named() -> None:
    service = SERVICE.replace("UNIT=ocserv.service", '"UNIT=ocserv.service missing.service"')

    unit = read(PATH_UNIT, service, OCSERV)

    assert [each.name for each in unit.servers] == ["ocserv.service", "missing.service"]
    problem = reload_problem(unit, GATEWAY)
    assert problem is not None
    assert problem.what == "there is no unit missing.service"


def test_a_complete_unit_has_no_problem() -> None:
    assert reload_problem(GOOD, GATEWAY) is None
    assert reload_problem(replace(GOOD, result="success", ended=ENDED), GATEWAY) is None
    assert reload_problem(replace(GOOD, servers=(ServerUnit("ocserv.service"),)), GATEWAY) is None


def test_the_steps_of_what_is_missing_are_in_the_order_in_which_they_work() -> None:
    problem = reload_problem(NEW, GATEWAY)

    assert problem is not None
    assert problem.lack is Lack.NOT_SET_UP
    assert str(problem) == (
        "gatecert-reload@boston.path is not enabled, and UNIT= is not set in"
        " gatecert-reload@boston.service: systemctl edit gatecert-reload@boston.service"
        " (two lines: [Service] and Environment=UNIT=NAME.service);"
        " then systemctl enable --now gatecert-reload@boston.path"
    )


def server(name: str, load_state: str = "loaded", *, can_reload: bool = False) -> ReloadUnit:
    return replace(GOOD, servers=(ServerUnit(name, load_state, "active", can_reload),))


@pytest.mark.parametrize(
    ("unit", "what", "fix"),
    [
        (replace(GOOD, enabled=False), "path is not enabled", "systemctl enable --now gatecert-r"),
        (replace(GOOD, active_state="inactive"), "path is not started", "systemctl start"),
        (replace(GOOD, active_state="failed"), "path has failed", "systemctl restart"),
        (replace(GOOD, load_state="masked"), "path is masked", "systemctl unmask"),
        (replace(GOOD, load_state="bad-setting"), "path is bad-setting", "systemctl status"),
        (replace(GOOD, servers=()), "UNIT= is not set", "Environment=UNIT=NAME.service"),
        (server("ocsrv", "not-found"), "there is no unit ocsrv", "correct Environment=UNIT="),
        (server("ocserv", "masked"), "ocserv is masked", "systemctl unmask ocserv"),
        (server("dbus.socket"), "dbus.socket cannot be reloaded", "add ExecReload="),
        (server("gatecert.service", can_reload=True), "not the name of a server's", "edit"),
        (server("ocserv@.service", ""), "UNIT=ocserv@.service is not the name", "edit"),
        (server("--now", ""), "UNIT=--now is not the name", "Environment=UNIT=NAME.service"),
        (
            replace(GOOD, watched=("/srv/reload-wanted",)),
            f"watches /srv/reload-wanted, but gatecert writes {GATEWAY}/reload-wanted",
            "set state_directory",
        ),
    ],
)
def test_what_is_incomplete_is_named_with_its_fix(unit: ReloadUnit, what: str, fix: str) -> None:
    problem = reload_problem(unit, GATEWAY)

    assert problem is not None
    assert problem.lack is Lack.INCOMPLETE
    assert what in problem.what
    assert fix in problem.fix


def test_units_that_are_not_installed() -> None:
    problem = reload_problem(ReloadUnit("boston"), GATEWAY)

    assert problem is not None
    assert (problem.lack, problem.what) == (
        Lack.NOT_SET_UP,
        "gatecert-reload@boston.path does not exist",
    )
    assert "install.reload" in problem.fix


@pytest.mark.parametrize(
    ("result", "shown"), [("exit-code", "exit status 3"), ("timeout", "timeout")]
)
def test_a_run_that_failed_is_a_problem_of_its_own(result: str, shown: str) -> None:
    problem = reload_problem(replace(GOOD, result=result, exit_status=3, ended=ENDED), GATEWAY)

    assert problem is not None
    assert problem.lack is Lack.FAILED
    assert f"last run failed ({shown}), 2026-11-29 10:52:49 UTC" in problem.what
    assert problem.fix == "see journalctl -u gatecert-reload@boston.service"


def test_a_request_that_cannot_be_removed_is_a_problem_while_the_service_waits(
    tmp_path: Path,
) -> None:
    waiting = read(PATH_UNIT, SERVICE + "SubState=start-pre\n", OCSERV)
    assert waiting.takes_request
    waiting = replace(waiting, watched=(), result="success")
    assert reload_problem(waiting, tmp_path) is None
    (tmp_path / FILE_NAME).mkdir()

    problem = reload_problem(waiting, tmp_path)

    assert problem is not None
    assert problem.lack is Lack.FAILED
    assert problem.what == f"{waiting.service} cannot remove {tmp_path}/reload-wanted"
    assert problem.fix == "remove it as root, or make its file system writable"
