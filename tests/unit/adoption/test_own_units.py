"""The set-up of gatecert's own units for adopted gateways."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.adoption.own_units import UnitsResult, set_up
from gatecert.deploy.reload_unit import ReloadUnit, ServerUnit
from gatecert.setup.host import Host, UnitState
from gatecert.setup.server_change import Finished

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

HOST = Host(
    is_root=True,
    has_systemd=True,
    is_packaged=True,
    units={"gatecert.service": UnitState("gatecert.service", is_active=True)},
)


class Systemd:
    """A systemd that records its commands."""

    def __init__(self, units: Path, *, fails: bool = False) -> None:
        self.units = units
        self.commands: list[str] = []
        self._status = 1 if fails else 0

    def run(self, argv: Sequence[str]) -> Finished:
        self.commands.append(" ".join(argv))
        return Finished(self._status, "no such unit")

    def set_up(
        self, wanted: Mapping[str, str], webroot: Path | None = None, *, host: Host = HOST
    ) -> UnitsResult:
        def read(gateways: Sequence[str]) -> dict[str, ReloadUnit]:
            named = ReloadUnit("named", servers=(ServerUnit("own.service"),))
            return {name: named for name in gateways if name == "named"}

        return set_up(wanted, webroot, host, units=self.units, run=self.run, read=read)


def test_reload_units_are_written_and_enabled_at_once(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path)

    result = systemd.set_up({"shop": "nginx.service", "mail": "postfix.service dovecot.service"})

    assert result.reloaded == {"shop", "mail"}
    written = (tmp_path / "gatecert-reload@mail.service.d" / "unit.conf").read_text("utf-8")
    assert written == '[Service]\nEnvironment="UNIT=postfix.service dovecot.service"\n'
    assert systemd.commands == [
        "systemctl --quiet daemon-reload",
        "systemctl --quiet enable --now gatecert-reload@mail.path gatecert-reload@shop.path",
    ]


def test_units_that_root_has_named_stay(tmp_path: Path) -> None:
    Systemd(tmp_path).set_up({"named": "nginx.service"})

    assert list(tmp_path.iterdir()) == []


def test_the_service_may_write_to_a_webroot_and_restarts(tmp_path: Path) -> None:
    systemd, webroot = Systemd(tmp_path / "units"), tmp_path / "html"
    (tmp_path / "units").mkdir()

    result = systemd.set_up({}, webroot)

    assert result.webroot
    directory = webroot / ".well-known" / "acme-challenge"
    assert directory.is_dir()
    (drop_in,) = (tmp_path / "units" / "gatecert.service.d").iterdir()
    assert f"ReadWritePaths={directory}" in drop_in.read_text("utf-8")
    assert systemd.commands[-1] == "systemctl --quiet restart gatecert.service"


def test_a_failure_is_a_result(tmp_path: Path) -> None:
    result = Systemd(tmp_path, fails=True).set_up({"shop": "nginx.service"})

    assert result.reloaded == frozenset()
    assert "systemctl daemon-reload failed: no such unit" in result.problem


def test_nothing_is_set_up_without_the_packaged_service(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path)

    assert systemd.set_up({"shop": "nginx.service"}, tmp_path, host=Host()) == UnitsResult()
    assert systemd.commands == []
