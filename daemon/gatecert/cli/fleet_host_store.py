"""The store of a host of a fleet, for the commands that only such a host has."""
# ruff: noqa: PLC0415 - large libraries, which other commands of the group do not need

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gatecert.cli.application import open_application
from gatecert.cli.context import read_configuration
from gatecert.cli.fleet_owner_command import required_fleet
from gatecert.model import Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    import typer

    from gatecert.app import Application
    from gatecert.model import Target
    from gatecert.store.postgres.fleet_store import FleetStore


class FleetMember(NamedTuple):
    """A host of a fleet: its parts and its store."""

    application: Application
    store: FleetStore

    @property
    def directory_urls(self) -> list[str]:
        """The directories of the configured CAs, each once."""
        found = self.application.configuration.authorities.values()
        return list(dict.fromkeys(authority.directory_url for authority in found))

    @property
    def enrolled(self) -> Sequence[Target]:
        """The gateways that share anything: those of a CA."""
        targets = self.application.targets.values()
        return [target for target in targets if target.mode is Mode.AUTOMATIC]


def open_member(context: typer.Context) -> FleetMember:
    """Read the configuration, and open the store of this host.

    Raises:
        WrongUsageError: The configuration has no fleet.
        ConfigurationError: It cannot be used, or the certificate of this host cannot.
        SealingKeyMissingError: A sealing key cannot be read.
    """
    from gatecert.store.postgres.fleet_store import FleetStore

    configuration = read_configuration(context)
    required_fleet(configuration)
    application = open_application(configuration)
    store = application.store
    if not isinstance(store, FleetStore):
        raise TypeError("a configuration with a fleet has another store")
    return FleetMember(application, store)
