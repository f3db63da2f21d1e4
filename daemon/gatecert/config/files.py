"""Checks of the files that a configuration names.

No message repeats the name or contents of a secret file, other than that of a credential: somebody
may have written the secret itself instead of a path.

systemd shows credentials to a service's main process only (systemd.exec(5)): the command of
``ExecReload=`` knows their directory and cannot read it. Hidden credentials are not checked there;
the daemon checks them itself.
"""

from __future__ import annotations

import os
import stat
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert import regular_files
from gatecert.config.configuration_finding import Finding
from gatecert.config.paths import credentials_directory
from gatecert.config.web_config import web_access
from gatecert.errors import ConfigurationError
from gatecert.regular_files import IrregularFileError, TooLargeError
from gatecert.trusted_files import WeakFileError, read_secret, trusted_users

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from gatecert.config.configuration_finding import Location
    from gatecert.config.schema import (
        AuthoritySettings,
        Configuration,
        DdnsSettings,
        FleetSettings,
    )

LARGEST_BUNDLE: Final = 8 << 20  # bytes
FLEET_PACKAGE: Final = "psycopg"
CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"


def findings(configuration: Configuration) -> Iterator[Finding]:
    """Yield the errors of the files that the daemon cannot work without."""
    hidden = hidden_credentials()
    users = trusted_users(configuration.state_directory)
    for location, path in secrets(configuration):
        what = secret_complaint(path, users) if path.parent != hidden else ""
        if what:
            yield Finding(location, what)
    yield from _fleet_library(configuration)
    for location, path in _bundles(configuration):
        what = _bundle_complaint(path)
        if what:
            yield Finding(location, what)
    for location, path in web_configs(configuration):
        try:
            web_access(path, users)
        except ConfigurationError as error:
            yield from (Finding(location, str(problem)) for problem in error.problems)


def hidden_credentials() -> Path | None:
    """Return the credentials directory if this process may not read it."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(directory) if directory and not os.access(directory, os.X_OK) else None


def secrets(configuration: Configuration) -> Iterator[tuple[Location, Path]]:
    """Yield every secret file, and the setting that names it."""
    for name, authority in configuration.authorities.items():
        yield from _authority_secrets(("authorities", name), authority)
    dns_01 = configuration.challenges.dns_01
    if dns_01 is not None:
        if dns_01.tsig is not None:
            yield ("challenges", "dns-01", "tsig", "secret_file"), dns_01.tsig.secret_file
        for option, path in dns_01.credentials.items():
            yield ("challenges", "dns-01", "credentials", option), path
    yield from _fleet_secrets(configuration.fleet)
    for name, gateway in configuration.gateways.items():
        if gateway.ddns is not None:
            yield from _ddns_secrets(("gateways", name, "ddns"), gateway.ddns)
        for index, copy in enumerate(gateway.install.copy_to):
            if copy.password_file is not None:
                place = ("gateways", name, "install", "copy_to", index, "password_file")
                yield place, copy.password_file


def _authority_secrets(
    here: Location, authority: AuthoritySettings
) -> Iterator[tuple[Location, Path]]:
    if authority.external_account is not None:
        yield (
            (*here, "external_account", "hmac_key_file"),
            authority.external_account.hmac_key_file,
        )
    if authority.client_key is not None:
        yield (*here, "client_key"), authority.client_key


def _fleet_secrets(fleet: FleetSettings | None) -> Iterator[tuple[Location, Path]]:
    if fleet is None:
        return
    yield ("fleet", "database", "key"), fleet.database.key
    for index, path in enumerate(fleet.sealing_keys):
        yield ("fleet", "sealing_keys", index), path


def _ddns_secrets(here: Location, ddns: DdnsSettings) -> Iterator[tuple[Location, Path]]:
    if ddns.tsig is not None:
        yield (*here, "tsig", "secret_file"), ddns.tsig.secret_file
    if ddns.password_file is not None:
        yield (*here, "password_file"), ddns.password_file
    for option, path in ddns.credentials.items():
        yield (*here, "credentials", option), path


def _bundles(configuration: Configuration) -> Iterator[tuple[Location, Path]]:
    for name, authority in configuration.authorities.items():
        if authority.ca_bundle is not None:
            yield ("authorities", name, "ca_bundle"), authority.ca_bundle
        if authority.client_certificate is not None:
            yield ("authorities", name, "client_certificate"), authority.client_certificate
        if authority.trusted_roots is not None:
            yield ("authorities", name, "trusted_roots"), authority.trusted_roots
    for name, gateway in configuration.gateways.items():
        if gateway.ddns is not None and gateway.ddns.ca_bundle is not None:
            yield ("gateways", name, "ddns", "ca_bundle"), gateway.ddns.ca_bundle
    if configuration.fleet is not None:
        database = configuration.fleet.database
        yield ("fleet", "database", "certificate"), database.certificate
        yield ("fleet", "database", "ca_bundle"), database.ca_bundle


def _fleet_library(configuration: Configuration) -> Iterator[Finding]:
    """Check that the library of the database is installed."""
    if configuration.fleet is not None and find_spec(FLEET_PACKAGE) is None:
        what = "needs psycopg, which this Python does not have: pip install gatecert[fleet]"
        yield Finding(("fleet",), what)


def web_configs(configuration: Configuration) -> Iterator[tuple[Location, Path]]:
    """Yield every web configuration, and the setting that names it."""
    for name, settings in (("metrics", configuration.metrics), ("page", configuration.page)):
        if settings is not None and settings.web_config is not None:
            yield (name, "web_config"), settings.web_config


def secret_complaint(path: Path, users: Collection[int]) -> str:
    """Return what is wrong with a secret file; empty if nothing."""
    content, weakness = b"", ""
    try:
        content = read_secret(path, users)
    except WeakFileError as error:
        weakness = f"names a file that {error.weakness}; {error.fix}"
    except OSError as error:
        if isinstance(error, FileNotFoundError) and path.parent == credentials_directory():
            return (
                f"names a credential that does not exist ({path}); systemd provides those of"
                " LoadCredential= only while gatecert.service runs"
            )
        return f"{_unreadable(error)}; it must be a file that contains the secret"
    if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        return "names a world-readable or world-writable file; run chmod o= on it"
    return weakness or ("" if content.strip() else "names an empty file; write the secret to it")


def _bundle_complaint(path: Path) -> str:
    """Return what is wrong with a certificate file; empty if nothing."""
    try:
        content = regular_files.read(path, LARGEST_BUNDLE)
    except OSError as error:
        return f"{_unreadable(error)} ({path})"
    if CERTIFICATE not in content:
        return f"{path} contains no PEM certificate (no {CERTIFICATE.decode()})"
    return ""


def _unreadable(error: OSError) -> str:
    """Return why a file cannot be read, without its name."""
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return "names a file that does not exist"
        case TooLargeError():
            return "names a file that is too large"
        case IrregularFileError():
            return "names something that is not a regular file"
        case _:
            return f"names a file that cannot be read: {(error.strerror or str(error)).lower()}"
