"""Conversion of ``fleet`` and ``challenges`` to the plan of the follower."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.config.fleet_host import fleet_host
from gatecert.model.following import FollowingPlan, ResponsePlace

if TYPE_CHECKING:
    from gatecert.config.schema import Configuration


def following_plan(configuration: Configuration) -> FollowingPlan | None:
    """Return what the follower does; None without a fleet.

    Raises:
        ConfigurationError: The certificate of the login cannot be used, so the role is not known.
    """
    if configuration.fleet is None:
        return None
    http_01, tls_alpn_01 = configuration.challenges.http_01, configuration.challenges.tls_alpn_01
    return FollowingPlan(
        configuration.state_directory,
        fleet_host(configuration.fleet),
        ResponsePlace(http_01.listen, http_01.webroot),
        None if tls_alpn_01 is None else ResponsePlace(tls_alpn_01.listen),
        {each.directory_url: name for name, each in configuration.authorities.items()},
    )
