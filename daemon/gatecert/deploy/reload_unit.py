"""The systemd units that reload a gateway's server, and what they lack.

``gatecert-reload@NAME.path`` sees the request of `deploy.reload_request`;
``gatecert-reload@NAME.service`` reloads the units that root names in its ``Environment=UNIT=``,
separated by spaces. A drop-in may replace its command; then it needs no names.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeAlias

from gatecert.deploy import unit_properties
from gatecert.deploy.reload_request import FILE_NAME
from gatecert.errors import clean
from gatecert.time_format import instant

if TYPE_CHECKING:
    from pathlib import Path

Properties: TypeAlias = Mapping[str, str]
Show: TypeAlias = Callable[[Sequence[str], Sequence[str]], list[Properties]]

OF_THE_PATH: Final = ("LoadState", "UnitFileState", "ActiveState", "Result", "Paths")
OF_THE_SERVICE: Final = (
    *("Environment", "EnvironmentFiles", "ExecStart"),
    *("SubState", "ExecMainStatus", "InactiveEnterTimestamp"),
)
OF_THE_SERVER: Final = ("LoadState", "ActiveState", "CanReload")
FEW: Final = 16  # units that are read even if systemd has to read their files
# One that systemctl refuses would leave all others unread: no templates, such as ocserv@.service.
UNIT_NAME: Final = re.compile(r"(?!.*@(?:\.|$))[A-Za-z0-9_:][A-Za-z0-9:_.\\@-]{0,246}")
SERVER: Final = "NAME.service"
ENABLED: Final = {"enabled", "enabled-runtime"}
STAMP: Final = "%a %Y-%m-%d %H:%M:%S %Z"


@dataclass(frozen=True, slots=True)
class ServerUnit:
    """The unit that is reloaded.

    Attributes:
        name: As written in ``UNIT=``.
        load_state: ``loaded``, ``not-found``, ``masked`` …; empty if the name is not valid.
        can_reload: Whether it has an ``ExecReload=``, or reloads by notification.
    """

    name: str
    load_state: str = ""
    active_state: str = ""
    can_reload: bool = False


@dataclass(frozen=True, slots=True)
class ReloadUnit:
    """The state of ``gatecert-reload@NAME.path`` and of its service.

    Attributes:
        gateway: The gateway's name.
        load_state: Of the path unit: ``loaded``, ``not-found``, ``masked`` …
        enabled: Whether the path unit starts at boot.
        active_state: Of the path unit: ``active``, ``inactive``, ``failed`` …
        watched: The paths that the path unit watches.
        servers: The units that are reloaded; empty without ``UNIT=``.
        needs_server: Whether the command takes the names from ``UNIT=``, which is not in a file.
        takes_request: Whether the service is removing the request, or waits until it can.
        result: How the last run of the service ended: ``success``, ``exit-code`` …
        exit_status: Of the last run.
        ended: When it ended; None if it has not run since the start of the machine.
    """

    gateway: str
    load_state: str = "not-found"
    enabled: bool = False
    active_state: str = "inactive"
    watched: tuple[str, ...] = ()
    servers: tuple[ServerUnit, ...] = ()
    needs_server: bool = True
    takes_request: bool = False
    result: str = "success"
    exit_status: int = 0
    ended: datetime | None = None

    @property
    def path_unit(self) -> str:
        """The name of the path unit."""
        return f"gatecert-reload@{self.gateway}.path"

    @property
    def service(self) -> str:
        """The name of the service."""
        return f"gatecert-reload@{self.gateway}.service"

    @property
    def is_wanted(self) -> bool:
        """True if somebody has begun to set it up."""
        return self.enabled or self.active_state != "inactive" or bool(self.servers)

    @property
    def last_run(self) -> str:
        """The last run in words; empty if there was none."""
        if self.ended is None:
            return ""
        if self.result == "success":
            return f"last run succeeded, {instant(self.ended)}"
        how = f"exit status {self.exit_status}" if self.result == "exit-code" else self.result
        return f"last run failed ({clean(how)}), {instant(self.ended)}"


class Lack(StrEnum):
    """Kinds of reasons why a reload unit does not reload the server."""

    NOT_SET_UP = "not set up"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ReloadProblem:
    """A reason why a reload unit does not reload the server.

    Attributes:
        what: What is wrong.
        fix: What to do; follows ``what`` after a colon.
    """

    lack: Lack
    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what}: {self.fix}"


# --------------------------------------------------------------------- reading


def read_reload_units(
    gateways: Sequence[str], *, show: Show = unit_properties.show
) -> dict[str, ReloadUnit]:
    """Read the reload units of gateways.

    Args:
        gateways: The gateways' names.
        show: Returns properties of units.

    Returns:
        An entry for each gateway; empty if systemd does not run or cannot be asked.
    """
    units = _read_units(gateways, show)
    named = {server.name for unit in units for server in unit.servers}
    servers = sorted(name for name in named if UNIT_NAME.fullmatch(name))
    found = dict(zip(servers, show(servers, OF_THE_SERVER), strict=False))
    return {
        unit.gateway: replace(
            unit, servers=tuple(_server(each.name, found.get(each.name)) for each in unit.servers)
        )
        for unit in units
    }


def _read_units(gateways: Sequence[str], show: Show) -> list[ReloadUnit]:
    """Read the reload units of gateways; their servers are not looked up.

    systemd reads the files of a unit that is not in memory each time it is asked for it, which
    takes about 10 ms. Of many gateways, only those in memory are read: a path unit that is enabled
    is, and so is its service.
    """
    if len(gateways) <= FEW:
        return _read_each(gateways, show)
    properties = tuple(dict.fromkeys(OF_THE_PATH + OF_THE_SERVICE))
    found = {each.get("Id", ""): each for each in show(["gatecert-reload@*"], properties)}
    known: dict[str, ReloadUnit] = {}
    for gateway in gateways:
        path, service = (
            found.get(f"gatecert-reload@{gateway}.{kind}") for kind in ("path", "service")
        )
        if path is not None and service is not None:
            known[gateway] = parsed(gateway, path, service)
    others = [gateway for gateway in gateways if gateway not in known]
    some = _read_each(others[:FEW], show)
    if others and not some:
        return []
    known |= {unit.gateway: unit for unit in some}
    return [known.get(each) or ReloadUnit(each, "loaded", needs_server=False) for each in gateways]


def _read_each(gateways: Sequence[str], show: Show) -> list[ReloadUnit]:
    names = [
        f"gatecert-reload@{gateway}.{kind}" for gateway in gateways for kind in ("path", "service")
    ]
    shown = show(names, tuple(dict.fromkeys(OF_THE_PATH + OF_THE_SERVICE)))
    if len(shown) != len(names):
        return []
    return [
        parsed(gateway, path, service)
        for gateway, path, service in zip(gateways, shown[::2], shown[1::2], strict=True)
    ]


def read_reload_unit(gateway: str) -> ReloadUnit | None:
    """Read the reload unit of one gateway; return None if systemd cannot be asked."""
    return read_reload_units([gateway]).get(gateway)


def parsed(gateway: str, path: Properties, service: Properties) -> ReloadUnit:
    """Return a reload unit from the properties of its two units; its servers are not looked up."""
    servers = _variable(service.get("Environment", ""), "UNIT").split()
    command = service.get("ExecStart", "")
    is_named = bool(re.search(r"\$\{?UNIT\b", command)) or not command
    status = service.get("ExecMainStatus", "")
    return ReloadUnit(
        gateway,
        path.get("LoadState", ""),
        path.get("UnitFileState", "") in ENABLED,
        path.get("ActiveState", ""),
        tuple(line.rpartition(" (")[0] or line for line in path.get("Paths", "").splitlines()),
        tuple(map(ServerUnit, servers)),
        is_named and not service.get("EnvironmentFiles"),
        service.get("SubState", "") == "start-pre",
        service.get("Result", ""),
        int(status) if status.isdecimal() else 0,
        _moment(service.get("InactiveEnterTimestamp", "")),
    )


def _server(name: str, shown: Properties | None) -> ServerUnit:
    if shown is None:
        return ServerUnit(name)
    return ServerUnit(
        name,
        shown.get("LoadState", ""),
        shown.get("ActiveState", ""),
        shown.get("CanReload") == "yes",
    )


def _variable(environment: str, name: str) -> str:
    """Return a variable of ``Environment``, which systemctl quotes as a shell does."""
    try:
        words = shlex.split(environment)
    except ValueError:
        words = environment.split()
    values = [word.partition("=")[2] for word in words if word.startswith(f"{name}=")]
    return clean(values[-1], 255) if values else ""


def _moment(shown: str) -> datetime | None:
    """Parse a time such as ``Sun 2026-11-29 10:49:11 UTC``; return None for ``n/a``."""
    try:
        return datetime.strptime(shown, STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


# --------------------------------------------------------------------- judging


def reload_problem(unit: ReloadUnit, gateway_directory: Path) -> ReloadProblem | None:
    """Return why a unit does not reload the server; None if nothing is known to prevent it.

    Args:
        unit: The unit.
        gateway_directory: ``STATE/gateways/<name>``.
    """
    missing = list(_missing(unit, gateway_directory))
    if missing:
        what = ", and ".join(each for each, _ in missing)
        fix = "; then ".join(fix for _, fix in reversed(missing))
        return ReloadProblem(Lack.INCOMPLETE if unit.is_wanted else Lack.NOT_SET_UP, what, fix)
    request = gateway_directory / FILE_NAME
    if unit.takes_request and os.path.lexists(request):
        what = f"{unit.service} cannot remove {request}"
        return ReloadProblem(
            Lack.FAILED, what, "remove it as root, or make its file system writable"
        )
    if unit.ended is not None and unit.result not in {"", "success"}:
        what = f"{unit.service}: {unit.last_run}"
        return ReloadProblem(Lack.FAILED, what, f"see journalctl -u {unit.service}")
    return None


def fix_of_reload(unit: ReloadUnit, gateway_directory: Path, file: str) -> str:
    """Return what to do if the server does not serve what a reload should make it read.

    Args:
        unit: The reload unit.
        gateway_directory: ``STATE/gateways/<name>``.
        file: What the server has to read again.
    """
    problem = reload_problem(unit, gateway_directory)
    if problem is not None:
        return f"the reload unit {problem}"
    servers = " and ".join(server.name for server in unit.servers) or "the server"
    return (
        f"{unit.service} reloads {servers}, which does not make it read {file} again: check the "
        f"paths in its configuration, and journalctl -u {unit.service}"
    )


def _missing(unit: ReloadUnit, gateway_directory: Path) -> Iterator[tuple[str, str]]:
    """Yield what is not set up and how to do so; what comes last is to be done first."""
    path_unit = unit.path_unit
    if unit.load_state == "not-found":
        fix = "install gatecert's units (docs/systemd.md), or set install.reload"
        yield f"{path_unit} does not exist", fix
        return
    if unit.load_state != "loaded":
        fix = f"systemctl unmask {path_unit}" if unit.load_state == "masked" else ""
        yield f"{path_unit} is {clean(unit.load_state)}", fix or f"see systemctl status {path_unit}"
        return
    if not unit.enabled:
        yield f"{path_unit} is not enabled", f"systemctl enable --now {path_unit}"
    elif unit.active_state == "failed":
        yield f"{path_unit} has failed", f"systemctl restart {path_unit}"
    elif unit.active_state == "inactive":
        yield f"{path_unit} is not started", f"systemctl start {path_unit}"
    request = gateway_directory / FILE_NAME
    if unit.watched and not any(_is_same(each, request) for each in unit.watched):
        fix = "set state_directory to /var/lib/gatecert, or set install.reload"
        yield f"{path_unit} watches {clean(unit.watched[0])}, but gatecert writes {request}", fix
    if unit.needs_server and not unit.servers:
        fix = f"systemctl edit {unit.service} ({_lines(SERVER)})"
        yield f"UNIT= is not set in {unit.service}", fix
    for server in unit.servers:
        yield from _server_problem(server, unit.service)


def _server_problem(server: ServerUnit, service: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a unit to reload, as ``systemd/reload-unit`` checks it."""
    if not UNIT_NAME.fullmatch(server.name) or server.name.startswith("gatecert"):
        what = f"UNIT={server.name} is not the name of a server's unit"
        yield what, f"systemctl edit {service} ({_lines(SERVER)})"
    elif server.load_state == "not-found":
        fix = f"systemctl edit {service}, and correct Environment=UNIT="
        yield f"there is no unit {server.name}", fix
    elif server.load_state == "masked":
        yield f"{server.name} is masked", f"systemctl unmask {server.name}"
    elif server.load_state == "loaded" and not server.can_reload:
        fix = f"systemctl edit {server.name}, and add ExecReload= below [Service]"
        yield f"{server.name} cannot be reloaded: it has no ExecReload=", fix


def _lines(server: str) -> str:
    return f"two lines: [Service] and Environment=UNIT={server}"


def _is_same(watched: str, request: Path) -> bool:
    return os.path.realpath(watched) == os.path.realpath(request)
