"""Certificates that a server's configuration names already."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final

from gatecert import regular_files
from gatecert.certificate.certificate_names import identifiers_of, uncovered_names
from gatecert.certificate.pem import LARGEST_CHAIN, find_readable
from gatecert.model import Identifier, IdentifierType

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT: Final = 5.0  # seconds


def covers(path: Path, hostname: str) -> bool:
    """Tell whether a file has a certificate for a name, or is missing or no certificate at all."""
    try:
        found = find_readable([regular_files.read(path, LARGEST_CHAIN)])
    except OSError:
        return not path.exists()
    if not found:
        return True
    wanted = [Identifier(IdentifierType.DNS, hostname)]
    return not uncovered_names(wanted, identifiers_of(found[0]))


def serves_trusted(hostname: str, address: str, port: int) -> bool:
    """Tell whether a listener serves a certificate that this machine trusts for a name."""
    try:
        with (
            socket.create_connection((address, port), TIMEOUT) as connection,
            ssl.create_default_context().wrap_socket(connection, server_hostname=hostname),
        ):
            return True
    except (OSError, ValueError):
        return False


def accepts(address: str, port: int) -> bool:
    """Tell whether something accepts connections."""
    try:
        with socket.create_connection((address, port), TIMEOUT):
            return True
    except OSError:
        return False
