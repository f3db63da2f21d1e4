"""The table of servers that a set-up knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from gatecert.setup import (
    apache_settings,
    haproxy_settings,
    mail_settings,
    nginx_settings,
    ocserv_settings,
    other_settings,
)
from gatecert.setup.other_settings import no_names
from gatecert.setup.server_plan import Edit, ServerPlan, Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server that can be a gateway.

    Attributes:
        name: As in ``--server``.
        units: Its systemd units.
        processes: The names of its processes begin so.
        programs: Its programs.
        plan: Returns what has to change.
        names: Returns the names in its configuration.
        webroots: Returns the directories that it may serve on port 80.
        forwarding: Returns the change that makes it forward http-01 to gatecert, if it can.
    """

    name: str
    title: str
    units: tuple[str, ...]
    processes: tuple[str, ...]
    programs: tuple[str, ...]
    plan: Callable[[Wanted], ServerPlan]
    names: Callable[[Wanted], list[str]] = no_names
    webroots: Callable[[Wanted], list[str]] = no_names
    forwarding: Callable[[Wanted], Edit | None] = lambda _: None

    def runs_as(self, process: str) -> bool:
        """Tell whether a process is one of this server's."""
        return process.startswith(self.processes)


OTHER: Final = "other"
ALIASES: Final = MappingProxyType(
    {"postfix": "mail", "dovecot": "mail", "apache2": "apache", "httpd": "apache"}
)
_ALL: Final = (
    KnownServer(
        "ocserv",
        "ocserv",
        ("ocserv.service",),
        ("ocserv",),
        ("ocserv",),
        ocserv_settings.plan,
        ocserv_settings.names,
    ),
    KnownServer(
        "nginx",
        "nginx",
        ("nginx.service",),
        ("nginx",),
        ("nginx",),
        nginx_settings.plan,
        nginx_settings.names,
        nginx_settings.webroots,
        nginx_settings.forwarding,
    ),
    KnownServer(
        "haproxy",
        "HAProxy",
        ("haproxy.service",),
        ("haproxy",),
        ("haproxy",),
        haproxy_settings.plan,
        haproxy_settings.names,
        forwarding=haproxy_settings.forwarding,
    ),
    KnownServer(
        "apache",
        "Apache",
        ("apache2.service",),
        ("apache2", "httpd"),
        ("apache2",),
        apache_settings.plan,
        apache_settings.names,
        apache_settings.webroots,
    ),
    KnownServer(
        "caddy", "Caddy", ("caddy.service",), ("caddy",), ("caddy",), other_settings.plan_caddy
    ),
    KnownServer(
        "mail",
        "Postfix and Dovecot",
        ("postfix.service", "dovecot.service"),
        ("master", "dovecot", "imap-login"),
        ("postfix", "dovecot"),
        mail_settings.plan,
        mail_settings.names,
    ),
    KnownServer(
        "openvpn",
        "OpenVPN",
        ("openvpn-server@server.service",),
        ("openvpn",),
        ("openvpn",),
        other_settings.plan_openvpn,
    ),
    KnownServer(
        "strongswan",
        "strongSwan",
        ("strongswan.service", "strongswan-starter.service"),
        ("charon",),
        ("charon-systemd", "swanctl"),
        other_settings.plan_strongswan,
    ),
    KnownServer(OTHER, "another server", (), (), (), other_settings.plan_other),
)
SERVERS: Final[Mapping[str, KnownServer]] = MappingProxyType({each.name: each for each in _ALL})
