"""Conversion of ``fleet`` to a host's place in a fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID

from gatecert import regular_files
from gatecert.errors import ConfigurationError, Problem
from gatecert.model.fleet import DatabaseLogin, FleetHost

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.config.schema import DatabaseSettings, FleetSettings


def fleet_host(settings: FleetSettings) -> FleetHost:
    """Return the place of this host in its fleet.

    Raises:
        ConfigurationError: The certificate cannot be used, so the role is not known.
    """
    return FleetHost(
        database=_database_login(settings.database),
        cluster=settings.cluster,
        host=settings.host,
        ring=settings.ring,
        sealing_keys=settings.sealing_keys,
        reserve=settings.reserve,
    )


def _database_login(settings: DatabaseSettings) -> DatabaseLogin:
    return DatabaseLogin(
        hosts=tuple((server.host, server.port) for server in settings.hosts),
        name=settings.name,
        user=settings.user or _common_name(settings.certificate),
        certificate=settings.certificate,
        key=settings.key,
        ca_bundle=settings.ca_bundle,
    )


def _common_name(path: Path) -> str:
    try:
        certificate = x509.load_pem_x509_certificate(regular_files.read(path))
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except OSError as error:
        raise _unusable(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _unusable(f"{path} contains no certificate that can be read") from error
    if not names:
        raise _unusable(f"{path} has no common name; write the role of this host as user")
    return str(names[0].value)


def _unusable(what: str) -> ConfigurationError:
    return ConfigurationError([Problem("fleet", "database.certificate", what)])
