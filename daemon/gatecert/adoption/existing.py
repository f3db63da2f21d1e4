"""The entries of a configuration file on which an adoption depends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gatecert.config.include import read
from gatecert.config.names import host_name
from gatecert.config.schema.authority import directory_url
from gatecert.config.schema.configuration import default_state_directory
from gatecert.config.source_file import contents
from gatecert.config.values import BadValueError
from gatecert.model import Mode

if TYPE_CHECKING:
    from gatecert.config.tree import Plain


@dataclass(frozen=True, slots=True)
class Existing:
    """The entries of a configuration file.

    Attributes:
        path: The file; it need not exist.
        authorities: Directory URL by name.
        gateways: Hostname by name.
        custom: The gateways with ``mode: custom``.
        challenges: The challenge types with settings.
        dns_provider: The provider of dns-01; empty without.
        http_01: The settings of http-01; empty for the defaults.
    """

    path: Path
    state_directory: Path
    authorities: Mapping[str, str] = field(default_factory=dict)
    gateways: Mapping[str, str] = field(default_factory=dict)
    custom: frozenset[str] = frozenset()
    challenges: frozenset[str] = frozenset()
    dns_provider: str = ""
    http_01: Mapping[str, object] = field(default_factory=dict)

    def gateway_of(self, hostname: str) -> str:
        """Return the gateway with a hostname; empty if there is none."""
        return next((name for name, each in self.gateways.items() if each == hostname), "")


def read_existing(path: Path) -> Existing:
    """Read a configuration file; errors in it are reported when it is extended.

    Raises:
        ConfigurationError: It cannot be read at all.
    """
    if not path.exists() or not contents(path).strip():
        return Existing(path, default_state_directory())
    written = read(path).plain()
    challenges = _section(written, "challenges")
    authorities, gateways = _section(written, "authorities"), _section(written, "gateways")
    directory = written.get("state_directory")
    dns_01 = _entry(challenges, "dns-01")
    return Existing(
        path,
        Path(path.absolute().parent, str(directory)) if directory else default_state_directory(),
        {name: _directory_url(name, _entry(authorities, name)) for name in authorities},
        {name: _hostname(_entry(gateways, name)) for name in gateways},
        frozenset(
            name for name in gateways if _entry(gateways, name).get("mode") == Mode.CUSTOM.value
        ),
        frozenset(name for name, value in challenges.items() if value is not None),
        str(dns_01.get("provider", "")),
        _entry(challenges, "http-01"),
    )


def _section(written: Mapping[str, Plain], name: str) -> Mapping[str, Plain]:
    found = written.get(name)
    return found if isinstance(found, dict) else {}


def _entry(section: Mapping[str, Plain], name: str) -> Mapping[str, Plain]:
    found = section.get(name)
    return found if isinstance(found, dict) else {}


def _directory_url(name: str, entry: Mapping[str, Plain]) -> str:
    try:
        return directory_url(entry.get("directory_url") or name)
    except BadValueError:
        return ""


def _hostname(entry: Mapping[str, Plain]) -> str:
    try:
        return host_name(entry.get("hostname") or "")
    except BadValueError:
        return ""
