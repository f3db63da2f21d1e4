"""The plan of the follower: the process that follows a fleet's database."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gatecert.model.fleet import FleetHost
from gatecert.model.target import Endpoint


@dataclass(frozen=True, slots=True)
class ResponsePlace:
    """The place where a host answers a challenge type.

    Attributes:
        listen: Addresses to listen on.
        webroot: Directory of a web server that answers instead; None to listen.
    """

    listen: tuple[Endpoint, ...] = ()
    webroot: Path | None = None


@dataclass(frozen=True, slots=True)
class FollowingPlan:
    """Everything that the follower has to know.

    Attributes:
        state_directory: Gets the tokens of other hosts.
        host: This host's place in the fleet.
        http_01: Where it answers http-01.
        tls_alpn_01: Where it answers tls-alpn-01; None if that is not configured.
        authorities: Names of the CAs in the configuration, by the URL of their directories.
    """

    state_directory: Path
    host: FleetHost
    http_01: ResponsePlace
    tls_alpn_01: ResponsePlace | None = None
    authorities: dict[str, str] = field(default_factory=dict)
