"""The changes that make a server serve gatecert's certificate. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Final, TypeAlias

from gatecert.setup.host import Host

Read: TypeAlias = Callable[[Path], str | None]
"""Returns the text of a file; None if there is none or it cannot be read."""

Find: TypeAlias = Callable[[str], Sequence[Path]]
"""Returns the files that match a shell pattern, in order."""

Covers: TypeAlias = Callable[[Path], bool]
"""Tells whether a file has a certificate for the hostname, or cannot be used at all."""

Output: TypeAlias = Callable[[Sequence[str]], str]
"""Returns the output of a command that only reads; empty if it fails."""


FORWARDED: Final = "127.0.0.1:888"  # docs/challenges.md: a port that only root can bind
CHALLENGES: Final = "/.well-known/acme-challenge/"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The certificate that a server shall serve, and the means to read its configuration.

    Attributes:
        gateway: The name of the gateway.
        live: The directory with ``fullchain.pem`` and ``privkey.pem``.
    """

    gateway: str
    hostname: str
    live: Path
    host: Host
    read: Read
    find: Find
    output: Output
    covers: Covers

    @property
    def fullchain(self) -> str:
        """The path of the certificate with its chain."""
        return str(self.live / "fullchain.pem")

    @property
    def key(self) -> str:
        """The path of the private key."""
        return str(self.live / "privkey.pem")


@dataclass(frozen=True, slots=True)
class Edit:
    """A new text for a file of the server.

    Attributes:
        before: The old text; None if the file is new.
    """

    path: Path
    before: str | None
    after: str

    def changed_lines(self) -> list[str]:
        """Return the new lines that differ from the old ones; all lines of a new file."""
        old = set((self.before or "").splitlines()) if self.before is not None else set()
        lines = [line for line in self.after.splitlines() if line.strip() and line not in old]
        return dedent("\n".join(lines)).splitlines()


NO_EDITS: Final[tuple[Edit, ...]] = ()


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """The changes of a server.

    Attributes:
        units: Its systemd units.
        install: The settings ``install`` of the gateway.
        key: The settings ``key`` of the gateway.
        edits: The files to change; empty if nothing has to change, or if ``by_hand`` says why not.
        commands: Commands that change more, each with the one that takes it back, or none.
        touched: Files that the commands change.
        shown: The lines for each file, for those who put them in themselves.
        by_hand: Why the lines cannot be put in safely; empty if they can.
        tests: The server's own tests of its configuration.
        reload: Makes the server read its files again, without systemd.
        copies: The directory of the copies that gatecert writes for this server.
        needs_restart: Whether a reload is not enough for the first change.
        page: The page in docs/gateways.
    """

    units: tuple[str, ...]
    install: Mapping[str, object]
    key: Mapping[str, object] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    commands: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    touched: tuple[Path, ...] = ()
    shown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    by_hand: str = ""
    tests: tuple[tuple[str, ...], ...] = ()
    reload: tuple[str, ...] = ()
    copies: Path | None = None
    needs_restart: bool = False
    page: str = ""

    @property
    def is_complete(self) -> bool:
        """Tell whether the server is set up already."""
        return not self.edits and not self.commands and not self.by_hand
