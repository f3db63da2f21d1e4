"""Check of what makes the server read a new certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatecert import container
from gatecert.deploy.reload_unit import Lack, reload_problem
from gatecert.doctor import codes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatecert.deploy.reload_unit import ReloadUnit
    from gatecert.doctor.facts import GatewayFacts
    from gatecert.doctor.finding import Finding

BY_LACK: Final = {
    Lack.NOT_SET_UP: codes.RELOAD_MISSING,
    Lack.INCOMPLETE: codes.RELOAD_UNIT_INCOMPLETE,
    Lack.FAILED: codes.RELOAD_UNIT_FAILED,
}


def reload(facts: GatewayFacts) -> Iterator[Finding]:
    """Check whether ``install.reload`` or a systemd unit reloads the server."""
    if facts.target.install.reload:
        return
    unit, problem = facts.reload_unit, facts.reload_problem
    if problem is not None:
        code = BY_LACK[problem.lack]
        seen = f"install.reload is empty, and {problem.what}"
        yield code.found(seen, gateway=facts.name, fix=problem.fix)
    elif unit is not None:
        servers = ", ".join(server.name for server in unit.servers)
        seen = "; ".join(filter(None, (f"{unit.path_unit} {servers}".rstrip(), unit.last_run)))
        yield codes.RELOAD_UNIT_OK.found(seen, gateway=facts.name)
    else:
        yield codes.RELOAD_MISSING.found("install.reload is empty", gateway=facts.name)


def reload_notes(gateway: str, unit: ReloadUnit | None, gateway_directory: Path) -> Iterator[str]:
    """Say what a gateway without ``install.reload`` lacks; nothing if systemd reloads its server.

    Args:
        gateway: The gateway's name.
        unit: Its reload unit; None if systemd does not run here.
        gateway_directory: ``STATE/gateways/<name>``.
    """
    if unit is None:
        yield "install.reload is empty, so " + container.fix_for(
            host=f"enable gatecert-reload@{gateway}.path, unless the gateway detects new "
            "certificates itself (docs/systemd.md)",
            container="the gateway's container must watch its volume (docs/container.md)",
        )
        return
    problem = reload_problem(unit, gateway_directory)
    if problem is None:
        return
    if problem.lack is Lack.NOT_SET_UP:
        yield (
            f"install.reload is empty, and {problem.what}; unless the gateway detects new "
            f"certificates itself (docs/systemd.md): {problem.fix}"
        )
    else:
        yield f"install.reload is empty, and {problem}"
