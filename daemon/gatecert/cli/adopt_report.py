"""The output of ``gatecert adopt``: each certificate, and what is left to do."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.adoption.carry_out import Result
from gatecert.adoption.gateway_plan import Rights
from gatecert.adoption.own_units import UnitsResult
from gatecert.adoption.plan import Plan
from gatecert.challenge.webroot import DIRECTORY
from gatecert.cli.output import write_error, write_line
from gatecert.deploy.server_files import find_references
from gatecert.errors import clean
from gatecert.report.terminal import Style, Terminal
from gatecert.setup.host import Host
from gatecert.setup.host_reader import SERVICE
from gatecert.setup.service_units import UNITS
from gatecert.store.layout import Layout
from gatecert.time_format import day

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gatecert.adoption.carry_out import AccountResult, GatewayResult, Results
    from gatecert.adoption.gateway_plan import PlannedGateway
    from gatecert.deploy.server_files import Reference

INDENT: Final = "    "
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
"""The unit of a server, where no hook names it."""
MOST_LISTED: Final = 8


@dataclass(slots=True)
class AdoptReport:
    """Prints the report of an adoption.

    Attributes:
        plan: What was planned.
        state_directory: Where the certificates are now.
        host: The host.
        rights: What the daemon may do.
        units: What was set up of gatecert's own units.
        unserved: The hostnames for which port 80 does not serve the webroot.
        etc: Where the configurations of servers are.
    """

    plan: Plan
    state_directory: Path
    host: Host
    rights: Rights
    units: UnitsResult = field(default_factory=UnitsResult)
    unserved: tuple[str, ...] = ()
    etc: Path = Path("/etc")
    _terminal: Terminal = field(default_factory=lambda: Terminal.of(sys.stdout))

    def show_plan(self, added: str) -> None:
        """Print what would be done."""
        self._show_head()
        for each in self.plan.gateways:
            what = "would be adopted" if each.is_new else f"would be added to gateway {each.name}"
            self._show_gateway(each, "✓", Style.GREEN, f"{what}, {_ends(each)}")
        self._show_refused()
        for account in self.plan.authorities.accounts:
            shown = clean(account.account.url) or clean(str(account.found.path))
            self._line("✓", f"account {shown} with {account.authority}: would be adopted")
        self._show_notes()
        if added:
            self._write("", f"Would be added to {self.plan.existing.path}:", "")
            self._write(*(f"{INDENT}{line}".rstrip() for line in added.splitlines()))
        if self.host.is_packaged and self.host.is_root:
            planned = frozenset(each.name for each in self.plan.gateways if each.unit)
            self.units = UnitsResult(planned, webroot=self.plan.webroot is not None)
        self._show_to_do(self.plan.gateways)
        self._write("", "Nothing was changed.")

    def show_results(self, results: Results, *, left: str) -> None:
        """Print what was done, and what is left to do.

        Args:
            results: What was done.
            left: The command that makes the daemon work with it; empty if it does.
        """
        self._show_head()
        for each in results.gateways:
            self._show_result(each)
        self._show_refused()
        for account in results.accounts:
            self._show_account(account)
        self._show_notes()
        added = sum(each.planned.is_new for each in results.gateways)
        self._write("")
        if added:
            path = self.plan.existing.path
            self._paragraph(f"{path} has {_count(added, 'new gateway')}.")
        if self.units.webroot:
            self._paragraph(f"gatecert may write below {self.plan.webroot} ({UNITS}/{SERVICE}.d).")
        if self.units.reloaded:
            count = _count(len(self.units.reloaded), "gateway")
            self._paragraph(f"systemd reloads the servers of {count} (gatecert-reload@NAME.path).")
        if self.units.problem:
            write_error(f"gatecert's units are not set up, see below: {self.units.problem}")
        client = self.plan.state.client
        self._paragraph(f"Nothing was ordered, and no file of {client} was changed.")
        self._show_to_do(
            [each.planned for each in results.gateways if each.result is not Result.KEPT],
            left,
        )

    def show_nothing(self) -> None:
        """Print that there is nothing to adopt."""
        self._show_head()
        self._show_refused()
        self._write("", "Nothing was adopted, and nothing was changed.")

    # ------------------------------------------------------------------ parts

    def _show_head(self) -> None:
        state = self.plan.state
        number = len(state.certificates) + len(
            [each for each in state.refused if not each.name.startswith("account ")]
        )
        counts = f"{_count(number, 'certificate')}, {_count(len(state.accounts), 'account')}"
        self._write(f"{state.client} in {clean(str(state.directory))}: {counts}", "")

    def _show_gateway(
        self, planned: PlannedGateway, symbol: str, style: Style | None, text: str
    ) -> None:
        self._line(symbol, f"{planned.name}: {text}", style)
        second = planned.second
        if second is not None:
            self._more(f"with the {second.algorithm.upper()} certificate of the same names")
        for note in (_reload_words(planned), *planned.notes):
            if note:
                self._more(note)

    def _show_result(self, each: GatewayResult) -> None:
        planned = each.planned
        if each.result is Result.THERE:
            self._line("✓", f"{planned.name}: already there, {_ends(planned)}", Style.GREEN)
            return
        if each.result is Result.KEPT:
            self._line("·", f"{planned.name}: not needed: {each.detail}", Style.DIM)
            return
        self._show_gateway(planned, "✓", Style.GREEN, f"adopted, {_ends(planned)}")
        if each.served:
            self._more(f"proven: {each.detail}")
        elif each.detail:
            self._more(f"not proven: {each.detail}")
        else:
            self._more(
                "no listener of this host serves it: if one does, add it to"
                f" gateways.{planned.name}.install.verify"
            )

    def _show_account(self, each: AccountResult) -> None:
        account = each.planned
        shown = clean(account.account.url) or clean(str(account.found.path))
        what = {
            Result.ADOPTED: "adopted",
            Result.THERE: "already there",
            Result.KEPT: "not adopted: gatecert has another account with this CA, which stays",
        }[each.result]
        symbol = "·" if each.result is Result.KEPT else "✓"
        self._line(symbol, f"account {shown} with {account.authority}: {what}", Style.GREEN)

    def _show_refused(self) -> None:
        terminal = Terminal.of(sys.stderr)
        sys.stdout.flush()
        for each in self.plan.refused:
            mark = terminal.styled(terminal.plain("✗"), Style.RED)
            for line in terminal.wrap(
                f"{each.name}: not adopted: {each.reason}", first=f"{mark} ", rest=INDENT
            ):
                write_line(sys.stderr, line)
            if each.fix:
                for line in terminal.wrap(each.fix, first=f"{INDENT}→ "):
                    write_line(sys.stderr, line)

    def _show_notes(self) -> None:
        secrets = (*self.plan.authorities.secrets, *self.plan.challenges.secrets)
        notes = list(filter(None, [*self.plan.notes, self.plan.port_note(self.host)]))
        if secrets:
            paths = ", ".join(str(each.path) for each in secrets)
            notes.append(f"credentials are copied to {paths} (mode 0600)")
        if notes:
            self._write("")
        for note in notes:
            self._line("·", note)

    # ------------------------------------------------------------------ what is left to do

    def _show_to_do(self, gateways: Sequence[PlannedGateway], left: str = "") -> None:
        state, found = self.plan.state, self._references(gateways)
        steps: list[tuple[str, list[str]]] = []
        if found:
            servers = " and ".join(dict.fromkeys(each.server for _, each in found))
            lines = [each.change for _, each in found]
            steps.append((f"Let {servers} read gatecert's files, and reload:", lines))
        steps += self._reload_steps(gateways, found)
        webroot = self.plan.webroot
        if webroot is not None and self.unserved:
            head = (
                f"Let the web server answer for {_listed(self.unserved)} on port 80, or their next"
                f" renewal fails: http://NAME/{DIRECTORY}/ must lead to {webroot / DIRECTORY}/"
                " (docs/challenges.md)."
            )
            steps.append((head, []))
        if webroot is not None and not self.rights.runs_as_root and not self.units.webroot:
            directory = webroot / DIRECTORY
            steps.append((f"Let gatecert write to {directory}:", _webroot_commands(directory)))
        if left:
            steps.append(("Make gatecert renew them from now on:", [left]))
        off = f"Switch {state.client} off, so that it does not renew too:"
        steps.append((off, [*state.switch_off]))
        self._write("", self._terminal.styled("To do", Style.BOLD))
        for number, (head, lines) in enumerate(steps, 1):
            self._paragraph(head, first=f"{number}. ")
            for line in lines:
                self._write(f"{INDENT} {line}")
        for sentence in state.or_else:
            self._paragraph(sentence, first="   ")
        if self.plan.can_rehearse:
            self._paragraph("See that renewals will work:", first=f"{len(steps) + 1}. ")
            self._write(f"{INDENT} gatecert enroll --dry-run")
        self._write("")
        self._paragraph(
            f"To go back: {'; '.join(state.go_back)}; let the servers read the old files, and"
            f" remove the gateways from {self.plan.existing.path}. {state.client}'s files are as"
            " they were."
        )

    def _references(
        self, gateways: Iterable[PlannedGateway]
    ) -> list[tuple[PlannedGateway, Reference]]:
        layout = Layout(self.state_directory.absolute())
        instead: dict[Path, Path] = {}
        owners: dict[Path, PlannedGateway] = {}
        for each in gateways:
            for path, name in each.files.items():
                instead[path] = layout.gateway(each.name) / "live" / name
                owners[path] = each
        return [(owners[each.named], each) for each in find_references(instead, self.etc)]

    def _reload_steps(
        self,
        gateways: Sequence[PlannedGateway],
        found: Sequence[tuple[PlannedGateway, Reference]],
    ) -> list[tuple[str, list[str]]]:
        """Return how the servers are reloaded after a renewal, where gatecert does not do it."""
        servers = {planned.name: UNIT_OF.get(reference.server, "") for planned, reference in found}
        by_unit: dict[str, list[str]] = {}
        unknown: list[str] = []
        for each in gateways:
            if not each.is_new or _reload_command(each) or each.name in self.units.reloaded:
                continue
            unit = each.unit or servers.get(each.name, "")
            (by_unit.setdefault(unit, []) if unit else unknown).append(each.name)
        steps = []
        for unit, names in by_unit.items():
            if self.rights.runs_as_root:
                lines = [
                    f"gateways.{name}.install.reload: [systemctl, reload, {unit}]" for name in names
                ]
                steps.append((f"Have {unit} reloaded after a renewal:", lines))
            else:
                head = f"Have systemd reload {unit} after a renewal:"
                steps.append((head, _reload_commands(unit, names)))
        if unknown:
            steps.append(
                (
                    (
                        f"Say how the servers of {_listed(unknown)} are reloaded: install.reload or"
                        " a reload unit (docs/systemd.md), unless they notice changes themselves."
                    ),
                    [],
                )
            )
        return steps

    # ------------------------------------------------------------------ lines

    def _line(self, symbol: str, text: str, style: Style | None = None) -> None:
        mark = self._terminal.styled(self._terminal.plain(symbol), style)
        self._write(*self._terminal.wrap(text, first=f"{mark} ", rest=INDENT))

    def _more(self, text: str) -> None:
        self._write(*self._terminal.wrap(text, first=INDENT))

    def _paragraph(self, text: str, first: str = "") -> None:
        self._write(*self._terminal.wrap(text, first=first))

    def _write(self, *lines: str) -> None:
        for line in lines:
            write_line(sys.stdout, line)


def _reload_commands(unit: str, names: Sequence[str]) -> list[str]:
    """Return shell commands that set up the reload units of gateways."""
    words = " ".join(map(shlex.quote, names))
    folder = f"{UNITS}/gatecert-reload@$name.service.d"
    return [
        f"for name in {words}; do",
        f"  mkdir -p {folder}",
        f"  printf '[Service]\\nEnvironment=\"UNIT={unit}\"\\n' >{folder}/unit.conf",
        "  systemctl enable --now gatecert-reload@$name.path",
        "done; systemctl daemon-reload",
    ]


def _webroot_commands(directory: Path) -> list[str]:
    """Return shell commands that let the packaged service write to a directory."""
    place, folder = shlex.quote(str(directory)), f"{UNITS}/{SERVICE}.d"
    return [
        f"install -d -o gatecert -g gatecert -m 755 {place}",
        f"mkdir -p {folder}",
        f"printf '[Service]\\nReadWritePaths=%s\\n' {place} >{folder}/webroot.conf",
        "systemctl daemon-reload",
    ]


def _reload_command(planned: PlannedGateway) -> str:
    """Return the reload command of a new gateway; empty if it has none."""
    install = planned.settings.get("install")
    command = install.get("reload") if isinstance(install, Mapping) else None
    return " ".join(map(str, command)) if command else ""


def _reload_words(planned: PlannedGateway) -> str:
    """Return what happens after a renewal; empty if it is not known."""
    if planned.unit:
        return f"after a renewal, systemd reloads {planned.unit}"
    command = _reload_command(planned)
    return f"after a renewal, gatecert runs {command}" if command else ""


def _ends(planned: PlannedGateway) -> str:
    return f"until {day(planned.adoptable.not_after)}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_LISTED
    shown = ", ".join(names[:MOST_LISTED])
    return f"{shown} and {more} more" if more > 0 else shown


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
