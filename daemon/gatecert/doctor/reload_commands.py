"""Check of commands that reload a unit of systemd: the unit exists and can be reloaded."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from gatecert.config.configuration_finding import Finding
from gatecert.deploy import unit_properties
from gatecert.deploy.reload_unit import UNIT_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from gatecert.config.schema import Configuration

RELOADS: Final = {"reload", "force-reload"}
STARTS: Final = {
    *("restart", "try-restart", "condrestart", "reload-or-restart", "try-reload-or-restart")
}
OF_ANOTHER_MANAGER: Final = ("--user", "--host", "-H", "--machine", "-M", "--root", "--global")


def findings(
    configuration: Configuration,
    *,
    show: Callable[[Sequence[str], Sequence[str]], list[Mapping[str, str]]] = unit_properties.show,
) -> Iterator[Finding]:
    """Yield units that do not exist or cannot be reloaded; nothing if systemd cannot be asked.

    Args:
        configuration: The configuration.
        show: Returns properties of units.
    """
    named = {
        name: list(_units(gateway.install.reload))
        for name, gateway in configuration.gateways.items()
    }
    units = sorted({unit for each in named.values() for _, unit in each})
    shown = dict(zip(units, show(units, ("LoadState", "CanReload")), strict=False))
    for name, each in named.items():
        reload = configuration.gateways[name].install.reload
        for index, unit in each:
            what = _complaint(unit, shown.get(unit, {}), must_reload=not RELOADS.isdisjoint(reload))
            if what:
                yield Finding(("gateways", name, "install", "reload", index), what)


def _complaint(unit: str, properties: Mapping[str, str], *, must_reload: bool) -> str:
    """Return why the command will fail; empty if it may succeed."""
    match properties.get("LoadState"):
        case "not-found":
            return f"there is no unit {unit}; correct its name, systemctl list-units shows all"
        case "masked":
            return f"the unit {unit} is masked; run systemctl unmask {unit}"
        case "loaded" if must_reload and properties.get("CanReload") == "no":
            return (
                f"the unit {unit} cannot be reloaded, since it has no ExecReload=; write restart "
                "instead of reload, or add ExecReload= to the unit"
            )
    return ""


def _units(command: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the units that a command reloads or restarts, with their positions."""
    if not command or PurePath(command[0]).name != "systemctl":
        return
    if any(word.startswith(OF_ANOTHER_MANAGER) for word in command):
        return
    words = [(index, word) for index, word in enumerate(command) if index and word[:1] != "-"]
    if words and words[0][1] in RELOADS | STARTS:
        for index, unit in words[1:]:
            if UNIT_NAME.fullmatch(unit):
                yield index, unit
