"""TLS listeners of many gateways in one process: ``python -m bench.listeners FILE``.

The file is JSON: the ``live`` directory of each port. Each handshake serves what ``live`` holds at
that moment, so that no reload is necessary.
"""

from __future__ import annotations

import json
import selectors
import socket
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from harness.pebble import PROJECT
from harness.ports import free_port
from harness.process import BackgroundProcess
from harness.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

ADDRESS = "127.0.0.1"
TIMEOUT = 5.0  # seconds of a handshake
THREADS = 4


class Listeners(Server):
    """The process.

    Args:
        directory: For its files.
        served: The ``live`` directory of each port.
    """

    def __init__(self, directory: Path, served: Mapping[int, Path]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._served = served
        self._file = directory / "listeners.json"
        self.process = BackgroundProcess(
            [sys.executable, "-m", "bench.listeners", str(self._file)],
            log=directory / "listeners.log",
            environment={"PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests' / 'integration'}"},
        )

    def start(self) -> Self:
        """Start it, and wait until the last port accepts connections."""
        served = {port: str(live) for port, live in self._served.items()}
        self._file.write_text(json.dumps(served), "utf-8")
        self.process.start()
        self.when_ready(self._is_ready, "the listeners")
        return self

    def _is_ready(self) -> bool:
        try:
            socket.create_connection((ADDRESS, max(self._served)), TIMEOUT).close()
        except OSError:
            return False
        return True


def ports(count: int) -> list[int]:
    """Return free ports in ascending order, in which the process opens them."""
    return sorted(free_port() for _ in range(count))


def main() -> None:
    """Serve until the process is ended."""
    served = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    contexts: dict[Path, ssl.SSLContext] = {}
    with selectors.DefaultSelector() as selector, ThreadPoolExecutor(THREADS) as threads:
        for port, live in served.items():
            listener = socket.create_server((ADDRESS, int(port)))
            selector.register(listener, selectors.EVENT_READ, Path(live))
        while True:
            for key, _ in selector.select():
                assert isinstance(key.fileobj, socket.socket)  # noqa: S101 - for the type checker
                connection, _ = key.fileobj.accept()
                threads.submit(_shake, connection, key.data, contexts)


def _shake(connection: socket.socket, live: Path, contexts: dict[Path, ssl.SSLContext]) -> None:
    """Make a handshake, and close the connection."""
    with connection, suppress(OSError):  # clients close as they like
        connection.settimeout(TIMEOUT)
        with _context(live, contexts).wrap_socket(connection, server_side=True) as secured:
            secured.recv(1)


def _context(live: Path, contexts: dict[Path, ssl.SSLContext]) -> ssl.SSLContext:
    version = live.resolve()
    if version not in contexts:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(version / "fullchain.pem", version / "privkey.pem")
        contexts[version] = context
    return contexts[version]


if __name__ == "__main__":
    main()
