"""Socket activation for http-01: listening sockets from systemd (sd_listen_fds(3)).

systemd opens port 80 as root and passes it on, so the daemon needs no capability. The port stays
open while gatecert restarts: a request in that time waits and is not refused.

No other process can open that port, so a command beside the daemon cannot either. The daemon
therefore answers on it permanently, not only during its own validations: from the token store,
which all commands on the same state directory share. Any other request gets a 404. Unanswered
connections would otherwise fill the accept queue before the authority's request.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING, Final, Protocol

from gatecert.challenge.http_responder import http_responder

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, MutableMapping, Sequence

logger = logging.getLogger(__name__)

NAME: Final = "http-01"  # FileDescriptorName= in gatecert-http.socket
FIRST: Final = 3  # SD_LISTEN_FDS_START


def inherited_sockets(
    environment: MutableMapping[str, str] = os.environ, *, first: int = FIRST
) -> list[socket.socket]:
    """Return the listening sockets that the service manager has passed for http-01.

    The environment variables are removed and the descriptors are made non-inheritable, so that no
    child process uses them.

    Args:
        environment: Contains LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES.
        first: The first descriptor.
    """
    process = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if process != str(os.getpid()) or not (count.isascii() and count.isdigit()):
        return []
    found = []
    for number in range(int(count)):
        name = names[number] if number < len(names) else ""
        os.set_inheritable(first + number, False)  # noqa: FBT003 - positional only
        candidate = _listener(first + number) if name == NAME else None
        if candidate is None:
            logger.warning("ignoring a socket from systemd name=%s number=%d", name, number)
        else:
            found.append(candidate)
    return found


class FetchNotices(Protocol):
    """Whatever answers http-01 on inherited sockets, as seen by a solver."""

    def expect(self, token: str, fetched: threading.Event) -> None:
        """Set ``fetched`` once the response for a token is fetched."""
        ...

    def forget(self, token: str) -> None:
        """Stop expecting a token; an unknown one is not an error."""
        ...


class SocketActivatedResponder:
    """Answers http-01 on inherited sockets until the process ends.

    Args:
        listeners: Listening sockets.
        tokens: Returns the response for a token; None for any other text.
        fetched: Is told which response was fetched.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        tokens: Callable[[str], str | None],
        fetched: Callable[[str], None],
    ) -> None:
        from gatecert.model import Endpoint  # noqa: PLC0415 - seldom needed, and large

        self._responder = http_responder(list(listeners), tokens, fetched)
        addresses = ", ".join(str(Endpoint(*each.getsockname()[:2])) for each in listeners)
        logger.info("answering http-01 on sockets of systemd addresses=%s", addresses)

    def stop(self) -> None:
        """Stop answering; systemd keeps the port open."""
        self._responder.stop()


def _listener(descriptor: int) -> socket.socket | None:
    """Return the descriptor as a listening TCP socket; None if it is not one."""
    try:
        candidate = socket.socket(fileno=descriptor)
    except OSError:
        return None
    listens = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if candidate.family in {socket.AF_INET, socket.AF_INET6} and listens:
        return candidate
    candidate.detach()
    return None
