"""Drop-ins of gatecert's own units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.deploy.reload_unit import ReloadUnit, ServerUnit
from gatecert.errors import DeploymentError
from gatecert.setup.server_change import Finished
from gatecert.setup.service_units import ServiceUnits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RELOAD = "gatecert-reload@gate"


class Systemctl:
    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.ran: list[str] = []

    def __call__(self, argv: Sequence[str]) -> Finished:
        self.ran.append(" ".join(argv).removeprefix("systemctl --quiet "))
        return Finished(self.status, "refused" if self.status else "")


def units(tmp_path: Path, run: Systemctl, known: ReloadUnit | None = None) -> ServiceUnits:
    return ServiceUnits("gate", "", units=tmp_path, run=run, read_reload=lambda _: known)


def test_the_service_may_write_to_directories(tmp_path: Path) -> None:
    run = Systemctl()
    prepared = units(tmp_path, run)
    webroot = prepared.webroot_directory(tmp_path / "html")
    copies = prepared.copies_directory(tmp_path / "copies")

    prepared.allow_writing([webroot, copies])
    prepared.allow_writing([webroot, copies])
    prepared.start(is_active=True)

    written = (tmp_path / "gatecert.service.d" / "init-gate.conf").read_text()
    assert written == f"[Service]\nReadWritePaths={webroot} {copies}\n"
    assert webroot == tmp_path / "html/.well-known/acme-challenge"
    assert (webroot.stat().st_mode & 0o777, copies.stat().st_mode & 0o777) == (0o755, 0o700)
    assert run.ran == ["daemon-reload", "restart gatecert.service"]


def test_nothing_to_write_is_no_drop_in(tmp_path: Path) -> None:
    run = Systemctl()
    units(tmp_path, run).allow_writing([])

    assert not list(tmp_path.iterdir())


def test_the_reload_unit_is_enabled_with_the_servers_of_the_gateway(tmp_path: Path) -> None:
    run = Systemctl()

    units(tmp_path, run).enable_reload(["postfix.service", "dovecot.service"])

    written = (tmp_path / f"{RELOAD}.service.d" / "unit.conf").read_text()
    assert written == '[Service]\nEnvironment="UNIT=postfix.service dovecot.service"\n'
    assert run.ran == ["daemon-reload", f"enable --now {RELOAD}.path"]


def test_what_root_has_set_up_already_stays(tmp_path: Path) -> None:
    run = Systemctl()
    known = ReloadUnit(
        "gate", "loaded", enabled=True, active_state="active", servers=(ServerUnit("x.service"),)
    )

    units(tmp_path, run, known).enable_reload(["nginx.service"])

    assert not list(tmp_path.iterdir())
    assert run.ran == []


@pytest.mark.parametrize(
    ("is_active", "command"),
    [(False, "enable --now gatecert.service"), (True, "reload gatecert.service")],
)
def test_the_service_starts_or_reads_again(
    tmp_path: Path, *, is_active: bool, command: str
) -> None:
    run = Systemctl()

    units(tmp_path, run).start(is_active=is_active)

    assert run.ran == [command]


def test_a_failure_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match=r"enable --now .* failed: refused \(see journalctl"):
        units(tmp_path, Systemctl(1)).start(is_active=False)
