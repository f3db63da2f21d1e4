"""Taking hold of the ports that challenge responders listen on.

- IPv4 and IPv6 have a socket each (``IPV6_V6ONLY``), so that both families can be bound, and the
  one that a host lacks can be left out.
- A command beside the running daemon has to listen on the same port. ``SO_REUSEPORT`` allows that,
  but it would also let us share a port with a stranger that uses it, and half of the authority's
  visits would go astray. So a port that is taken is shared only with who answers for our tokens:
  it must serve the response that is being presented, which only a gatecert on the same state can.
- A daemon whose port systemd has opened answers for our tokens as well, but nobody can share that
  port: then it is left to the daemon.
- Whoever else holds a port is named, and left alone.
"""

from __future__ import annotations

import errno
import http.client
import logging
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatecert import container
from gatecert.challenge.bounded_server import BACKLOG
from gatecert.challenge.http_responder import PREFIX
from gatecert.errors import AddressInUseError, ChallengeError
from gatecert.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


logger = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
BIND_ATTEMPTS = 2  # it may have closed between the look and the question

_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - only compared

# The host has no such address or family: nobody can reach it there anyway.
_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM}
_NOT_OURS = {errno.EADDRINUSE} | _NOT_ALLOWED

_WAYS_OUT = {
    "http-01": "stop it, let it forward challenges to a loopback port below 1024 and set "
    "challenges.http-01.listen to that (docs/challenges.md), or use another challenge",
    "tls-alpn-01": "let it hand connections for ALPN acme-tls/1 to another address and set "
    "challenges.tls-alpn-01.listen to that (docs/challenges.md), or use another challenge",
}


def listen(
    endpoints: Sequence[Endpoint], is_ours: Callable[[Endpoint], bool], *, kind: str = "http-01"
) -> list[socket.socket]:
    """Listen on every endpoint that exists on this host.

    Args:
        endpoints: Addresses (never names) and ports.
        is_ours: Whether the one who listens there already is a gatecert on the same state.
        kind: The challenge type, a key of ``challenges`` in the configuration.

    Returns:
        Listening sockets; none for endpoints that are left to another gatecert.

    Raises:
        AddressInUseError: A stranger listens on one of them.
        ChallengeError: Listening is not allowed, or possible on none of them.
    """
    missing: list[str] = []
    with ExitStack() as opened:
        listeners: list[socket.socket] = []
        for endpoint in endpoints:
            try:
                listener = _listen(endpoint, is_ours)
                if listener is not None:
                    listeners.append(opened.enter_context(listener))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise _refusal(endpoint, error, kind) from error
                logger.info("not listening address=%s reason=%s", endpoint, error.strerror)
                missing.append(f"{endpoint}: {error.strerror}")
        opened.pop_all()
    if len(missing) == len(endpoints):
        raise ChallengeError(
            f"there is no address to answer {kind} on ({'; '.join(missing) or 'none is set'})",
            fix=f"correct challenges.{kind}.listen",
        )
    return listeners


def serves_token(endpoint: Endpoint, token: str, key_authorization: str) -> bool:
    """Whether the one who listens at an endpoint answers for a token as we would."""
    connection = http.client.HTTPConnection(*connect_address(endpoint), timeout=PROBE_SECONDS)
    try:
        connection.request("GET", PREFIX + token)
        return connection.getresponse().read(1024) == key_authorization.encode("ascii")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def connect_address(endpoint: Endpoint) -> tuple[str, int]:
    """Where to reach from here who listens at an endpoint."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(endpoint.host, endpoint.host)  # noqa: S104 - the wildcard is only compared
    return host, endpoint.port


def is_local_address(endpoint: Endpoint) -> bool:
    """Whether this host has such an address, so that something can listen there."""
    try:
        _bind(Endpoint(endpoint.host, 0), share=False).close()
    except OSError as error:
        return error.errno not in _NOT_HERE
    return True


@dataclass(frozen=True, slots=True)
class PortHolder:
    """Who listens on a TCP port.

    Attributes:
        addresses: At which of this host's addresses.
        who: In words; empty when that cannot be seen.
    """

    addresses: tuple[str, ...]
    who: str

    @property
    def elsewhere(self) -> bool:
        """Whether the port is free at some address."""
        return not _WILDCARDS.intersection(self.addresses)


def find_port_holder(endpoint: Endpoint) -> PortHolder:
    """Who keeps others from listening at an endpoint."""
    return _holder(endpoint.port, lambda host: _collide(host, endpoint.host))


def listening_process(port: int) -> str | None:
    """Who listens on a TCP port at any address, in words; None where nobody does."""
    found = _holder(port, lambda _: True)
    return found.who if found.addresses else None


def _holder(port: int, counts: Callable[[str], bool]) -> PortHolder:
    import psutil  # noqa: PLC0415 - only when something is wrong

    try:
        found = [
            (str(connection.laddr.ip), connection.pid)
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and counts(str(connection.laddr.ip))
        ]
    except (psutil.Error, OSError):
        return PortHolder((), "")
    addresses = tuple(sorted({address for address, _ in found}))
    try:
        pids = sorted({pid for _, pid in found if pid})
        who = ", ".join(f"{psutil.Process(pid).name()} (pid {pid})" for pid in pids)
    except (psutil.Error, OSError):
        who = ""
    return PortHolder(addresses, who)


def _collide(one: str, other: str) -> bool:
    """Whether a port cannot be bound at both addresses."""
    if "::" in {one, other} and one != other:
        return one == "::" or ":" in one  # [::] may take IPv4 as well, ours (V6ONLY) does not
    if "0.0.0.0" in {one, other}:  # noqa: S104 - the wildcard is only compared
        return (":" in one) == (":" in other)
    return one == other


def _listen(endpoint: Endpoint, is_ours: Callable[[Endpoint], bool]) -> socket.socket | None:
    """Listen; None where another gatecert answers for us and the port cannot be shared."""
    for _ in range(BIND_ATTEMPTS):
        try:
            _bind(endpoint, share=False).close()
            return _bind_and_listen(endpoint)
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise
            if is_ours(endpoint):
                return _join(endpoint)
            stranger = error
    raise stranger


def _join(endpoint: Endpoint) -> socket.socket | None:
    """Share the port of another gatecert, or leave it to that one."""
    try:
        listener = _bind_and_listen(endpoint)
    except OSError as error:
        if error.errno not in _NOT_OURS:
            raise
        logger.debug("another gatecert answers address=%s", endpoint)
        return None
    logger.debug("sharing address=%s with another gatecert", endpoint)
    return listener


def _bind_and_listen(endpoint: Endpoint) -> socket.socket:
    listener = _bind(endpoint, share=True)
    try:
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _bind(endpoint: Endpoint, *, share: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((endpoint.host, endpoint.port))
    except OSError:
        listener.close()
        raise
    return listener


def _taken(endpoint: Endpoint, found: PortHolder, kind: str) -> AddressInUseError:
    who, consequence = found.who or "another process", "so no certificate is issued"
    if endpoint.host in _WILDCARDS and found.addresses and found.elsewhere:
        return AddressInUseError(
            f"{endpoint} is taken: {who} has port {endpoint.port} at "
            f"{', '.join(found.addresses)}, {consequence}",
            fix=f"set challenges.{kind}.listen to the address that the CA connects to, if that is "
            f"another one of this machine's; otherwise {_WAYS_OUT[kind]}",
        )
    return AddressInUseError(
        f"{endpoint} is taken by {who}: the name cannot be proven there, {consequence}",
        fix=_WAYS_OUT[kind],
    )


def _refusal(endpoint: Endpoint, error: OSError, kind: str) -> ChallengeError:
    if error.errno == errno.EADDRINUSE:
        return _taken(endpoint, find_port_holder(endpoint), kind)
    if error.errno in _NOT_ALLOWED:
        return ChallengeError(
            f"not allowed to listen on {endpoint}: port {endpoint.port} needs CAP_NET_BIND_SERVICE",
            fix=_permission(kind, endpoint.port),
        )
    return ChallengeError(f"cannot listen on {endpoint}: {error.strerror or error}")


def _permission(kind: str, port: int) -> str:
    """How a port below 1024 is opened here."""
    return container.fix_for(
        host="under systemd, give the unit that capability in AmbientCapabilities="
        + (", or start gatecert-http.socket and restart gatecert" if kind == "http-01" else "")
        + "; by hand, run it as root",
        container=f"set challenges.{kind}.listen to a port above 1023, such as "
        f"0.0.0.0:{8000 + port}, and publish it as port {port}",
    )
