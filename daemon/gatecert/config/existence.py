"""Checks that the commands, directories, files, users and groups of a configuration exist.

Only ``gatecert check`` and ``doctor`` run them: the daemon starts whatever is missing, since the
rest of its work does not depend on it; ``config.files`` checks what it cannot work without. What
the calling user may not look at is assumed to exist.
"""

from __future__ import annotations

import difflib
import grp
import os
import pwd
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from gatecert.config import web_certificates
from gatecert.config.configuration_finding import Finding, nearest
from gatecert.config.files import hidden_credentials, secret_complaint
from gatecert.config.paths import as_one_string
from gatecert.process import PATH, executable
from gatecert.trusted_files import WeakFileError, check_command, trusted_users

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from gatecert.config.configuration_finding import Location
    from gatecert.config.schema import Configuration
    from gatecert.config.schema.gateway import GatewaySettings

    Entry = TypeVar("Entry")

APPRISE: Final = "apprise"
ALIKE: Final = 0.8  # similarity of a suggested program name, of 1


def findings(configuration: Configuration) -> Iterator[Finding]:
    """Yield everything that does not exist, and every program that another user can change."""
    host = _Host(trusted_users(configuration.state_directory))
    http_01, dns_01 = configuration.challenges.http_01, configuration.challenges.dns_01
    if http_01.webroot is not None:
        where = ("challenges", "http-01", "webroot")
        yield from _directory(where, http_01.webroot, "create it, or set the web server's")
    if dns_01 is not None:
        yield from host.command(("challenges", "dns-01", "command"), dns_01.command)
    metrics = configuration.metrics
    if metrics is not None and metrics.textfile is not None:
        directory = metrics.textfile.parent
        yield from _directory(("metrics", "textfile"), directory, "create it, or correct the path")
    yield from _receivers(host, configuration)
    yield from web_certificates.findings(configuration)
    for name, gateway in configuration.gateways.items():
        yield from _of_gateway(host, ("gateways", name), gateway)


def _receivers(host: _Host, configuration: Configuration) -> Iterator[Finding]:
    """Check what receivers of notifications need; the daemon works without."""
    hidden = hidden_credentials()
    for index, receiver in enumerate(configuration.notify):
        here = ("notify", index)
        yield from host.command((*here, "command"), receiver.command)
        for key, path in (
            ("url_file", receiver.url_file),
            ("webhook_file", receiver.webhook_file),
        ):
            what = host.secret(path) if path is not None and path.parent != hidden else ""
            if what:
                yield Finding((*here, key), what)
        if receiver.url_file is not None and find_spec(APPRISE) is None:
            what = "needs the library Apprise: pip install gatecert[notify]"
            yield Finding((*here, "url_file"), what)


def _of_gateway(host: _Host, where: Location, gateway: GatewaySettings) -> Iterator[Finding]:
    install = gateway.install
    yield from host.command((*where, "install", "reload"), install.reload)
    yield from host.command((*where, "install", "verify_command"), install.verify_command)
    yield from host.group((*where, "install", "key_group"), install.key_group)
    for index, copy in enumerate(install.copy_to):
        here = (*where, "install", "copy_to", index)
        yield from _directory((*here, "path"), copy.path.parent, "create it; gatecert does not")
        yield from host.user((*here, "owner"), copy.owner)
        yield from host.group((*here, "group"), copy.group)
    users = gateway.client_authentication
    if users is not None:
        here = (*where, "client_authentication")
        for index, path in enumerate(users.crl_files):
            if _is_missing(path):
                yield Finding((*here, "crl_files", index), f"there is no file {path}")
        if users.known_users is not None:
            fix = "put the users' certificates there"
            yield from _directory((*here, "known_users"), users.known_users, fix)


class _Host:
    """The programs, users and groups of this host; each is looked up once for all gateways."""

    def __init__(self, users: Collection[int]) -> None:
        self._command_complaint = cache(partial(_command_complaint, users=users))
        self._user_complaint = cache(_user_complaint)
        self._group_complaint = cache(_group_complaint)
        self.secret = cache(partial(secret_complaint, users=users))

    def command(self, where: Location, command: Sequence[str]) -> Iterator[Finding]:
        """Check that a program exists, and that nobody else can change what it runs."""
        if command and (what := self._command_complaint(tuple(command))):
            yield Finding((*where, 0), as_one_string(command) or what)

    def user(self, where: Location, name: str | None) -> Iterator[Finding]:
        """Check that a user exists."""
        if name is not None and (what := self._user_complaint(name)):
            yield Finding(where, what)

    def group(self, where: Location, name: str | None) -> Iterator[Finding]:
        """Check that a group exists."""
        if name is not None and (what := self._group_complaint(name)):
            yield Finding(where, what)


def _command_complaint(command: tuple[str, ...], users: Collection[int]) -> str:
    """Return why a command cannot or must not be run; empty if it can."""
    name, *arguments = command
    program = executable(name)
    if program is None:
        near = difflib.get_close_matches(name, programs(), 1, ALIKE)
        hint = f"did you mean {near[0]}?" if near else f"install it, or write its path ({PATH})"
        return f"there is no program {name!r} on PATH; {hint}"
    if _is_missing(Path(program)):
        elsewhere = executable(Path(program).name)
        hint = f"did you mean {elsewhere}?" if elsewhere else "install it, or correct its name"
        return f"there is no program {program}; {hint}"
    if Path(program).is_dir() or not os.access(program, os.X_OK):
        return f"{program} cannot be executed; run chmod +x on it"
    try:
        check_command([program, *arguments], users)
    except WeakFileError as error:
        return f"{error.what}, and gatecert runs it; {error.weakness.fix}"
    return ""


def _directory(where: Location, path: Path, fix: str) -> Iterator[Finding]:
    if _is_missing(path):
        yield Finding(where, f"there is no directory {path}; {fix}")
    elif path.exists() and not path.is_dir():
        yield Finding(where, f"{path} is not a directory")


def _user_complaint(name: str) -> str:
    if _is_known(name, pwd.getpwnam):
        return ""
    hint = nearest(name, [user.pw_name for user in pwd.getpwall()], "create it")
    return f"there is no user {name!r} on this host; {hint}"


def _group_complaint(name: str) -> str:
    if _is_known(name, grp.getgrnam):
        return ""
    hint = nearest(name, [group.gr_name for group in grp.getgrall()], "create it")
    return f"there is no group {name!r} on this host; {hint}"


def _is_known(name: str, look_up: Callable[[str], Entry]) -> bool:
    """Check whether a user or group exists; a number needs no entry."""
    if name.isascii() and name.isdigit():
        return True
    try:
        look_up(name)
    except KeyError:
        return False
    return True


def _is_missing(path: Path) -> bool:
    """Check whether a path does not exist, as far as this user can see."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def programs(path: str = PATH) -> set[str]:
    """Return the names of all programs in the directories of a search path."""
    return {
        entry.name
        for directory in map(Path, path.split(":"))
        if directory.is_dir()
        for entry in directory.iterdir()
    }
