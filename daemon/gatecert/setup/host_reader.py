"""Reads the facts about this host; changes nothing."""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert import process, regular_files
from gatecert.config.schema.configuration import DEFAULT_STATE_DIRECTORY
from gatecert.deploy import unit_properties
from gatecert.errors import ResolutionError, clean
from gatecert.resolve.gateway_addresses import GatewayAddresses, own_addresses
from gatecert.setup.host import Host, Listener, UnitState
from gatecert.setup.known_servers import SERVERS
from gatecert.store.operator_files import PACKAGE_GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SERVICE: Final = "gatecert.service"
PACKAGED_CONFIGURATION: Final = Path("/etc/gatecert/config.yaml")
LARGEST_FILE: Final = 4 << 20  # bytes
PROPERTIES: Final = ("LoadState", "ActiveState", "UnitFileState", "CanReload")
_NAME: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_LOCAL: Final = re.compile(r"\.(localdomain|local|lan|home|internal)$|^localhost")


def read_host(configuration: Path, state_directory: Path) -> Host:
    """Read the facts about this host.

    Args:
        configuration: The configuration file of ``-c``.
        state_directory: The state directory.
    """
    names = [unit for server in SERVERS.values() for unit in server.units]
    units = _units([SERVICE, *names])
    is_packaged = (
        SERVICE in units
        and configuration.absolute() == PACKAGED_CONFIGURATION
        and state_directory == Path(DEFAULT_STATE_DIRECTORY)
    )
    programs = {name for server in SERVERS.values() for name in server.programs}
    try:
        addresses = own_addresses(())
    except ResolutionError:
        addresses = GatewayAddresses(())
    return Host(
        is_root=os.geteuid() == 0,
        has_systemd=unit_properties.BOOTED.is_dir(),
        is_packaged=is_packaged,
        user=PACKAGE_GROUP if is_packaged else "",
        names=tuple(_names()),
        addresses=addresses,
        listeners=tuple(_listeners()),
        units=units,
        programs={name: path for name in programs if (path := process.executable(name))},
    )


def read_text(path: Path) -> str | None:
    """Return the text of a file; None if there is none or it cannot be read."""
    try:
        return regular_files.read(path, LARGEST_FILE).decode("utf-8", "surrogateescape")
    except (OSError, ValueError):
        return None


def find_files(pattern: str) -> Sequence[Path]:
    """Return the files that match an absolute shell pattern, in order."""
    try:
        return sorted(each for each in Path("/").glob(pattern.lstrip("/")) if each.is_file())
    except (OSError, ValueError, IndexError):
        return []


def _units(names: Sequence[str]) -> dict[str, UnitState]:
    """Return the units that exist."""
    shown = unit_properties.show(names, PROPERTIES)
    return {
        name: UnitState(
            name,
            is_active=each.get("ActiveState") in {"active", "activating", "reloading"},
            is_enabled=each.get("UnitFileState", "").startswith("enabled"),
            can_reload=each.get("CanReload") == "yes",
        )
        for name, each in zip(names, shown, strict=False)
        if each.get("LoadState") == "loaded"
    }


def _names() -> Iterator[str]:
    """Return the names of this host that a public CA could certify, each once."""
    found: dict[str, None] = {}
    for known in (socket.getfqdn(), socket.gethostname()):
        name = clean(known).strip().lower()
        if _NAME.fullmatch(name) and not _LOCAL.search(name):
            found[name] = None
    yield from found


def _listeners() -> Iterator[Listener]:
    """Return the sockets that take connections; their processes as far as they can be seen."""
    import psutil  # noqa: PLC0415 - 10 ms that no other command needs

    try:
        connections = psutil.net_connections(kind="inet")
    except (psutil.Error, OSError):
        return
    for each in connections:
        is_udp = each.type == socket.SOCK_DGRAM
        if not each.laddr or (each.status != psutil.CONN_LISTEN and not is_udp):
            continue
        process_name = ""
        if each.pid is not None:
            with suppress(psutil.Error, OSError):
                process_name = clean(psutil.Process(each.pid).name())
        yield Listener(each.laddr.ip, each.laddr.port, process_name, is_udp=is_udp)
