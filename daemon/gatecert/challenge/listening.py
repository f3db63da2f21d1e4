"""Listening sockets of the challenge responders.

- IPv4 and IPv6 have separate sockets (``IPV6_V6ONLY``), so both families can be bound, and a family
  that the host lacks can be skipped.
- A command has to listen on the same port as the running daemon. ``SO_REUSEPORT`` allows that, but
  would also share the port with any other program that uses it, and half of the authority's
  requests would go there. gatecert therefore shares a port only if the other listener serves the
  presented response, which only a gatecert on the same state directory can.
- If systemd has opened the daemon's port, the daemon serves the presented response as well, but the
  port cannot be shared; it is then left to the daemon.
- The daemon's core holds a port that something forwards to, so that no other user can bind it
  between two validations (docs/decisions/0023-held-listeners.md). It answers HTTP with a certain
  404 and closes every other connection at once. A gatecert that presents a response listens beside
  it, and the kernel gives that one every connection.
- An error names any other program on the port.
"""

from __future__ import annotations

import errno
import logging
import socket
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from gatecert import container
from gatecert.challenge.bounded_server import BACKLOG
from gatecert.challenge.http_responder import PREFIX
from gatecert.errors import AddressInUseError, ChallengeError
from gatecert.system_calls import prefer_second_listener

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatecert.model import Endpoint


logger = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
NOTHING_PRESENTED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
BIND_ATTEMPTS = 2  # the other listener may close between bind and probe

_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - only compared

# The host lacks the address or the family, so no client can connect there either.
NOT_LOCAL = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM}
_IN_USE = {errno.EADDRINUSE} | _NOT_ALLOWED

_REMEDIES = {
    "http-01": "stop it, let it forward challenges to a loopback port below 1024 and set "
    "challenges.http-01.listen to that (docs/challenges.md), or use another challenge",
    "tls-alpn-01": "let it forward connections for ALPN acme-tls/1 to another address and set "
    "challenges.tls-alpn-01.listen to that (docs/challenges.md), or use another challenge",
}


class SocketAddress(Protocol):
    """An address and a port; the core has no `Endpoint`, whose package is large."""

    @property
    def host(self) -> str:
        """The address."""
        ...

    @property
    def port(self) -> int:
        """The TCP port."""
        ...


class ListenPlace(Protocol):
    """Settings of a challenge type for which gatecert listens."""

    @property
    def listen(self) -> tuple[Endpoint, ...]:
        """The addresses to listen on."""
        ...


def listen(
    endpoints: Sequence[Endpoint], is_ours: Callable[[Endpoint], bool], *, kind: str = "http-01"
) -> list[socket.socket]:
    """Listen on every endpoint that exists on this host.

    Args:
        endpoints: Addresses (never names) and ports.
        is_ours: Tells if the existing listener is a gatecert on the same state directory.
        kind: The challenge type, a key of ``challenges`` in the configuration.

    Returns:
        Listening sockets; none for endpoints that are left to another gatecert.

    Raises:
        AddressInUseError: Another program listens on one of them.
        ChallengeError: Listening is not permitted, or impossible on all of them.
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
                if error.errno not in NOT_LOCAL:
                    raise listen_error(endpoint, error, kind) from error
                logger.info("not listening address=%s reason=%s", endpoint, error.strerror)
                missing.append(f"{endpoint}: {error.strerror}")
        opened.pop_all()
    if len(missing) == len(endpoints):
        raise ChallengeError(
            f"no address to listen on for {kind} ({'; '.join(missing) or 'none configured'})",
            fix=f"correct challenges.{kind}.listen",
        )
    logger.debug("listening for %s addresses=%s", kind, ", ".join(map(str, endpoints)))
    return listeners


def hold(address: SocketAddress) -> socket.socket:
    """Listen on an address that nobody listens on, and let processes of this user share it.

    Whichever listens on it later gets every connection.

    Raises:
        OSError: It cannot be held.
    """
    listener = _bind(address, share=False)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        prefer_second_listener(listener)
        listener.listen(BACKLOG)
        listener.setblocking(False)  # noqa: FBT003 - positional only
    except OSError:
        listener.close()
        raise
    return listener


def serves_token(
    endpoint: Endpoint, token: str, key_authorization: str, *, timeout: float = PROBE_SECONDS
) -> bool:
    """Check if the listener at an endpoint serves the response for a token."""
    import http.client  # noqa: PLC0415 - only for a self-test

    connection = http.client.HTTPConnection(*connect_address(endpoint), timeout=timeout)
    try:
        connection.request("GET", PREFIX + token)
        return connection.getresponse().read(1024) == key_authorization.encode("ascii")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def connect_address(endpoint: Endpoint) -> tuple[str, int]:
    """Return the address for connecting from this host to a listener."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(endpoint.host, endpoint.host)  # noqa: S104 - the wildcard is only compared
    return host, endpoint.port


def is_local_address(endpoint: Endpoint) -> bool:
    """Check if this host has the address, so that a program can listen there."""
    try:
        _bind(replace(endpoint, port=0), share=False).close()
    except OSError as error:
        return error.errno not in NOT_LOCAL
    return True


@dataclass(frozen=True, slots=True)
class PortHolder:
    """The processes that listen on a TCP port.

    Attributes:
        addresses: The addresses that they listen on.
        processes: Names and process ids; empty if they cannot be determined.
    """

    addresses: tuple[str, ...]
    processes: str

    @property
    def leaves_addresses_free(self) -> bool:
        """True if the port is free at some address of this host."""
        return not _WILDCARDS.intersection(self.addresses)


def find_port_holder(endpoint: SocketAddress) -> PortHolder:
    """Find the processes that prevent others from listening at an endpoint."""
    return _port_holder(endpoint.port, lambda host: _collide(host, endpoint.host))


def listening_process(port: int) -> str | None:
    """Return the processes that listen on a TCP port at any address; None if there are none."""
    holder = _port_holder(port, lambda _: True)
    return holder.processes if holder.addresses else None


def _port_holder(port: int, matches: Callable[[str], bool]) -> PortHolder:
    import psutil  # noqa: PLC0415 - only for an error or a check

    try:
        found = [
            (str(connection.laddr.ip), connection.pid)
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and matches(str(connection.laddr.ip))
        ]
    except (psutil.Error, OSError):
        return PortHolder((), "")
    addresses = tuple(sorted({address for address, _ in found}))
    try:
        pids = sorted({pid for _, pid in found if pid})
        processes = ", ".join(f"{psutil.Process(pid).name()} (pid {pid})" for pid in pids)
    except (psutil.Error, OSError):
        processes = ""
    return PortHolder(addresses, processes)


def _collide(one: str, other: str) -> bool:
    """Check if a port cannot be bound at both addresses."""
    if "::" in {one, other} and one != other:
        return one == "::" or ":" in one  # [::] may include IPv4; gatecert's (V6ONLY) does not
    if "0.0.0.0" in {one, other}:  # noqa: S104 - the wildcard is only compared
        return (":" in one) == (":" in other)
    return one == other


def _listen(endpoint: Endpoint, is_ours: Callable[[Endpoint], bool]) -> socket.socket | None:
    """Listen; return None if another gatecert answers and its port cannot be shared."""
    for _ in range(BIND_ATTEMPTS):
        try:
            _bind(endpoint, share=False).close()
            return _bind_and_listen(endpoint)
        except OSError as error:
            if error.errno not in _IN_USE:
                raise
            if is_ours(endpoint):
                return _share(endpoint)
            if _is_only_held(endpoint):
                return _bind_and_listen(endpoint)
            refused = error
    raise refused


def _share(endpoint: Endpoint) -> socket.socket | None:
    """Share the port of another gatecert; return None if that is impossible."""
    try:
        listener = _bind_and_listen(endpoint)
    except OSError as error:
        if error.errno not in _IN_USE:
            raise
        logger.debug("another gatecert answers address=%s", endpoint)
        return None
    logger.debug("sharing address=%s with another gatecert", endpoint)
    return listener


def _is_only_held(endpoint: Endpoint) -> bool:
    """Check if the listener answers as a core does while no gatecert presents a response."""
    try:
        with socket.create_connection(connect_address(endpoint), PROBE_SECONDS) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(1024) in {b"", NOTHING_PRESENTED}
    except (BrokenPipeError, ConnectionResetError):
        return True
    except OSError:
        return False


def _bind_and_listen(endpoint: Endpoint) -> socket.socket:
    listener = _bind(endpoint, share=True)
    try:
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _bind(address: SocketAddress, *, share: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address.host, address.port))
    except OSError:
        listener.close()
        raise
    return listener


def _in_use(endpoint: SocketAddress, holder: PortHolder, kind: str) -> AddressInUseError:
    processes = holder.processes or "another process"
    if endpoint.host in _WILDCARDS and holder.addresses and holder.leaves_addresses_free:
        return AddressInUseError(
            f"{endpoint} is in use: {processes} listens on port {endpoint.port} at "
            f"{', '.join(holder.addresses)}, so no certificate is issued",
            fix=f"set challenges.{kind}.listen to the address that the CA connects to, if this "
            f"machine has another one; otherwise {_REMEDIES[kind]}",
        )
    return AddressInUseError(
        f"{endpoint} is in use by {processes}: {kind} cannot be answered there, so no certificate "
        "is issued",
        fix=_REMEDIES[kind],
    )


def listen_error(endpoint: SocketAddress, error: OSError, kind: str) -> ChallengeError:
    """Say why gatecert cannot listen for a challenge type, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return _in_use(endpoint, find_port_holder(endpoint), kind)
    if error.errno in _NOT_ALLOWED:
        return ChallengeError(
            f"not allowed to listen on {endpoint}: port {endpoint.port} needs CAP_NET_BIND_SERVICE",
            fix=_permission(kind, endpoint.port),
        )
    return ChallengeError(f"cannot listen on {endpoint}: {error.strerror or error}")


def _permission(kind: str, port: int) -> str:
    """Return how to permit listening on a port below 1024."""
    return container.fix_for(
        host="under systemd, give the unit that capability in AmbientCapabilities="
        + (", or start gatecert-http.socket and restart gatecert" if kind == "http-01" else "")
        + "; by hand, run it as root",
        container=f"set challenges.{kind}.listen to a port above 1023, such as "
        f"0.0.0.0:{8000 + port}, and publish it as port {port}",
    )
