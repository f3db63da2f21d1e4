"""Regions whose gateways are never enrolled.

gatecert enrols no publicly trusted certificates for gateways in the excluded regions and sends no
request to an ACME CA for them. A gateway is in a region if the configuration says so, or if one of
its DNS names is below a country-code domain of the region (``config.regions``). The name counts
even if another region is configured, because an order would disclose it to the CA.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.config.regions import first_excluded, names_below, top_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.model import Target


def excluded_region(target: Target, excluded: Sequence[str]) -> str:
    """Return the first of the excluded regions that the target is in; empty if there is none.

    Args:
        target: The gateway.
        excluded: Region codes (ISO 3166, any case), as configured.
    """
    return first_excluded(target.region, target.identifiers, excluded)


def exclusion_reason(region: str, target: Target) -> str:
    """Return why the target is not enrolled and what to do instead, as one line."""
    names = names_below(target.identifiers, region)
    if names:
        reason = (
            f"{names[0]} is below .{top_level(names[0])}, and region {region} is never enrolled"
        )
    else:
        reason = f"region {region} is configured for this gateway and is never enrolled"
    return (
        f"{reason}; the gateway keeps its self-signed certificate. For a trusted certificate set "
        f"mode: custom, then run gatecert csr {target.name} and gatecert import {target.name}"
    )
