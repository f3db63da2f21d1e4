"""Why the hosts of a pair do better with certificates that an administrator brings. Pure.

A pair shares one hostname, which leads to a virtual address. What an authority sends there in order
to validate arrives at whichever host holds the address at that moment, and behind NAT at whichever
the device forwards to. So the other host can neither enrol nor renew, and finds out when it takes
over. With mode: custom each host has a request, a key and a certificate of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.model import Mode

if TYPE_CHECKING:
    from gatecert.model import Target


def custom_mode_advice(target: Target, *, behind_nat: bool) -> str:
    """Why mode custom is recommended for a gateway, and how to go about it; empty if it is not.

    Args:
        target: The gateway.
        behind_nat: Whether this host has private addresses only.
    """
    if target.mode is not Mode.AUTOMATIC or not target.members:
        return ""
    names = " and ".join(member.name for member in target.members)
    where = "a virtual IP behind NAT" if behind_nat else "a virtual IP"
    return (
        f"{names} share {target.hostname} at {where}, where an authority's validation reaches only"
        " the host that holds the address just then, so the other can neither enrol nor renew;"
        f" mode: custom is recommended: gatecert csr {target.name} on each host, have both signed,"
        f" and gatecert import {target.name}"
    )
