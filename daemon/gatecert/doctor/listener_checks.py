"""Check whether another user of this machine could answer the CA instead of gatecert.

gatecert listens only while a validation runs. If another program on port 80 (or 443) forwards to a
port that any user can bind, a user can bind it in between, answer the CA, and obtain a trusted
certificate for the gateway's name with an ACME account of their own. Ports that only root can bind
(below ``net.ipv4.ip_unprivileged_port_start``) and a webroot are safe.

Forwarding cannot be detected here. A program that listens on the CA's port is assumed to forward;
without one, another host forwards the port, or nobody does.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from gatecert.challenge import listening
from gatecert.doctor import codes
from gatecert.doctor.facts import OpenListener

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gatecert.config.schema.challenge import ChallengeSettings
    from gatecert.doctor.finding import Finding
    from gatecert.model import Endpoint, Target

logger = logging.getLogger(__name__)

PORTS = {"http-01": 80, "tls-alpn-01": 443}  # RFC 8555 section 8.3, RFC 8737 section 3
USUAL_START = 1024  # of the ports that any user can bind
EXAMPLES = {"http-01": "127.0.0.1:888", "tls-alpn-01": "127.0.0.1:844"}
UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


def open_listeners(
    challenges: ChallengeSettings,
    targets: Iterable[Target],
    *,
    unprivileged: int | None = None,
    find_process: Callable[[int], str | None] | None = None,
) -> tuple[OpenListener, ...]:
    """Return the configured listeners whose ports any user can bind.

    Args:
        challenges: The listeners of gatecert.
        targets: The gateways that are enrolled.
        unprivileged: The first port that any user can bind. Default: the kernel's.
        find_process: Returns the process that listens on a port, or None. Default: looks it up.
    """
    kinds = {kind for target in targets for kind in target.challenges}
    start = _unprivileged() if unprivileged is None else unprivileged
    find_process = find_process or listening.listening_process
    found: list[OpenListener] = []
    for kind, listeners in _listeners(challenges):
        open_ones = [each for each in listeners if start <= each.port != PORTS[kind]]
        if kind not in kinds or not open_ones:
            continue
        ours = any(each.port == PORTS[kind] for each in listeners)
        forwarder = None if ours else find_process(PORTS[kind])
        found += [OpenListener(kind, each, forwarder) for each in open_ones]
    return tuple(found)


def warn(challenges: ChallengeSettings, targets: Iterable[Target]) -> None:
    """Log listeners where another user could answer; orders go on."""
    for finding in map(listener_finding, open_listeners(challenges, targets)):
        if finding.fails:
            logger.warning("%s: %s; %s", finding.seen, finding.meaning, finding.fix)


def listener_finding(listener: OpenListener) -> Finding:
    """Return whether another user could answer instead of gatecert."""
    key, port = f"challenges.{listener.kind}.listen", PORTS[listener.kind]
    if listener.forwarder is None:
        return codes.LISTENER_UNPRIVILEGED.found(
            f"{key} {listener.endpoint}, and nothing on this machine listens on port {port}"
        )
    return codes.LISTENER_EXPOSED.found(
        f"{key} {listener.endpoint}, and {listener.forwarder or 'another process'} listens on port"
        f" {port}",
        fix=f"set {key} to a loopback address with a port below {USUAL_START}, such as "
        f"{EXAMPLES[listener.kind]}, and forward to it"
        + (", or set challenges.http-01.webroot" if listener.kind == "http-01" else ""),
    )


def _listeners(challenges: ChallengeSettings) -> Iterator[tuple[str, tuple[Endpoint, ...]]]:
    if challenges.http_01.webroot is None:
        yield "http-01", challenges.http_01.listen
    if challenges.tls_alpn_01 is not None:
        yield "tls-alpn-01", challenges.tls_alpn_01.listen


def _unprivileged() -> int:
    try:
        return int(UNPRIVILEGED.read_text("ascii"))
    except (OSError, ValueError):
        return USUAL_START
