"""The files of a host of a fleet, and a configuration that names them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from cryptography.fernet import Fernet
from tests.fakes.pki import Pki

if TYPE_CHECKING:
    from tests.fakes.pki import Issued

GATEWAY = {"hostname": "vpn.example.com", "mode": "custom"}


@dataclass
class FleetFiles:
    """Certificate, keys and roots of host ``gw-a``, in a directory.

    Attributes:
        section: The section ``fleet``, which names them relative to the configuration.
        others: Other sections, in place of the usual ones.
    """

    directory: Path
    pki: Pki = field(default_factory=Pki)
    section: dict[str, Any] = field(
        default_factory=lambda: {
            "database": {
                "hosts": ["db1.example.com", "db2.example.com:6432"],
                "certificate": "gw-a.pem",
                "key": "gw-a-key.pem",
                "ca_bundle": "database-ca.pem",
            },
            "cluster": "hq",
            "host": "gw-a",
            "sealing_keys": ["seal-2026", "seal-2025"],
        }
    )

    others: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write the files."""
        self.directory.mkdir(exist_ok=True)
        self.write("database-ca.pem", self.pki.root().pem)
        self.log_in_by(self.pki.issue("gw-a", self.pki.root(), server=False))
        for name in self.section["sealing_keys"]:
            self.write(name, Fernet.generate_key() + b"\n")

    def log_in_by(self, issued: Issued) -> None:
        """Write another certificate and its key."""
        self.write("gw-a.pem", issued.pem)
        self.write("gw-a-key.pem", issued.key_pem)

    def write(self, name: str, content: bytes) -> Path:
        """Write a file that nobody else may read."""
        path = self.directory / name
        path.touch(0o600)
        path.write_bytes(content)
        return path

    def configuration(self) -> Path:
        """Write the configuration with the section as it is now."""
        written = {
            "state_directory": "state",
            "fleet": self.section,
            "gateways": {"vpn": GATEWAY},
            **self.others,
        }
        return self.write("config.yaml", yaml.dump(written, sort_keys=False).encode())
