"""Free ports and plain clients on loopback."""

from __future__ import annotations

import http.client
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatecert.model import Endpoint

LOOPBACK = "127.0.0.1"


def fetch(endpoint: Endpoint, path: str, method: str = "GET") -> tuple[int, bytes, str]:
    """Status, body and all headers as text."""
    connection = http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read(), str(response.headers)
    finally:
        connection.close()


def exchange(endpoint: Endpoint, *pieces: bytes) -> bytes:
    """Send pieces one by one, and read until the other side closes."""
    with socket.create_connection((endpoint.host, endpoint.port), timeout=5) as channel:
        for piece in pieces:
            channel.sendall(piece)
        received = b""
        while data := channel.recv(65536):
            received += data
        return received


def free_port(host: str = LOOPBACK) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
