"""Port 80 from systemd: listening sockets that were opened before us (sd_listen_fds(3)).

systemd opens the port as root and hands it over, so the daemon needs no capability at all. The port
stays open while gatecert restarts: who comes then waits, and is not refused.

Nobody else can open that port meanwhile, a command beside the daemon neither. So the daemon answers
on it for as long as it lives, not only during its own validations: from the token store, which all
commands on the same state share. To everything that is no presented token it says 404. Connections
left waiting in the queue instead would hang, and fill it, before the authority comes.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING, Final

from gatecert.challenge.http_responder import HttpResponder

if TYPE_CHECKING:
    import threading
    from collections.abc import MutableMapping, Sequence

    from gatecert.store.protocol import TokenStore

logger = logging.getLogger(__name__)

NAME: Final = "http-01"  # FileDescriptorName= in gatecert-http.socket
FIRST: Final = 3  # SD_LISTEN_FDS_START


def inherited_sockets(
    environment: MutableMapping[str, str] = os.environ, *, first: int = FIRST
) -> list[socket.socket]:
    """The listening sockets that the service manager has opened for http-01.

    The variables are removed, so that no child takes them for its own, and the descriptors are
    closed in children.

    Args:
        environment: Says how many there are, what they are called, and for which process.
        first: Number of the first descriptor.
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
            logger.warning("a socket from systemd is not used name=%s number=%d", name, number)
        else:
            found.append(candidate)
    return found


class SocketActivatedResponder:
    """Answers http-01 on inherited sockets for as long as the process lives.

    Args:
        listeners: Listening sockets.
        tokens: What to answer with.
    """

    def __init__(self, listeners: Sequence[socket.socket], tokens: TokenStore) -> None:
        self._expected: dict[str, threading.Event] = {}
        self._responder = HttpResponder(list(listeners), tokens.token, self._fetched)
        addresses = ", ".join(_address(listener) for listener in listeners)
        logger.info("answering http-01 on sockets of systemd addresses=%s", addresses)

    def expect(self, token: str, fetched: threading.Event) -> None:
        """Set ``fetched`` as soon as somebody has fetched the response for a token."""
        self._expected[token] = fetched

    def forget(self, token: str) -> None:
        """Expect a token no longer; unknown ones are no error."""
        self._expected.pop(token, None)

    def stop(self) -> None:
        """Answer no longer; systemd keeps the port open."""
        self._responder.stop()

    def _fetched(self, token: str) -> None:
        fetched = self._expected.get(token)
        if fetched is not None:
            fetched.set()


def _listener(descriptor: int) -> socket.socket | None:
    """The descriptor as a socket that listens for TCP connections; None when it is none."""
    try:
        candidate = socket.socket(fileno=descriptor)
    except OSError:
        return None
    listens = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if candidate.family in {socket.AF_INET, socket.AF_INET6} and listens:
        return candidate
    candidate.detach()
    return None


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
