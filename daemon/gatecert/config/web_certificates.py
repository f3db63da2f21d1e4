"""Checks of the certificates of listeners, for `config.existence`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gatecert.config.configuration_finding import Finding
from gatecert.config.files import web_configs
from gatecert.config.web_config import web_access
from gatecert.errors import CertificateError, ConfigurationError
from gatecert.http.server_context import server_context
from gatecert.trusted_files import trusted_users, weakness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.config.configuration_finding import Location
    from gatecert.config.schema import Configuration
    from gatecert.model import WebAccess


def findings(configuration: Configuration) -> Iterator[Finding]:
    """Yield the certificates and keys that listeners cannot use."""
    state = configuration.state_directory
    for where, path in web_configs(configuration):
        with suppress(ConfigurationError):  # `config.files` reports it
            yield from _findings(where, web_access(path, trusted_users(state)), state)


def _findings(where: Location, access: WebAccess, state: Path) -> Iterator[Finding]:
    if not access.certificate:
        return
    if any(_is_to_come(Path(each), state) for each in (access.certificate, access.key)):
        return
    found = weakness(Path(access.key), trusted_users(state))
    if found is not None:
        what = f"{access.key} {found}, and it is a private key; {found.fix}"
        yield Finding(where, what)
    try:
        server_context(access.certificate, access.key, access.client_authorities)
    except CertificateError as error:
        if not isinstance(error.__cause__, PermissionError):  # the daemon is another user
            yield Finding(where, f"{error.message}; {error.fix}")


def _is_to_come(path: Path, state: Path) -> bool:
    """Tell whether gatecert has yet to write a file."""
    return path.is_relative_to(state) and not path.exists()
