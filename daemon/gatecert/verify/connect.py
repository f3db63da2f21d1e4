"""A TCP connection to a listener, looking up its name included, by one deadline."""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from gatecert.errors import clean
from gatecert.model import FailureKind

if TYPE_CHECKING:
    from gatecert.deadline import Deadline
    from gatecert.model import Endpoint


class ProbeError(Exception):
    """Carries a failure out of the steps of a probe; ``probe`` turns it into a value."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


def connect(endpoint: Endpoint, deadline: Deadline) -> socket.socket:
    """Connect to the first of the host's addresses that accepts.

    Raises:
        ProbeError: None does; tells what the last one said.
    """
    failure = ProbeError(FailureKind.NAME, f"cannot be asked: {endpoint.host} has no address")
    for address in [endpoint.address] if endpoint.address else addresses(endpoint, deadline):
        try:
            return socket.create_connection(
                (address, endpoint.port), timeout=remaining_seconds(deadline)
            )
        except OSError as error:
            failure = _connection_failure(error)
    raise failure


def addresses(endpoint: Endpoint, deadline: Deadline) -> list[str]:
    """The addresses of a host, the resolver being bound by the deadline too.

    Raises:
        ProbeError: It cannot be looked up.
    """
    with suppress(ValueError):
        return [str(ipaddress.ip_address(endpoint.host))]
    # The system's resolver knows no deadline, so it may have to be left behind in its thread.
    answer: SimpleQueue[list[str] | OSError | UnicodeError] = SimpleQueue()
    Thread(target=_look_up, args=(endpoint, answer), name="look-up", daemon=True).start()
    try:
        found = answer.get(timeout=deadline.remaining)
    except Empty:
        found = TimeoutError("the resolver does not answer")
    if isinstance(found, list):
        return found
    reason = clean(getattr(found, "strerror", None) or str(found))
    raise ProbeError(
        FailureKind.NAME, f"cannot be asked: {endpoint.host} cannot be looked up ({reason})"
    ) from found


def _look_up(endpoint: Endpoint, answer: SimpleQueue[list[str] | OSError | UnicodeError]) -> None:
    """Ask the system's resolver, which knows ``/etc/hosts``."""
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        answer.put(error)
    else:
        answer.put(list(dict.fromkeys(str(address[0]) for *_, address in found)))


def _connection_failure(error: OSError) -> ProbeError:
    """Say in words why there is no connection."""
    if isinstance(error, TimeoutError):
        return ProbeError(FailureKind.TIMEOUT, "does not answer: connecting timed out")
    if error.errno == errno.ECONNREFUSED:
        return ProbeError(FailureKind.REFUSED, "refuses connections: nothing listens there")
    reason = clean(error.strerror or str(error))
    return ProbeError(FailureKind.UNREACHABLE, f"cannot be reached ({reason})")


def remaining_seconds(deadline: Deadline) -> float:
    """Seconds left, as a socket takes them: to it, zero would mean not to wait at all.

    Raises:
        TimeoutError: None are left.
    """
    remaining = deadline.remaining
    if remaining <= 0.0:
        raise TimeoutError
    return remaining
