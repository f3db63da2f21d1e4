"""The choice of the server that is the gateway. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatecert.errors import WrongUsageError
from gatecert.setup.host import HTTPS
from gatecert.setup.known_servers import ALIASES, OTHER, SERVERS, KnownServer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.setup.host import Host


@dataclass(frozen=True, slots=True)
class FoundServer:
    """A server on this host.

    Attributes:
        ports: The TCP ports that it has.
        is_running: Whether it runs; otherwise it is only installed.
        is_enabled: Whether it starts at boot, so that it is meant to run.
    """

    server: KnownServer
    ports: tuple[int, ...]
    is_running: bool
    is_enabled: bool = False

    def __str__(self) -> str:
        if not self.is_running:
            return f"{self.server.title} (not running)"
        shown = ", ".join(map(str, self.ports[:MOST_PORTS]))
        return f"{self.server.title} (port {shown})" if shown else f"{self.server.title} (running)"


MOST_PORTS: Final = 4


def detect(host: Host) -> list[FoundServer]:
    """Return the servers that run on this host or are installed."""
    found = []
    for server in SERVERS.values():
        ports = {
            each.port for each in host.listeners if not each.is_udp and _is_of(server, each.process)
        }
        speaks = any(_is_of(server, each.process) for each in host.listeners)
        units = [host.units[unit] for unit in server.units if unit in host.units]
        is_running = speaks or any(unit.is_active for unit in units)
        is_installed = any(each in host.programs for each in server.programs)
        if is_running or (is_installed and (units or not host.has_systemd)):
            is_enabled = any(unit.is_enabled for unit in units)
            found.append(FoundServer(server, tuple(sorted(ports)), is_running, is_enabled))
    return found


def candidates(found: Sequence[FoundServer]) -> list[FoundServer]:
    """Return the servers that run, or else those that are meant to, or else all."""
    running = [each for each in found if each.is_running]
    return running or [each for each in found if each.is_enabled] or list(found)


def choose(found: Sequence[FoundServer], host: Host, wanted: str = "") -> FoundServer | None:
    """Return the server that is the gateway; None if the operator has to choose.

    Args:
        found: What ``detect`` returned.
        host: The facts about this host.
        wanted: The server that the operator names; empty if none.

    Raises:
        WrongUsageError: There is no such server, or none at all.
    """
    if wanted:
        wanted = ALIASES.get(wanted, wanted)
        if wanted not in SERVERS:
            raise WrongUsageError(
                f"--server {wanted}: gatecert does not know this server; it knows "
                f"{', '.join(SERVERS)}"
            )
        known = {each.server.name: each for each in found}
        return known.get(wanted) or FoundServer(SERVERS[wanted], (), is_running=False)
    likely = candidates(found)
    if not likely:
        holders = host.holders(HTTPS)
        seen = f"; port {HTTPS} is used by {', '.join(holders)}" if holders else ""
        names = ", ".join(each.title for each in SERVERS.values() if each.name != OTHER)
        raise WrongUsageError(
            f"no server was found on this host that could use a certificate ({names}){seen}; "
            f"install and start it first, or use --server {OTHER} for one that gatecert does not "
            "know"
        )
    if len(likely) == 1:
        return likely[0]
    on_https = [each for each in likely if HTTPS in each.ports]
    return on_https[0] if len(on_https) == 1 else None


def _is_of(server: KnownServer, process: str) -> bool:
    return bool(process and server.processes) and server.runs_as(process)
