"""Check whether another user of this machine could answer the CA instead of gatecert.

The daemon holds a port that something forwards to for as long as it runs. While it does not run, a
user can bind the port if any user may, answer the CA, and obtain a trusted certificate for the
gateway's name with an ACME account of their own. Ports that only root can bind (below
``net.ipv4.ip_unprivileged_port_start``) and a webroot are safe.

Forwarding cannot be detected here. It is assumed if a program listens on the CA's port, and for a
loopback address, which no CA on another host reaches otherwise. For any other address, another
host forwards the port, or nobody does.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gatecert import regular_files
from gatecert.challenge import listening
from gatecert.config.addresses import is_loopback
from gatecert.config.schema.challenge import CA_PORTS
from gatecert.doctor import codes
from gatecert.doctor.facts import OpenListener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gatecert.config.schema import Configuration
    from gatecert.doctor.finding import Finding
    from gatecert.model import Target

logger = logging.getLogger(__name__)

USUAL_START = 1024  # of the ports that any user can bind
EXAMPLES = {"http-01": "127.0.0.1:888", "tls-alpn-01": "127.0.0.1:844"}
UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def open_listeners(
    configuration: Configuration,
    targets: Iterable[Target],
    *,
    unprivileged: int | None = None,
    find_process: Callable[[int], str | None] | None = None,
) -> tuple[OpenListener, ...]:
    """Return the configured listeners whose ports any user can bind.

    Args:
        configuration: Has the listeners of gatecert and the CAs.
        targets: The gateways that are enrolled.
        unprivileged: The first port that any user can bind. Default: the kernel's.
        find_process: Returns the process that listens on a port, or None. Default: looks it up.
    """
    authorities: dict[str, set[str]] = {}
    for target in targets:
        for kind in target.challenges:
            authorities.setdefault(kind, set()).update(target.authorities)
    start = _unprivileged() if unprivileged is None else unprivileged
    find_process = find_process or listening.listening_process
    found: list[OpenListener] = []
    for kind, listeners in configuration.challenges.listeners.items():
        open_ones = [each for each in listeners if start <= each.port != CA_PORTS[kind]]
        if kind not in authorities or not open_ones:
            continue
        ours = any(each.port == CA_PORTS[kind] for each in listeners)
        forwarder = None if ours else find_process(CA_PORTS[kind])
        forwarded = not ours and any(
            not _is_on_loopback(configuration, name) for name in authorities[kind]
        )
        found += [
            OpenListener(kind, each, forwarder, out_of_reach=forwarded and is_loopback(each.host))
            for each in open_ones
        ]
    return tuple(found)


def warn(configuration: Configuration, targets: Iterable[Target]) -> None:
    """Log listeners where another user could answer; orders go on."""
    for finding in map(listener_finding, open_listeners(configuration, targets)):
        if finding.fails:
            logger.warning("%s: %s; %s", finding.seen, finding.meaning, finding.fix)


def listener_finding(listener: OpenListener) -> Finding:
    """Return whether another user could answer instead of gatecert."""
    key, port = f"challenges.{listener.kind}.listen", CA_PORTS[listener.kind]
    if listener.forwarder is not None:
        seen = f"and {listener.forwarder or 'another process'} listens on port {port}"
    elif listener.out_of_reach:
        seen = "which a CA on another host reaches only if something forwards to it"
    else:
        return codes.LISTENER_UNPRIVILEGED.found(
            f"{key} {listener.endpoint}, and nothing on this machine listens on port {port}"
        )
    return codes.LISTENER_EXPOSED.found(
        f"{key} {listener.endpoint}, {seen}",
        fix=f"set {key} to a loopback address with a port below {USUAL_START}, such as "
        f"{EXAMPLES[listener.kind]}, and forward to it"
        + (", or set challenges.http-01.webroot" if listener.kind == "http-01" else ""),
    )


def _is_on_loopback(configuration: Configuration, authority: str) -> bool:
    """Check whether a CA runs on this host, and so can connect to a loopback address."""
    settings = configuration.authorities.get(authority)
    if settings is None:
        return False
    return is_loopback(urlsplit(settings.directory_url).hostname or "")


def _unprivileged() -> int:
    try:
        return int(regular_files.read(UNPRIVILEGED))
    except (OSError, ValueError):
        return USUAL_START
