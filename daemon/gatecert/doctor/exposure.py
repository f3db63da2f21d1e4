"""Find files with unsafe permissions or the wrong owner.

Only the owner may read keys, and the group if the gateway has a ``key_group`` (``store.layout``).
Only the owner may change other files in the state directory, because gatecert trusts them. A
configuration that others may change is refused before (``trusted_files``). The group that may read
a key must not read secrets: a server that is taken over would have the CA's or the DNS provider's
credentials.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from gatecert import container
from gatecert.config.configuration_finding import Finding
from gatecert.config.document import key_path
from gatecert.config.files import secrets
from gatecert.doctor.facts import Exposure
from gatecert.errors import StorageError
from gatecert.store.users_and_groups import group_number, user_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from gatecert.config.configuration_finding import Location
    from gatecert.config.schema import Configuration

OTHERS: Final = stat.S_IRWXO
GROUP: Final = stat.S_IRWXG
WRITABLE: Final = stat.S_IWGRP | stat.S_IWOTH
KEYS: Final = {"privkey.pem", "second-privkey.pem", "key.pem"}


def exposures(state_directory: Path, shared: Collection[str]) -> tuple[Exposure, ...]:
    """Find every file that is too open or has the wrong owner.

    Args:
        state_directory: Every file in it is checked.
        shared: Gateways whose keys a group may read.
    """
    return tuple(_below(state_directory, shared))


def shared_secrets(configuration: Configuration) -> Iterator[Finding]:
    """Yield the secret files that a ``key_group`` may read.

    In a container no server sees the daemon's files, whatever their group.
    """
    if container.in_container:
        return
    servers: dict[int, Location] = {}
    for name, gateway in configuration.gateways.items():
        with suppress(StorageError):  # config.existence reports groups that do not exist
            number = group_number(gateway.install.key_group)
            servers.setdefault(number, ("gateways", name, "install", "key_group"))
    for location, path in secrets(configuration):
        try:
            status = path.stat()
        except OSError:  # config.files reports it
            continue
        if status.st_mode & stat.S_IRGRP and status.st_gid in servers:
            yield Finding(
                location,
                f"names a file that the group of {key_path(servers[status.st_gid])} may read, and"
                " so the server; let the daemon's user own it, and run chmod 600 on it",
            )


def _below(state_directory: Path, shared: Collection[str]) -> Iterator[Exposure]:
    try:
        owner = state_directory.stat().st_uid
    except OSError:
        return
    for directory, directories, files in os.walk(state_directory):
        for name in (".", *sorted(files)):
            path = state_directory / directory / name
            yield from _entry(path, owner, _is_shared(path, state_directory, shared))
        directories.sort()


def _is_shared(path: Path, state_directory: Path, shared: Collection[str]) -> bool:
    match path.relative_to(state_directory).parts:
        case ("gateways", gateway, "versions", *_):
            return gateway in shared
        case _:
            return False


def _entry(path: Path, owner: int, is_shared: bool) -> Iterator[Exposure]:  # noqa: FBT001 - private
    try:
        status = path.lstat()
    except OSError:  # removed in the meantime
        return
    if stat.S_ISLNK(status.st_mode):
        return
    forbidden = WRITABLE
    if path.name in KEYS:
        forbidden = OTHERS | (stat.S_IWGRP if is_shared else GROUP)
    mode = stat.S_IMODE(status.st_mode)
    if mode & forbidden:
        fix = f"chmod {mode & ~forbidden:04o} {path}"
        yield Exposure(path, f"has mode {mode:04o}", fix)
    if status.st_uid != owner:
        problem = f"belongs to {user_name(status.st_uid)}"
        yield Exposure(path, problem, f"chown {user_name(owner)} {path}", wrong_owner=True)
