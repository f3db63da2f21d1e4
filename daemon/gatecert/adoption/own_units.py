"""Set-up of gatecert's own systemd units for adopted gateways.

On a packaged service the daemon has no privileges: systemd reloads the servers
(``gatecert-reload@NAME.path``), and a drop-in permits it to write to a webroot. All drop-ins are
written first, so that systemd reads its units once, however many gateways there are.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatecert.deploy.reload_unit import read_reload_units
from gatecert.errors import GatecertError
from gatecert.setup.host_reader import SERVICE
from gatecert.setup.server_change import run_command
from gatecert.setup.service_units import DIRECTORY_MODE, MODE, UNITS, ServiceUnits
from gatecert.store import operator_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from gatecert.deploy.reload_unit import ReloadUnit
    from gatecert.setup.host import Host
    from gatecert.setup.server_change import Run

logger = logging.getLogger(__name__)

WEBROOT_DROP_IN: Final = "adopted"  # in the name of the drop-in for the service


@dataclass(frozen=True, slots=True)
class UnitsResult:
    """The result of the set-up.

    Attributes:
        reloaded: The gateways whose servers systemd reloads.
        webroot: Whether the service may write to the webroot.
        problem: Why something could not be set up, one line; empty if nothing failed.
    """

    reloaded: frozenset[str] = frozenset()
    webroot: bool = False
    problem: str = ""


def set_up(  # noqa: PLR0913 - what it depends on, to be replaced in tests
    wanted: Mapping[str, str],
    webroot: Path | None,
    host: Host,
    *,
    units: Path = UNITS,
    run: Run = run_command,
    read: Callable[[Sequence[str]], Mapping[str, ReloadUnit]] = read_reload_units,
) -> UnitsResult:
    """Set the units up; a failure is a result, since certificates and state are adopted already.

    Args:
        wanted: The server's units by gateway, separated by spaces.
        webroot: The directory to which the service has to write; None for none.
        host: The facts about this host.
        units: The directory of the units that root writes.
        run: Runs a command.
        read: Reads the reload units of gateways.
    """
    if not (host.is_packaged and host.is_root and host.has_systemd):
        return UnitsResult()
    is_writable, reloaded = False, frozenset[str]()
    try:
        if webroot is not None:
            _permit_webroot(webroot, host, units, run)
            is_writable = True
        if wanted:
            _enable_reloads(wanted, units, run, read)
            reloaded = frozenset(wanted)
    except GatecertError as error:
        logger.debug("units not set up", exc_info=error)
        return UnitsResult(reloaded, is_writable, str(error))
    return UnitsResult(reloaded, is_writable)


def _permit_webroot(webroot: Path, host: Host, units: Path, run: Run) -> None:
    """Let the service write its responses below a webroot.

    Raises:
        GatecertError: It cannot be set up.
    """
    service = ServiceUnits(WEBROOT_DROP_IN, host.user, units=units, run=run)
    service.allow_writing([service.webroot_directory(webroot)])
    state = host.units.get(SERVICE)
    if service.has_changed_service and state is not None and state.is_active:
        service.start(is_active=True)


def _enable_reloads(
    wanted: Mapping[str, str],
    units: Path,
    run: Run,
    read: Callable[[Sequence[str]], Mapping[str, ReloadUnit]],
) -> None:
    """Enable the reload units; those that root has set up already stay as they are.

    Raises:
        GatecertError: That failed.
    """
    known = read(sorted(wanted))
    for gateway, servers in wanted.items():
        if gateway in known and known[gateway].servers:
            continue
        path = units / f"gatecert-reload@{gateway}.service.d" / "unit.conf"
        before = operator_files.read(path)
        text = f'[Service]\nEnvironment="UNIT={servers}"\n'
        operator_files.replace(
            path, before, text.encode(), mode=MODE, directory_mode=DIRECTORY_MODE
        )
    paths = [f"gatecert-reload@{gateway}.path" for gateway in sorted(wanted)]
    for command in (["daemon-reload"], ["enable", "--now", *paths]):
        ended = run(("systemctl", "--quiet", *command))
        if not ended.succeeded:
            raise GatecertError(
                f"systemctl {command[0]} failed: {ended.output}", fix="see journalctl -xe"
            )
