"""The entries of a name in the hosts(5) file of this machine.

gatecert asks nameservers and never resolves a name from this file, but systemd-resolved, dnsmasq
and others answer from it. Debian's installer writes the machine's own name with 127.0.1.1 there.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from gatecert import regular_files

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def matching_lines(name: str, addresses: Collection[str], hosts: Path) -> tuple[str, ...]:
    """Return the lines that give a name one of the addresses; an unreadable file has none.

    A line is described as ``/etc/hosts line 2 (127.0.1.1 NAME)``.
    """
    try:
        text = regular_files.read(hosts).decode("utf-8", "replace")
    except OSError:
        return ()
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        address, *names = line.partition("#")[0].split() or [""]
        if name.lower() in {each.lower().rstrip(".") for each in names} and (
            _canonical(address) in addresses
        ):
            found.append(f"{hosts} line {number} ({address} {name})")
    return tuple(found)


def _canonical(address: str) -> str:
    try:
        return str(ip_address(address))
    except ValueError:
        return ""
