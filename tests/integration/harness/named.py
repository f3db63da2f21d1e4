"""BIND's named: zones with signed dynamic updates, delayed secondaries, resolvers."""

from __future__ import annotations

import base64
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dns.exception
import dns.message
import dns.query
import dns.rdatatype

from harness.ports import free_port
from harness.process import BackgroundProcess, program
from harness.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

ADDRESS = "127.0.0.1"
QUERY_TIMEOUT = 1.0  # seconds

CONFIGURATION = """\
options {{
    directory "{directory}";
    pid-file none;
    session-keyfile none;
    managed-keys-directory "{directory}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 port {port} {{ {ipv6} }};
    recursion {recursion};
    dnssec-validation no;
    empty-zones-enable no;
    notify no;
    minimal-responses no;
    max-udp-size 1232;
    querylog yes;
}};
controls {{ }};
"""

ZONE_FILE = """\
$ORIGIN {name}.
$TTL 1
@ IN SOA ns1 hostmaster 1 3600 600 86400 1
@ IN NS ns1
ns1 IN A 127.0.0.1
"""


@dataclass(frozen=True, slots=True)
class TsigKey:
    """A key that signs dynamic updates.

    Attributes:
        secret: Base64.
    """

    name: str = "gatecert"
    algorithm: str = "hmac-sha256"
    secret: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode())

    def write_secret(self, path: Path) -> Path:
        """Write the secret to a file with mode 0600."""
        path.touch(0o600)
        path.write_text(f"{self.secret}\n", "ascii")
        return path


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone of a server.

    Attributes:
        records: Further lines of its zone file.
        keys: Names of the keys that may change its records.
        types: The types of the records that they may change.
        primary: ``host:port`` of its primary; None where this server is the primary.
        forwarder: ``host:port`` of the server to forward queries to; makes this one a resolver.
        refresh: Seconds between looks at the primary.
    """

    name: str
    records: tuple[str, ...] = ()
    keys: tuple[str, ...] = ("gatecert",)
    primary: str | None = None
    forwarder: str | None = None
    refresh: int = 3600
    types: tuple[str, ...] = ("TXT",)

    def configuration(self) -> str:
        """As it stands in named.conf."""
        if self.forwarder is not None:
            host, _, port = self.forwarder.rpartition(":")
            return (
                f'zone "{self.name}" {{ type forward; forward only; '
                f"forwarders {{ {host} port {port}; }}; }};\n"
            )
        if self.primary is not None:
            host, _, port = self.primary.rpartition(":")
            return (
                f'zone "{self.name}" {{ type secondary; file "{self.name}.copy"; '
                f"primaries {{ {host} port {port}; }}; min-refresh-time {self.refresh}; "
                f"max-refresh-time {self.refresh}; allow-notify {{ none; }}; }};\n"
            )
        grants = " ".join(f"grant {key} zonesub {' '.join(self.types)};" for key in self.keys)
        policy = f"update-policy {{ {grants} }};" if grants else "allow-update { none; };"
        return f'zone "{self.name}" {{ type primary; file "{self.name}.zone"; {policy} }};\n'


class Named(Server):
    """One nameserver on loopback.

    Args:
        directory: Takes its configuration, its zones and its log.
        zones: What it knows; every other name is refused.
        keys: The keys it knows.
        port: A free one unless given.
        ipv6: Whether it listens on ::1 as well.
    """

    def __init__(
        self,
        directory: Path,
        *,
        zones: Sequence[Zone],
        keys: Sequence[TsigKey] = (),
        port: int | None = None,
        ipv6: bool = False,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._zones = tuple(zones)
        text = CONFIGURATION.format(
            directory=directory,
            port=self.port,
            ipv6="::1;" if ipv6 else "none;",
            recursion="yes" if any(zone.forwarder for zone in zones) else "no",
        )
        for key in keys:
            text += f'key "{key.name}" {{ algorithm {key.algorithm}; secret "{key.secret}"; }};\n'
        for zone in zones:
            text += zone.configuration()
            if zone.primary is None and zone.forwarder is None:
                lines = "".join(f"{line}\n" for line in zone.records)
                content = ZONE_FILE.format(name=zone.name) + lines
                (directory / f"{zone.name}.zone").write_text(content, "utf-8")
        configuration = directory / "named.conf"
        configuration.write_text(text, "utf-8")
        self.process = BackgroundProcess(
            [program("named"), "-g", "-n", "1", "-c", str(configuration)],
            log=directory / "named.log",
        )

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"{ADDRESS}:{self.port}"

    def texts(self, name: str) -> list[str]:
        """The TXT records of a name, sorted."""
        return self.records(name, "TXT")

    def records(self, name: str, kind: str) -> list[str]:
        """The records of one type at a name, sorted; of TXT records the text."""
        answer = self._ask(name, kind)
        found = (
            b"".join(record.strings).decode() if kind == "TXT" else record.to_text()
            for records in answer.answer
            if records.rdtype == dns.rdatatype.from_text(kind)
            for record in records
        )
        return sorted(found)

    @property
    def customer_zones(self) -> list[str]:
        """The zones that keys may change, in order."""
        return [zone.name for zone in self._zones if zone.keys]

    def zone_of(self, name: str) -> str:
        """The closest of the zones above a name."""
        names = [zone.name for zone in self._zones if f".{name}".endswith(f".{zone.name}")]
        return max(names, key=len)

    def questions(self, name: str) -> list[str]:
        """The record types that a name was asked for, in order, this harness included."""
        return re.findall(rf"query: {re.escape(name)} IN (\S+)", self.process.output)

    def start(self) -> Self:
        """Start it and wait until it has loaded every zone."""
        self.process.start()
        self.when_ready(self._is_ready, f"named at {self.address}")
        return self

    def _is_ready(self) -> bool:
        try:
            answers = [self._ask(zone.name, "SOA") for zone in self._zones]
        except (OSError, dns.exception.Timeout):
            return False
        return all(answer.answer for answer in answers)

    def _ask(self, name: str, kind: str) -> dns.message.Message:
        return dns.query.tcp(
            dns.message.make_query(name, kind), ADDRESS, timeout=QUERY_TIMEOUT, port=self.port
        )
