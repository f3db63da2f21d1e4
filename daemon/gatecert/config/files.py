"""Whether the files that a configuration names are there and fit to be used.

Nothing of what a secret file is called or holds is repeated: where somebody wrote the secret in
place of a file, the message must not spread it.

systemd shows credentials to a service's main process only (systemd.exec(5)): the command of an
``ExecReload=`` is told where they are and cannot look there. About what is hidden nothing is said;
the daemon looks for itself.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.config.configuration_finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.config.configuration_finding import Location
    from gatecert.config.schema import Configuration

LARGEST_SECRET: Final = 64 << 10  # bytes
LARGEST_BUNDLE: Final = 8 << 20  # bytes
CERTIFICATE: Final = b"-----BEGIN CERTIFICATE-----"


def findings(configuration: Configuration) -> Iterator[Finding]:
    """What is wrong with the files that are needed to work at all."""
    hidden = _hidden_credentials()
    for location, path in _secrets(configuration):
        what = _secret_complaint(path) if path.parent != hidden else ""
        if what:
            yield Finding(location, what)
    for location, path in _bundles(configuration):
        what = _bundle_complaint(path)
        if what:
            yield Finding(location, what)


def _hidden_credentials() -> Path | None:
    """Where this service's credentials are, if they are hidden from this process."""
    told = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(told) if told and not os.access(told, os.X_OK) else None


def _secrets(configuration: Configuration) -> Iterator[tuple[Location, Path]]:
    for name, authority in configuration.authorities.items():
        if authority.external_account is not None:
            where = ("authorities", name, "external_account", "hmac_key_file")
            yield where, authority.external_account.hmac_key_file
    dns_01 = configuration.challenges.dns_01
    if dns_01 is not None:
        if dns_01.tsig is not None:
            yield ("challenges", "dns-01", "tsig", "secret_file"), dns_01.tsig.secret_file
        for option, path in dns_01.credentials.items():
            yield ("challenges", "dns-01", "credentials", option), path
    for name, gateway in configuration.gateways.items():
        for index, copy in enumerate(gateway.install.copy_to):
            if copy.password_file is not None:
                place = ("gateways", name, "install", "copy_to", index, "password_file")
                yield place, copy.password_file


def _bundles(configuration: Configuration) -> Iterator[tuple[Location, Path]]:
    for name, authority in configuration.authorities.items():
        if authority.ca_bundle is not None:
            yield ("authorities", name, "ca_bundle"), authority.ca_bundle
        if authority.trusted_roots is not None:
            yield ("authorities", name, "trusted_roots"), authority.trusted_roots


def _secret_complaint(path: Path) -> str:
    """What is wrong with a file that holds a secret; empty if nothing is."""
    content = _content(path, LARGEST_SECRET)
    if isinstance(content, str):
        return f"{content}; it must be a file that holds the secret"
    if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        return "names a file that everybody may read or change; run chmod o= on it"
    if not content.strip():
        return "names an empty file; put the secret into it"
    return ""


def _bundle_complaint(path: Path) -> str:
    """What is wrong with a file of certificates; empty if nothing is."""
    content = _content(path, LARGEST_BUNDLE)
    if isinstance(content, str):
        return f"{content} ({path})"
    if CERTIFICATE not in content:
        return f"{path} holds no certificate in PEM (no {CERTIFICATE.decode()})"
    return ""


def _content(path: Path, limit: int) -> bytes | str:
    """The content, or what is wrong with the file."""
    try:
        if not path.exists():
            return "names a file that does not exist"
        if not path.is_file():
            return "names something that is not a file"
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        return f"names a file that cannot be read: {(error.strerror or str(error)).lower()}"
    return content if len(content) <= limit else "names a file that is far too large"
