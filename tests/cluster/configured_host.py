"""Hosts of a fleet whose commands run with a configuration, without a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.fernet import Fernet

from harness.gatecert import CommandResult, Gatecert

from .conftest import HOSTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .conftest import FleetDatabase

GATEWAY = "vpn"


def configured_host(
    database: FleetDatabase,
    role: str,
    directory: Path,
    seals: tuple[str, ...] = ("seal",),
    environment: Mapping[str, str] | None = None,
) -> Gatecert:
    """Write the configuration of a host with one gateway.

    Args:
        database: The fleet's.
        role: One of `HOSTS`.
        directory: For its files, and those of its sealing keys.
        seals: The names of these, the one that seals first.
        environment: Of its commands.
    """
    gatecert = Gatecert(directory / role, environment=environment)
    gatecert.configuration["authorities"]["letsencrypt"] = {
        "directory_url": "https://ca.example/directory",
        "terms_of_service_agreed": True,
    }
    gatecert.add_gateway(GATEWAY, "vpn.example.com", challenge="http-01")
    gatecert.configuration["challenges"] = {"http-01": {"webroot": str(directory)}}
    login, (cluster, host) = database.logins[role], HOSTS[role]
    gatecert.configuration["fleet"] = {
        "database": {
            "hosts": [f"{server}:{port}" for server, port in login.hosts],
            "name": login.name,
            "certificate": str(login.certificate),
            "key": str(login.key),
            "ca_bundle": str(login.ca_bundle),
        },
        "cluster": cluster,
        "host": host,
        "sealing_keys": [str(sealing_key(directory, name)) for name in seals],
    }
    return gatecert.write()


def sealing_key(directory: Path, name: str) -> Path:
    """Return the file of a sealing key, made at its first use."""
    path = directory / name
    if not path.exists():
        path.touch(0o600)
        path.write_bytes(Fernet.generate_key())
    return path


def failed(result: CommandResult, code: int = 1) -> str:
    """Return the error of a command that said nothing else."""
    assert (result.exit_code, result.output) == (code, "")
    assert result.errors.count("\n") == 1
    return result.errors
