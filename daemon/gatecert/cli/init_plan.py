"""The plan of ``gatecert init``, from the facts about this host, the options and the answers."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert import process
from gatecert.config.extension import Extension, extend, read_unfinished
from gatecert.config.names import gateway_host_name, safe_name
from gatecert.config.schema import Configuration
from gatecert.config.schema.authority import mail_address
from gatecert.config.schema.configuration import default_state_directory
from gatecert.config.targets import targets
from gatecert.config.values import BadValueError
from gatecert.errors import WrongUsageError
from gatecert.setup import detection
from gatecert.setup.certificate_files import covers
from gatecert.setup.challenge_choice import ChallengeChoice, choose_challenge
from gatecert.setup.detection import FoundServer
from gatecert.setup.host import HTTP, Host
from gatecert.setup.host_reader import (
    PACKAGED_CONFIGURATION,
    find_files,
    read_host,
    read_text,
)
from gatecert.setup.proposal import AuthorityChoice, additions, choose_authority, gateway_name
from gatecert.setup.server_plan import ServerPlan, Wanted
from gatecert.setup.webroot_probe import is_served

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.cli.init_dialog import Dialog
    from gatecert.model import Target

RESERVED: Final = ("example.com", "example.net", "example.org")


@dataclass(frozen=True, slots=True)
class Answers:
    """The options of the command; an empty one is asked for, or has a default."""

    hostname: str = ""
    server: str = ""
    contact: str = ""
    name: str = ""
    authority: str = ""
    directory_url: str = ""
    ca_bundle: str = ""
    trusted_roots: str = ""
    challenge: str = ""
    webroot: str = ""
    addresses: tuple[str, ...] = ()
    agree_terms: bool = False
    may_apply: bool = True
    staging: bool = False


@dataclass(frozen=True, slots=True)
class SetUp:
    """The plan of the command.

    Attributes:
        path: The configuration file.
        wanted: What the server shall serve.
        plan: What has to change at the server.
        extension: The new configuration; None if the gateway is in it already.
        configuration: The configuration with the gateway.
        files: Files of the operator that gatecert's service cannot read, and their copies.
        for_dry_run: The configuration, with these files in their places so far.
    """

    path: Path
    host: Host
    found: FoundServer
    wanted: Wanted
    plan: ServerPlan
    challenge: ChallengeChoice
    authority: AuthorityChoice
    extension: Extension | None
    configuration: Configuration
    for_dry_run: Configuration
    files: tuple[tuple[Path, Path], ...] = ()

    @property
    def name(self) -> str:
        """The gateway's name."""
        return self.wanted.gateway

    @property
    def target(self) -> Target:
        """The gateway."""
        return next(each for each in targets(self.configuration) if each.name == self.name)

    @property
    def reloads_by_systemd(self) -> bool:
        """Tell whether gatecert's reload unit reloads the server."""
        return self.host.is_packaged and bool(self.plan.units)


def plan_set_up(path: Path, answers: Answers, dialog: Dialog) -> SetUp:
    """Look at this host, ask what is missing, and return what to do; change nothing.

    Raises:
        ConfigurationError: The configuration has errors, or would have.
        WrongUsageError: An answer is missing or cannot be right.
    """
    _check_privileges(path)
    written = read_unfinished(path)
    state = written.state_directory if written is not None else default_state_directory()
    host = read_host(path, state)
    found = _server(host, answers, dialog)
    wanted = Wanted("", "", state, host, read_text, find_files, process.output_of, lambda _: False)
    hostname = _hostname(answers, found, wanted, dialog)
    existing = _existing(written, hostname)
    name = _name(answers, hostname, written, existing)
    wanted = replace(
        wanted,
        gateway=name,
        hostname=hostname,
        live=state / "gateways" / name / "live",
        covers=lambda file: covers(file, hostname),
    )
    plan = found.server.plan(wanted)
    if existing and written is not None:
        challenge = choose_challenge(wanted, written, _serves(host, hostname))
        first = written.gateways[existing].authorities or tuple(written.authorities)
        authority = choose_authority(written, name=first[0] if first else "")
        return SetUp(path, host, found, wanted, plan, challenge, authority, None, written, written)
    challenge = choose_challenge(
        wanted, written, _serves(host, hostname), kind=answers.challenge, webroot=answers.webroot
    )
    authority = _authority(answers, written)
    contact = "" if authority.is_written else _contact(answers, dialog)
    by_systemd = host.is_packaged and bool(plan.units)

    def extended(authority: AuthorityChoice, *, check_files: bool) -> Extension:
        added = additions(
            name,
            hostname,
            plan,
            challenge,
            authority,
            written,
            contact=contact,
            addresses=answers.addresses,
            reload=() if by_systemd else plan.reload,
            is_challenge_fixed=bool(answers.challenge),
        )
        return extend(path, added, check_files=check_files)

    extension = extended(authority, check_files=True)
    for_dry_run = extension.configuration
    files = _hidden_files(authority, path) if host.is_packaged else {}
    if files:
        more = {**authority.more, **{key: str(copy) for key, (_, copy) in files.items()}}
        authority = replace(authority, more=more)
        extension = extended(authority, check_files=False)
    return SetUp(
        path,
        host,
        found,
        wanted,
        plan,
        challenge,
        authority,
        extension,
        extension.configuration,
        for_dry_run,
        tuple(files.values()),
    )


def _hidden_files(authority: AuthorityChoice, path: Path) -> dict[str, tuple[Path, Path]]:
    """Return the files of a CA that the sandboxed service cannot see, and where to copy them.

    Args:
        authority: The CA.
        path: The configuration file; the copies are beside it.
    """
    return {
        key: (Path(str(value)), path.parent / f"{authority.name}-{key.replace('_', '-')}.pem")
        for key, value in authority.more.items()
        if Path(str(value)).resolve().is_relative_to("/root")
        or Path(str(value)).resolve().parts[1:2] in (("home",), ("tmp",), ("run",))
    }


def _check_privileges(path: Path) -> None:
    """Check early that what needs root can be done.

    Raises:
        WrongUsageError: It cannot.
    """
    if os.geteuid() != 0 and path.absolute() == PACKAGED_CONFIGURATION:
        raise WrongUsageError(
            f"gatecert init writes {path} and sets up services, which needs root: run it with sudo"
        )


def _server(host: Host, answers: Answers, dialog: Dialog) -> FoundServer:
    """Return the server that is the gateway; ask if there are several.

    Raises:
        WrongUsageError: There is none, or the answer is missing.
    """
    found = detection.detect(host)
    chosen = detection.choose(found, host, answers.server)
    if chosen is None:
        dialog.heading("This host has several servers")
        choices = [(each.server.name, str(each)) for each in detection.candidates(found)]
        name = dialog.choose("Which one shall get a certificate", "--server", choices)
        chosen = detection.choose(found, host, name)
    if chosen is None:
        raise WrongUsageError("--server is missing")
    return chosen


def _hostname(answers: Answers, found: FoundServer, wanted: Wanted, dialog: Dialog) -> str:
    """Return the hostname of the gateway.

    Raises:
        WrongUsageError: It is no hostname, or missing.
    """
    if answers.hostname:
        return _parsed("--hostname", answers.hostname, gateway_host_name)
    names = [*found.server.names(wanted), *wanted.host.names]
    public = [name for name in dict.fromkeys(names) if not name.endswith(RESERVED)]
    default = public[0] if len(public) == 1 or (public and dialog.asks) else ""
    question = "Name that clients connect to"
    return dialog.ask(question, "--hostname", lambda value: str(gateway_host_name(value)), default)


def _contact(answers: Answers, dialog: Dialog) -> str:
    """Return the operator's mail address.

    Raises:
        WrongUsageError: It is no mail address, or missing.
    """

    def parse(value: object) -> str:
        address = mail_address(str(value).strip())
        if address.rpartition("@")[2].lower() in RESERVED:
            raise BadValueError(f"{address} is in a domain for examples; CAs refuse that")
        return address

    if answers.contact:
        return _parsed("--contact", answers.contact, parse)
    return dialog.ask("Mail address for notices from the CA", "--contact", parse)


def _authority(answers: Answers, written: Configuration | None) -> AuthorityChoice:
    more = {
        key: str(Path(value).absolute())
        for key, value in (
            ("ca_bundle", answers.ca_bundle),
            ("trusted_roots", answers.trusted_roots),
        )
        if value
    }
    return choose_authority(
        written, name=answers.authority, directory_url=answers.directory_url, more=more
    )


def _existing(written: Configuration | None, hostname: str) -> str:
    """Return the gateway that has this hostname already; empty if none."""
    gateways = written.gateways.values() if written is not None else ()
    return next((each.name for each in gateways if each.hostname == hostname), "")


def _name(answers: Answers, hostname: str, written: Configuration | None, existing: str) -> str:
    """Return the gateway's name.

    Raises:
        WrongUsageError: The name is not valid, or the hostname has another one.
    """
    if answers.name and existing not in {"", answers.name}:
        raise WrongUsageError(
            f"--name {answers.name}: the gateway {existing} has the hostname {hostname} already, "
            "and stays as it is; leave --name out to go on with it"
        )
    if answers.name:
        return _parsed("--name", answers.name, safe_name)
    taken = list(written.gateways) if written is not None else []
    return existing or gateway_name(hostname, taken)


def _parsed(option: str, value: str, parse: Callable[[object], object]) -> str:
    """Return an option as its parser returns it.

    Raises:
        WrongUsageError: It is not valid.
    """
    try:
        return str(parse(value))
    except BadValueError as error:
        raise WrongUsageError(f"{option}: {error}") from error


def _serves(host: Host, hostname: str) -> Callable[[Path], bool]:
    """Return a function that tells whether port 80 serves a directory for a name."""
    addresses = [each.address for each in host.listeners if each.port == HTTP and not each.is_udp]
    some = next((each for each in addresses if each not in {"0.0.0.0", "::"}), "127.0.0.1")  # noqa: S104 - compared only
    has_any = any(each in {"0.0.0.0", "::"} for each in addresses)  # noqa: S104 - compared only
    address = "127.0.0.1" if has_any else some
    return lambda root: is_served(root, hostname, address=address)
