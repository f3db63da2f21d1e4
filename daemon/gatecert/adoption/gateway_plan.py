"""The gateway of an adopted certificate, as written in the configuration."""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.adoption.adoptable import Adoptable
from gatecert.adoption.hooks import as_arguments, find_program, unit_of
from gatecert.errors import clean
from gatecert.model import IssuedChain, KeyType, Origin
from gatecert.store.users_and_groups import group_name, user_name

if TYPE_CHECKING:
    from gatecert.model import Endpoint

BEFORE: Final = "pre_hook"
READABLE: Final = 0o775
OWNER_READS: Final = 0o400


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights of the daemon on this host.

    Attributes:
        runs_as_root: Whether the daemon may reload servers and write files of other users.
        find: Finds programs.
    """

    runs_as_root: bool
    find: Callable[[str], str | None] = find_program


@dataclass(frozen=True, slots=True)
class PlannedGateway:
    """A certificate to adopt, with its gateway.

    Attributes:
        name: The gateway's name.
        adoptable: The certificate.
        second: The certificate of the other key algorithm for the same names, if any.
        authority: The CA's name in the configuration.
        is_new: Whether the gateway is not configured yet.
        settings: Its settings, as written.
        unit: The systemd units that gatecert-reload@NAME.path has to reload, separated by spaces;
            empty if none.
        files: Files that servers may read, and the file of ``live`` that takes their place.
        notes: What the operator should know.
    """

    name: str
    adoptable: Adoptable
    authority: str
    is_new: bool = True
    second: Adoptable | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    unit: str = ""
    files: Mapping[Path, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def reload_command(self) -> tuple[str, ...]:
        """The reload command of a new gateway; empty if it has none."""
        install = self.settings.get("install")
        command = install.get("reload") if isinstance(install, Mapping) else None
        return tuple(command or ())

    @property
    def uses_http_01(self) -> bool:
        """True if its names may be validated by http-01."""
        return self.settings.get("challenge") in {None, "http-01"}

    @property
    def issued(self) -> IssuedChain:
        """The certificate as the store keeps it."""
        first = self._chain(self.adoptable)
        if self.second is None:
            return first
        return replace(first, second=self._chain(self.second))

    def _chain(self, each: Adoptable) -> IssuedChain:
        return IssuedChain(
            each.private_key,
            each.chain.certificate,
            each.chain.chain,
            Origin.AUTHORITY,
            root=each.chain.root,
            authority=self.authority,
            notes=(f"adopted from {each.found.path}",),
        )


def plan_gateway(  # noqa: PLR0913 - what a gateway consists of
    name: str,
    adoptable: Adoptable,
    second: Adoptable | None,
    *,
    authority: str,
    challenge: str,
    names_authority: bool,
    notes: tuple[str, ...],
    rights: Rights,
) -> PlannedGateway:
    """Plan a new gateway.

    Args:
        name: Its name.
        adoptable: The certificate.
        second: The certificate of the other key algorithm, if any.
        authority: The name of its CA.
        challenge: Its challenge type; empty for any.
        names_authority: Whether there are several CAs, so that it must name its own.
        notes: What is known about it already.
        rights: What the daemon may do.
    """
    settings: dict[str, object] = {"hostname": adoptable.hostname}
    if adoptable.other_names:
        settings["alternative_names"] = list(adoptable.other_names)
    if challenge:
        settings["challenge"] = challenge
    if names_authority:
        settings["authorities"] = [authority]
    if key := _key(adoptable, second):
        settings["key"] = key
    reload, unit, hook_notes = _reload(adoptable, rights)
    copies, files, copy_notes = _copies(adoptable, rights)
    install: dict[str, object] = {}
    if reload:
        install["reload"] = list(reload)
    if copies:
        install["copy_to"] = copies
    if install:
        settings["install"] = install
    more = [*adoptable.found.notes, adoptable.differing_names, *_key_notes(adoptable)]
    return PlannedGateway(
        name,
        adoptable,
        authority,
        second=second,
        settings=settings,
        unit=unit,
        files=files,
        notes=tuple(filter(None, [*more, *notes, *hook_notes, *copy_notes])),
    )


def with_listeners(
    planned: PlannedGateway, listeners: Sequence[Endpoint], units: Sequence[str], rights: Rights
) -> PlannedGateway:
    """Add the listeners that serve the certificate, and a reload of their servers.

    Args:
        planned: The gateway; one that is configured already stays as it is.
        listeners: The listeners.
        units: The systemd units of the servers that listen there.
        rights: What the daemon may do.
    """
    if not (planned.is_new and listeners):
        return planned
    written = planned.settings.get("install", {})
    install = dict(written) if isinstance(written, Mapping) else {}
    has_reload = "reload" in install or bool(planned.unit)
    systemctl = rights.find("systemctl") if units and not has_reload else None
    if systemctl is not None and rights.runs_as_root:
        install["reload"] = [systemctl, "reload", *units]
    install["verify"] = [
        {"address": str(each), "starttls": each.starttls} if each.starttls else str(each)
        for each in listeners
    ]
    settings = {**planned.settings, "install": install}
    unit = planned.unit
    if units and not has_reload and not rights.runs_as_root:
        unit = " ".join(units)
    return replace(planned, settings=settings, unit=unit)


def _key(adoptable: Adoptable, second: Adoptable | None) -> dict[str, object]:
    key: dict[str, object] = {}
    kind = adoptable.key_type
    if kind is not None and (kind is not KeyType.ECDSA_P256 or second is not None):
        key["type"] = kind.value
    if second is not None and second.key_type is not None:
        key["second"] = second.key_type.value
    if adoptable.found.reuse_key:
        key["reuse"] = True
    return key


def _key_notes(adoptable: Adoptable) -> list[str]:
    if adoptable.key_type is not None:
        return []
    return [
        (
            f"its {adoptable.algorithm.upper()} key has a size that gatecert does not make: it is"
            " used as it is, and renewals have an ecdsa-p256 key"
        )
    ]


def _reload(adoptable: Adoptable, rights: Rights) -> tuple[tuple[str, ...], str, list[str]]:
    """Return the reload command, the unit to reload instead, and notes on the other hooks."""
    chosen: tuple[str, ...] = ()
    unit, notes = "", []
    for hook in adoptable.found.hooks:
        arguments = (
            () if hook.key.lower().endswith(BEFORE) else as_arguments(hook.command, rights.find)
        )
        if not arguments or chosen:
            if not (arguments and arguments == chosen):
                notes.append(f"not translated: {clean(hook.key)}: {clean(hook.command)}")
            continue
        chosen = arguments
    if not chosen or rights.runs_as_root:
        return chosen, "", notes
    unit = unit_of(chosen)
    if not unit:
        command = clean(" ".join(chosen))
        notes.append(f"not translated, because gatecert does not run as root: {command}")
    return (), unit, notes


def _copies(
    adoptable: Adoptable, rights: Rights
) -> tuple[list[dict[str, object]], dict[Path, str], list[str]]:
    """Return the copies to keep up to date, the files that servers may read, and notes."""
    found = adoptable.found
    files = {path: name for name, path in found.files.items()}
    copies: list[dict[str, object]] = []
    notes = []
    for contents, path in found.installed.items():
        try:
            status = path.stat()
        except OSError:
            notes.append(f"{path}, where it was installed, does not exist: left out")
            continue
        if not rights.runs_as_root:
            files[path] = f"{contents}.pem"
            continue
        copies.append(
            {
                "path": str(path),
                "contents": contents,
                "owner": user_name(status.st_uid),
                "group": group_name(status.st_gid),
                "mode": f"{stat.S_IMODE(status.st_mode) & READABLE | OWNER_READS:04o}",
            }
        )
    return copies, files, notes
