"""Answers http-01 on the sockets that the service manager has opened, in threads of the core.

A worker says which token it expects, and is told when the CA has fetched its response.
"""

from __future__ import annotations

import logging
import os
from functools import partial
from typing import TYPE_CHECKING

from gatecert.challenge.socket_activation import NAME, SocketActivatedResponder
from gatecert.store.tokens import TokenFiles
from gatecert.supervision.messages import Fetched

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from pathlib import Path

    from gatecert.supervision.workers import Worker

logger = logging.getLogger(__name__)


class ChallengeAnswers:
    """Answers from the token store until it is closed.

    Args:
        listeners: Listening sockets.
        directory: The state directory.
    """

    def __init__(self, listeners: Sequence[socket.socket], directory: Path) -> None:
        self._expected: dict[str, Worker] = {}
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        tokens = partial(TokenFiles(directory).token, NAME)
        self._responder = SocketActivatedResponder(listeners, tokens, self._note)

    def fileno(self) -> int:
        """Return a descriptor, which is readable once a response was fetched."""
        return self._read

    def expect(self, token: str, worker: Worker) -> None:
        """Tell a worker when the response for a token is fetched."""
        self._expected[token] = worker

    def forget(self, token: str) -> None:
        """Expect a token no longer; an unknown one is no error."""
        self._expected.pop(token, None)

    def release(self, worker: Worker) -> None:
        """Expect nothing for a worker any more."""
        for token in [each for each, owner in self._expected.items() if owner is worker]:
            del self._expected[token]

    def tell(self) -> None:
        """Tell the workers which responses were fetched."""
        for token in os.read(self._read, 65536).decode().split():
            worker = self._expected.get(token)
            if worker is not None:
                worker.process.send(Fetched(token))

    def close(self) -> None:
        """Stop answering; the service manager keeps the port open."""
        self._responder.stop()
        os.close(self._read)
        os.close(self._write)

    def _note(self, token: str) -> None:
        """Note a token in a thread of the responder; a full pipe loses only a hint."""
        try:
            os.write(self._write, f"{token}\n".encode())
        except BlockingIOError:
            logger.debug("too many fetched responses at once")
