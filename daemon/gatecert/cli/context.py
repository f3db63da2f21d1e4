"""What commands share: reading the configuration, becoming the state's owner, naming gateways."""

from __future__ import annotations

import difflib
import logging
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatecert.app import Application
    from gatecert.config.schema import Configuration
    from gatecert.model import Progress, Target
    from gatecert.store.protocol import Store

Thing = TypeVar("Thing")

DEFAULT_CONFIGURATION = "/etc/gatecert/config.yaml"

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the gateway.")]
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="Names of gateways; all of them when left out."),
]
Wait = Annotated[
    float,
    typer.Option(
        "--wait", metavar="SECONDS", help="How long to wait for one that is being changed."
    ),
]


@dataclass(frozen=True, slots=True)
class Options:
    """The options in front of the command."""

    config: str
    debug: bool

    def load(self) -> Configuration:
        """Read the configuration.

        Raises:
            ConfigurationError: It cannot be used.
        """
        from gatecert.config.load import load  # noqa: PLC0415 - --help is quick without it

        return load(Path(self.config))

    def configure_logs(self, level: int) -> None:
        """Log to standard error from this level on, from everything with ``--debug``."""
        from gatecert.report import logs  # noqa: PLC0415 - --help is quick without it

        logs.configure(logging.DEBUG if self.debug else level)


def options(context: typer.Context) -> Options:
    """The options in front of the command."""
    found = context.find_object(Options)
    if found is None:
        raise TypeError("the command runs outside the gatecert application")
    return found


def open_application(configuration: Configuration, progress: Progress) -> Application:
    """Build everything for a command, as the owner of the state directory.

    Raises:
        StorageError: The state directory cannot be used.
    """
    from gatecert.app import build  # noqa: PLC0415 - --help is quick without it
    from gatecert.store import storage_errors  # noqa: PLC0415
    from gatecert.store.drop_root import become_owner  # noqa: PLC0415

    storage_errors.acts_as_daemon |= bool(
        become_owner(configuration.state_directory, keep_bind=True)
    )
    return build(configuration, progress, threading.Event())


def open_store(configuration: Configuration) -> Store:
    """Only the store, for commands that bring nothing onto a gateway: quicker than the application.

    Raises:
        StorageError: The state directory cannot be used.
    """
    from gatecert.store import storage_errors  # noqa: PLC0415 - --help is quick without it
    from gatecert.store.drop_root import become_owner  # noqa: PLC0415
    from gatecert.store.file_store import FileStore  # noqa: PLC0415

    storage_errors.acts_as_daemon |= bool(
        become_owner(configuration.state_directory, keep_bind=False)
    )
    return FileStore(configuration.state_directory)


def chosen(application: Application, names: Sequence[str] | None) -> tuple[Target, ...]:
    """The gateways that were named, all when none was.

    Raises:
        typer.BadParameter: There is no gateway of that name.
    """
    return tuple(
        named(application.targets, name) for name in (names or sorted(application.targets))
    )


def named(targets: Mapping[str, Target], name: str) -> Target:
    """The gateway of that name.

    Raises:
        typer.BadParameter: There is none.
    """
    return known_as("gateway", targets, name)


def known_as(what: str, every: Mapping[str, Thing], name: str) -> Thing:
    """What the configuration calls so.

    Raises:
        typer.BadParameter: Nothing is called so.
    """
    if name in every:
        return every[name]
    near = difflib.get_close_matches(name, every, n=1)
    hint = f", did you mean {near[0]!r}" if near else ""
    known = ", ".join(sorted(every)) or "none"
    if not name:
        raise typer.BadParameter(f"name the {what} (configured: {known})")
    raise typer.BadParameter(f"no {what} is called {name!r}{hint} (configured: {known})")


def tell_daemon(application: Application) -> None:
    """Let a running daemon look at its gateways again."""
    process = application.store.holder()
    if process is not None:
        os.kill(process, signal.SIGUSR1)
