"""The steps that an adoption leaves to the operator, with the names and paths of this host."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.adoption.gateway_plan import PlannedGateway, Rights
from gatecert.adoption.own_units import UnitsResult
from gatecert.adoption.plan import Plan
from gatecert.challenge.webroot import DIRECTORY
from gatecert.deploy.server_files import Reference, find_references
from gatecert.setup.host_reader import SERVICE
from gatecert.setup.service_units import UNITS
from gatecert.store.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIT_OF: Final = {
    "nginx": "nginx.service",
    "Apache": "apache2.service",
    "HAProxy": "haproxy.service",
    "Postfix": "postfix.service",
    "Dovecot": "dovecot.service",
    "ocserv": "ocserv.service",
    "Exim": "exim4.service",
    "lighttpd": "lighttpd.service",
    "Prosody": "prosody.service",
}
"""The unit of a server that was found by its configuration."""
TEST_OF: Final = {"nginx": "nginx -t", "Apache": "apache2ctl configtest"}
MOST_LISTED: Final = 8
_SPECIAL: Final = re.compile(r"[.*\[\]^$#\\]")  # in a regular expression of sed


@dataclass(frozen=True, slots=True)
class Step:
    """A step.

    Attributes:
        head: What to do, one sentence.
        details: Further sentences.
        commands: Shell commands that do it.
        otherwise: Other ways to do it, one sentence each.
    """

    head: str
    details: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Situation:
    """The facts that the steps depend on.

    Attributes:
        gateways: The gateways that are adopted now.
        state_directory: Where the certificates are.
        rights: What the daemon may do.
        units: What was set up of gatecert's own units.
        unserved: The hostnames for which port 80 does not serve the webroot.
        left: The command that makes the daemon work with the gateways; empty if it does.
        etc: Where the configurations of servers are.
    """

    plan: Plan
    gateways: Sequence[PlannedGateway]
    state_directory: Path
    rights: Rights
    units: UnitsResult
    unserved: tuple[str, ...] = ()
    left: str = ""
    etc: Path = Path("/etc")


def next_steps(situation: Situation) -> list[Step]:
    """Return the steps in their order."""
    found = _references(situation)
    return [
        *_read_steps(found, situation.etc.resolve()),
        *_reload_steps(situation, found),
        *_webroot_steps(situation),
        *_last_steps(situation),
    ]


# --------------------------------------------------------------------------- the servers' files


@dataclass(frozen=True, slots=True)
class _Found:
    """A line that names a file of the other client, and the gateway that the file belongs to."""

    gateway: PlannedGateway
    reference: Reference


def _references(situation: Situation) -> list[_Found]:
    layout = Layout(situation.state_directory.absolute())
    instead: dict[Path, Path] = {}
    owners: dict[Path, PlannedGateway] = {}
    for each in situation.gateways:
        for path, name in each.files.items():
            instead[path] = layout.gateway(each.name) / "live" / name
            owners[path] = each
    return [_Found(owners[each.named], each) for each in find_references(instead, situation.etc)]


def _read_steps(found: Sequence[_Found], etc: Path) -> Iterator[Step]:
    """Yield how the servers get to read gatecert's files."""
    if not found:
        return
    servers = tuple(dict.fromkeys(each.reference.server for each in found))
    changes = [each.reference.change for each in found]
    more = len(changes) - MOST_LISTED
    if more > 0:
        changes = [*changes[:MOST_LISTED], f"and {more} more such lines"]
    commands = _substitution(found, etc)
    yield Step(
        f"Let {' and '.join(servers)} read gatecert's files:",
        tuple(changes),
        (*commands, *(_reload(server) for server in servers)) if commands else (),
    )


def _substitution(found: Sequence[_Found], etc: Path) -> tuple[str, ...]:
    """Return commands that change all lines at once; none if file names differ (not certbot)."""
    pairs = {(each.reference.named.parent, each.reference.instead.parent) for each in found}
    if any(each.reference.named.name != each.reference.instead.name for each in found):
        return ()
    files = dict.fromkeys(each.reference.path.resolve() for each in found)
    expressions = [shlex.quote(f"s#{_pattern(old)}/#{new}/#g") for old, new in sorted(pairs)]
    script = " ".join(f"-e {each}" for each in expressions)
    tops = dict.fromkeys(
        etc / path.relative_to(etc).parts[0] if path.is_relative_to(etc) else path for path in files
    )
    return (
        *(f"cp -a {shlex.quote(str(top))} /root/{top.name}.before-gatecert" for top in tops),
        f"sed -i {script} {' '.join(shlex.quote(str(path)) for path in files)}",
    )


def _pattern(path: Path) -> str:
    """Return a regular expression of sed for exactly this path."""
    return _SPECIAL.sub(r"\\\g<0>", str(path))


def _reload(server: str) -> str:
    """Return the command that tests a server's configuration and reloads it."""
    unit = UNIT_OF.get(server, "")
    reload = f"systemctl reload {unit}" if unit else f"# then reload {server}"
    test = TEST_OF.get(server, "")
    return f"{test} && {reload}" if test and unit else reload


# --------------------------------------------------------------------------- after a renewal


def _reload_steps(situation: Situation, found: Sequence[_Found]) -> Iterator[Step]:
    """Yield how the servers are reloaded after a renewal, where nothing does it yet."""
    servers = {each.gateway.name: UNIT_OF.get(each.reference.server, "") for each in found}
    by_unit: dict[str, list[str]] = {}
    unknown: list[str] = []
    for each in situation.gateways:
        if not each.is_new or each.reload_command or each.name in situation.units.reloaded:
            continue
        unit = each.unit or servers.get(each.name, "")
        (by_unit.setdefault(unit, []) if unit else unknown).append(each.name)
    for unit, names in by_unit.items():
        if situation.rights.runs_as_root:
            lines = [
                f"gateways.{name}.install.reload: [systemctl, reload, {unit}]" for name in names
            ]
            yield Step(f"Have {unit} reloaded after a renewal:", tuple(lines))
        else:
            head = f"Have systemd reload {unit} after a renewal:"
            yield Step(head, commands=_reload_units(unit, names))
    if unknown:
        yield Step(
            f"Say how the servers of {listed(unknown)} are reloaded: install.reload or a reload"
            " unit (docs/systemd.md), unless they notice changes themselves."
        )


def _reload_units(unit: str, names: Sequence[str]) -> tuple[str, ...]:
    """Return commands that set up the reload units of gateways."""
    words = " ".join(map(shlex.quote, names))
    folder = f"{UNITS}/gatecert-reload@$name.service.d"
    return (
        f"for name in {words}; do",
        f"  mkdir -p {folder}",
        f"  printf '[Service]\\nEnvironment=\"UNIT={unit}\"\\n' >{folder}/unit.conf",
        "  systemctl enable --now gatecert-reload@$name.path",
        "done; systemctl daemon-reload",
    )


# --------------------------------------------------------------------------- the next renewal


def _webroot_steps(situation: Situation) -> Iterator[Step]:
    """Yield what is missing for a renewal by http-01 through a web server."""
    webroot = situation.plan.webroot
    if webroot is None:
        return
    directory = webroot / DIRECTORY
    if situation.unserved:
        yield Step(
            f"Let the web server answer for {listed(situation.unserved)} on port 80, or their next"
            f" renewal fails: http://NAME/{DIRECTORY}/ must lead to {directory}/"
            " (docs/challenges.md)."
        )
    if not situation.rights.runs_as_root and not situation.units.webroot:
        place, folder = shlex.quote(str(directory)), f"{UNITS}/{SERVICE}.d"
        yield Step(
            f"Let gatecert write to {directory}:",
            commands=(
                f"install -d -o gatecert -g gatecert -m 755 {place}",
                f"mkdir -p {folder}",
                f"printf '[Service]\\nReadWritePaths=%s\\n' {place} >{folder}/webroot.conf",
                "systemctl daemon-reload",
            ),
        )


def _last_steps(situation: Situation) -> Iterator[Step]:
    state = situation.plan.state
    if situation.left:
        yield Step("Make gatecert renew them from now on:", commands=(situation.left,))
    yield Step(
        f"Switch {state.client} off, so that it does not renew too:",
        commands=state.switch_off,
        otherwise=state.or_else,
    )
    if situation.plan.can_rehearse:
        yield Step("See that renewals will work:", commands=("gatecert enroll --dry-run",))


def listed(names: Sequence[str]) -> str:
    """Return names as a list, of a bearable length."""
    more = len(names) - MOST_LISTED
    shown = ", ".join(names[:MOST_LISTED])
    return f"{shown} and {more} more" if more > 0 else shown
