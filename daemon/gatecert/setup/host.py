"""The facts about this host from which a set-up follows. Pure: ``host_reader`` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gatecert.resolve.gateway_addresses import GatewayAddresses

HTTP: Final = 80
HTTPS: Final = 443


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that takes connections.

    Attributes:
        process: The name of its process; empty if it is unknown, as for a user who is not root.
    """

    address: str
    port: int
    process: str = ""
    is_udp: bool = False


@dataclass(frozen=True, slots=True)
class UnitState:
    """The state of a systemd unit.

    Attributes:
        is_active: Whether it runs or starts.
        is_enabled: Whether it starts at boot.
        can_reload: Whether it has an ``ExecReload=``.
    """

    name: str
    is_active: bool = False
    is_enabled: bool = False
    can_reload: bool = False


@dataclass(frozen=True, slots=True)
class Host:
    """The facts about this host.

    Attributes:
        is_root: Whether this process may change the servers' files.
        has_systemd: Whether systemd is the init.
        is_packaged: Whether gatecert is installed as a service of systemd.
        user: The user that gatecert works as; empty for the one of this process.
        names: The names of this host, the likeliest first.
        addresses: Its addresses.
        listeners: The listening sockets.
        units: The units of known servers that exist, by name.
        programs: The paths of known servers' programs, by name.
    """

    is_root: bool = False
    has_systemd: bool = False
    is_packaged: bool = False
    user: str = ""
    names: tuple[str, ...] = ()
    addresses: GatewayAddresses = field(default_factory=lambda: GatewayAddresses(()))
    listeners: tuple[Listener, ...] = ()
    units: Mapping[str, UnitState] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)

    def holders(self, port: int) -> tuple[str, ...]:
        """Return the names of the processes that have a TCP port, each once."""
        found = (
            each.process or "another process"
            for each in self.listeners
            if each.port == port and not each.is_udp
        )
        return tuple(dict.fromkeys(found))
