"""Advice for hosts that share a hostname, where the CA's validation reaches only one. Pure.

The shared hostname resolves to a virtual address. The CA's http-01 or tls-alpn-01 request reaches
only the host that holds the address at that time, and behind NAT only the host that the device
forwards to. The other host can neither enrol nor renew, and finds out at the takeover. A TXT record
validates the name for each of them (dns-01); without one, each can have an imported certificate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.model import Mode
from gatecert.resolve.preflight import requires_addresses

if TYPE_CHECKING:
    from gatecert.model import Target


def unreached_members_advice(target: Target, *, behind_nat: bool) -> str:
    """Return why not every member of a gateway can enrol, and the steps; empty if all can.

    Args:
        target: The gateway.
        behind_nat: Whether this host has private addresses only.
    """
    if target.mode is not Mode.AUTOMATIC or not target.members or not requires_addresses(target):
        return ""
    names = " and ".join(member.name for member in target.members)
    where = "a virtual IP behind NAT" if behind_nat else "a virtual IP"
    return (
        f"{names} share {target.hostname} at {where}, where the CA's validation reaches only the"
        " host that holds the address at that time, so the other can neither enrol nor renew;"
        " set challenge: dns-01, which works on every host (docs/cluster.md), or mode: custom and"
        f" run gatecert csr {target.name} on each host, have both signed, then run gatecert import"
        f" {target.name}"
    )
