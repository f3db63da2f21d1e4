"""Regions whose gateways are never enrolled.

Publicly trusted certificates are not enrolled automatically for gateways in the excluded regions:
not one request goes to an authority. A gateway is in a region because the configuration says so, or
because one of its DNS names lies below a country-code domain of the region (``config.regions``).
The name counts even where another region is configured: an authority would get to see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.config.regions import first_excluded, names_below, top_level

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.model import Target


def excluded_region(target: Target, excluded: Sequence[str]) -> str:
    """The first of the excluded regions that the target is in, empty if it is in none.

    Args:
        target: The gateway.
        excluded: Region codes (ISO 3166, any case), as configured.
    """
    return first_excluded(target.region, target.identifiers, excluded)


def exclusion_reason(region: str, target: Target) -> str:
    """Why the target is not enrolled and what to do instead, on one line."""
    names = names_below(target.identifiers, region)
    if names:
        why = f"{names[0]} lies below .{top_level(names[0])}, and region {region} is never enrolled"
    else:
        why = f"region {region} is configured for this gateway and is never enrolled"
    return (
        f"{why}; it keeps serving its self-signed certificate. For a trusted one set mode: custom "
        f"and use: gatecert csr {target.name}, then gatecert import {target.name}"
    )
