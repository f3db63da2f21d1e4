"""A server's files in memory, for plans of what has to change in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from gatecert.setup.host import Host, Listener, UnitState
from gatecert.setup.server_plan import Wanted

LIVE = Path("/var/lib/gatecert/gateways/gate/live")
HOSTNAME = "gate.widgets.test"


@dataclass
class ServerFiles:
    """Files by path, and what commands print."""

    files: dict[str, str] = field(default_factory=dict)
    outputs: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    covered: frozenset[str] = frozenset()
    host: Host = field(default_factory=Host)

    def wanted(self, hostname: str = HOSTNAME, gateway: str = "gate") -> Wanted:
        """Return what the server of these files shall serve."""
        return Wanted(
            gateway,
            hostname,
            LIVE,
            self.host,
            lambda path: self.files.get(str(path)),
            self.find,
            lambda argv: self.outputs.get(tuple(argv), ""),
            lambda path: str(path) in self.covered,
        )

    def find(self, pattern: str) -> Sequence[Path]:
        """Return the files that match a pattern; ``*`` matches no slash."""
        return [
            Path(path)
            for path in sorted(self.files)
            if fnmatchcase(path, pattern) and path.count("/") == pattern.count("/")
        ]


def host(
    *listeners: tuple[str, int], units: Sequence[str] = (), programs: Sequence[str] = ()
) -> Host:
    """Return a host with these processes at ports, units that run, and programs."""
    return Host(
        is_root=True,
        has_systemd=True,
        listeners=tuple(Listener("0.0.0.0", port, process) for process, port in listeners),  # noqa: S104 - a fact
        units={unit: UnitState(unit, is_active=True, is_enabled=True) for unit in units},
        programs={program: f"/usr/sbin/{program}" for program in programs},
    )
