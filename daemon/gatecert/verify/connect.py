"""A TCP connection to a listener; one deadline covers the name lookup as well."""

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
    """A failed step of a probe; ``probe`` returns it as a value."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail


def connect(endpoint: Endpoint, deadline: Deadline) -> socket.socket:
    """Connect to the first address of the host that accepts.

    Raises:
        ProbeError: None does; describes the last failure.
    """
    failure = ProbeError(FailureKind.NAME, f"cannot be reached: {endpoint.host} has no address")
    for address in [endpoint.address] if endpoint.address else addresses(endpoint, deadline):
        try:
            return socket.create_connection(
                (address, endpoint.port), timeout=remaining_seconds(deadline)
            )
        except OSError as error:
            failure = _connection_failure(error)
    raise failure


def addresses(endpoint: Endpoint, deadline: Deadline) -> list[str]:
    """Return the addresses of a host, within the deadline.

    Raises:
        ProbeError: The lookup failed.
    """
    with suppress(ValueError):
        return [str(ipaddress.ip_address(endpoint.host))]
    # The system's resolver has no deadline, so it runs in a thread that may be abandoned.
    answer: SimpleQueue[list[str] | OSError | UnicodeError] = SimpleQueue()
    Thread(target=_look_up, args=(endpoint, answer), name="look-up", daemon=True).start()
    try:
        found = answer.get(timeout=deadline.remaining)
    except Empty:
        found = TimeoutError("no answer from the resolver")
    if isinstance(found, list):
        return found
    reason = clean(getattr(found, "strerror", None) or str(found))
    raise ProbeError(
        FailureKind.NAME, f"cannot be reached: the lookup of {endpoint.host} failed ({reason})"
    ) from found


def _look_up(endpoint: Endpoint, answer: SimpleQueue[list[str] | OSError | UnicodeError]) -> None:
    """Query the system's resolver, which includes ``/etc/hosts``."""
    try:
        found = socket.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        answer.put(error)
    else:
        answer.put(list(dict.fromkeys(str(address[0]) for *_, address in found)))


def _connection_failure(error: OSError) -> ProbeError:
    """Describe why there is no connection."""
    if isinstance(error, TimeoutError):
        return ProbeError(FailureKind.TIMEOUT, "does not answer: the connection timed out")
    if error.errno == errno.ECONNREFUSED:
        return ProbeError(FailureKind.REFUSED, "refuses connections: nothing listens there")
    reason = clean(error.strerror or str(error))
    return ProbeError(FailureKind.UNREACHABLE, f"cannot be reached ({reason})")


def remaining_seconds(deadline: Deadline) -> float:
    """Return the seconds left, as a socket timeout; zero would make the socket non-blocking.

    Raises:
        TimeoutError: No time is left.
    """
    remaining = deadline.remaining
    if remaining <= 0.0:
        raise TimeoutError
    return remaining
