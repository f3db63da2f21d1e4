"""The output of ``gatecert adopt``: each certificate, and what is left to do."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.adoption.carry_out import Result
from gatecert.adoption.gateway_plan import Rights
from gatecert.adoption.next_steps import Situation, next_steps
from gatecert.adoption.own_units import UnitsResult
from gatecert.adoption.plan import Plan
from gatecert.cli.output import write_error, write_line
from gatecert.report.terminal import Style, Terminal
from gatecert.setup.host import Host
from gatecert.setup.host_reader import SERVICE
from gatecert.setup.service_units import UNITS
from gatecert.time_format import day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.adoption.carry_out import AccountResult, GatewayResult, Results
    from gatecert.adoption.gateway_plan import PlannedGateway

INDENT: Final = "    "


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
            shown = account.account.url or str(account.found.path)
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
        self._write(f"{state.client} in {state.directory}: {counts}", "")

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
        shown = account.account.url or str(account.found.path)
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

    def _show_to_do(self, gateways: Sequence[PlannedGateway], left: str = "") -> None:
        situation = Situation(
            self.plan,
            gateways,
            self.state_directory,
            self.rights,
            self.units,
            self.unserved,
            left,
            self.etc,
        )
        self._write("", self._terminal.styled("To do", Style.BOLD))
        for number, step in enumerate(next_steps(situation), 1):
            self._paragraph(step.head, first=f"{number}. ")
            for detail in step.details:
                self._paragraph(detail, first="   ")
            for command in step.commands:
                self._write(f"     {command}")
            for sentence in step.otherwise:
                self._paragraph(sentence, first="   ")
        state = self.plan.state
        self._write("")
        self._paragraph(
            f"To go back: {'; '.join(state.go_back)}; let the servers read the old files, and"
            f" remove the gateways from {self.plan.existing.path}. {state.client}'s files are as"
            " they were."
        )

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


def _reload_words(planned: PlannedGateway) -> str:
    """Return what happens after a renewal; empty if it is not known."""
    if planned.unit:
        return f"after a renewal, systemd reloads {planned.unit}"
    command = " ".join(planned.reload_command)
    return f"after a renewal, gatecert runs {command}" if command else ""


def _ends(planned: PlannedGateway) -> str:
    return f"until {day(planned.adoptable.not_after)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
