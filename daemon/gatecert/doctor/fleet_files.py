"""Checks of the files by which a host logs in to the fleet's database, and seals its keys.

What cannot be read at all is an error of the configuration (``config.files``).
"""

from __future__ import annotations

import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from gatecert import regular_files
from gatecert.certificate.pem import find_readable
from gatecert.config.configuration_finding import Finding
from gatecert.config.files import hidden_credentials
from gatecert.config.fleet_host import fleet_host
from gatecert.doctor.client_certificate_files import complaint
from gatecert.errors import ConfigurationError, SealingKeyMissingError
from gatecert.http.client_certificate import ClientCertificate
from gatecert.store.postgres.sealing import NEW_KEY, SealingKeys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from gatecert.config.configuration_finding import Location
    from gatecert.config.schema import FleetSettings
    from gatecert.config.schema.fleet_settings import DatabaseSettings

CERTIFICATE: Final[Location] = ("fleet", "database", "certificate")
KEY: Final[Location] = ("fleet", "database", "key")


def findings(fleet: FleetSettings, now: datetime) -> Iterator[Finding]:
    """Yield what makes every login fail, and sealing keys that are none.

    Args:
        fleet: The settings.
        now: Aware UTC.
    """
    database = fleet.database
    files = ClientCertificate(database.certificate, database.key)
    certificate = next(iter(find_readable([regular_files.read(database.certificate)])), None)
    what = complaint(files, certificate, now)
    if what:
        yield Finding(CERTIFICATE, what)
    else:
        yield from _role(fleet)
        yield from _rights(database)
    for index, path in enumerate(fleet.sealing_keys):
        if not _is_sealing_key(path):
            what = f"{path} is not a Fernet key (32 bytes in base64url); make one: {NEW_KEY}"
            yield Finding(("fleet", "sealing_keys", index), what)


def login_ends(database: DatabaseSettings) -> datetime:
    """Return the end of a certificate that `findings` has nothing to say of."""
    return find_readable([regular_files.read(database.certificate)])[0].not_valid_after_utc


def _role(fleet: FleetSettings) -> Iterator[Finding]:
    """Check that the role is known."""
    try:
        fleet_host(fleet)
    except ConfigurationError as error:
        yield from (Finding(CERTIFICATE, problem.what) for problem in error.problems)


def _rights(database: DatabaseSettings) -> Iterator[Finding]:
    """Check that libpq accepts the rights of the key, which are narrower than those of others."""
    with suppress(OSError):  # only the daemon may look at it
        status = database.key.stat()
        if status.st_uid != 0 and status.st_mode & stat.S_IRGRP:
            what = "may be read by its group, so PostgreSQL's library (libpq) refuses it"
            yield Finding(KEY, f"{what}; run chmod g= on it, or chown root")


def _is_sealing_key(path: Path) -> bool:
    """Tell whether a file is a Fernet key, or may be read by the daemon only."""
    if path.parent == hidden_credentials():
        return True
    try:
        SealingKeys([regular_files.read(path)])
    except SealingKeyMissingError:
        return False
    return True
