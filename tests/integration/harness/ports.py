"""Free loopback ports.

They are below the kernel's range for outgoing connections, so that no
client's connection can take a port between its choice and its use. Of
several test processes (pytest-xdist) each has its own ports.
"""

from __future__ import annotations

import os
import random
import socket

FIRST, LAST = 20_000, 32_000
ATTEMPTS = 200
PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
THIS_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))

_handed_out: set[int] = set()


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is free for TCP and UDP and that this process has not returned before."""
    for _ in range(ATTEMPTS):
        port = random.randrange(FIRST + THIS_PROCESS, LAST, PROCESSES)
        if port not in _handed_out and _is_free(host, port):
            _handed_out.add(port)
            return port
    raise RuntimeError(f"{ATTEMPTS} random ports of {host} are all taken")


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                return False
    return True
