"""Advice to use ``mode: custom`` for a pair of hosts that share a hostname. Pure.

The shared hostname resolves to a virtual address. The CA's validation request reaches only the host
that holds the address at that time, and behind NAT only the host that the device forwards to. The
other host can neither enrol nor renew, and finds out at the takeover. With ``mode: custom`` each
host has its own CSR, key and certificate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.model import Mode

if TYPE_CHECKING:
    from gatecert.model import Target


def custom_mode_advice(target: Target, *, behind_nat: bool) -> str:
    """Return why mode custom is recommended for a gateway, and the steps; empty if it is not.

    Args:
        target: The gateway.
        behind_nat: Whether this host has private addresses only.
    """
    if target.mode is not Mode.AUTOMATIC or not target.members:
        return ""
    names = " and ".join(member.name for member in target.members)
    where = "a virtual IP behind NAT" if behind_nat else "a virtual IP"
    return (
        f"{names} share {target.hostname} at {where}, where the CA's validation reaches only the"
        " host that holds the address at that time, so the other can neither enrol nor renew;"
        f" mode: custom is recommended: run gatecert csr {target.name} on each host, have both"
        f" signed, then run gatecert import {target.name}"
    )
