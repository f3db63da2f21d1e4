"""``gatecert init`` at work: everything in the order in which nothing can become worse.

The certificate is there before the server's files refer to it, so the server always has a
configuration that works; and a server that serves a trusted certificate gets nothing worse. Each
step can be repeated: after an interruption, the command goes on when it is run again.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from gatecert.cli import init_enrolment
from gatecert.cli.init_dialog import Dialog
from gatecert.cli.init_plan import SetUp
from gatecert.cli.options import Options
from gatecert.deadline import Deadline
from gatecert.errors import DeploymentError
from gatecert.outcome_kinds import OutcomeKind
from gatecert.setup.certificate_files import accepts, serves_trusted
from gatecert.setup.host_reader import SERVICE
from gatecert.setup.server_change import Run, ServerChange, run_command
from gatecert.setup.server_plan import CHALLENGES
from gatecert.setup.service_units import ServiceUnits
from gatecert.setup.webroot_probe import is_forwarded
from gatecert.store import operator_files

if TYPE_CHECKING:
    from gatecert.cli.init_enrolment import Enrolled
    from gatecert.config.schema import Configuration
    from gatecert.setup.server_plan import ServerPlan

RELOADED_SECONDS: Final = 10.0  # for a server that reloads in the background


class Enrolments(Protocol):
    """Passes over a gateway; the module ``init_enrolment``."""

    def enrol_alone(self, given: Options, configuration: Configuration, name: str) -> Enrolled:
        """Enrol, and leave the server alone."""
        ...

    def attend(self, given: Options, configuration: Configuration, name: str) -> Enrolled:
        """Install, and prove."""
        ...


@dataclass(slots=True)
class FirstSetUp:
    """Carries a set-up out.

    Attributes:
        given: The options in front of the command.
        set_up: What to do.
        may_apply: Whether to change the server's own files.
        run: Runs a command.
        enrolments: Enrols.
        backed_up: Files of which this command has made a backup.
    """

    given: Options
    set_up: SetUp
    dialog: Dialog
    may_apply: bool = True
    run: Run = run_command
    enrolments: Enrolments = init_enrolment
    backed_up: set[Path] = field(default_factory=set)
    units: ServiceUnits = field(init=False)

    def __post_init__(self) -> None:
        self.units = ServiceUnits(self.set_up.name, self.set_up.host.user, run=self.run)

    def carry_out(self) -> bool:
        """Do everything; return whether the gateway serves the certificate, proven.

        Raises:
            GatecertError: A step failed; what was done before it stays, and works.
        """
        self._write_configuration()
        self._prepare()
        self._forward_challenges()
        self.dialog.heading("Certificate")
        configuration = self.set_up.configuration
        enrolled = self.enrolments.enrol_alone(self.given, configuration, self.set_up.name)
        applied = self._apply(enrolled)
        if self.set_up.reloads_by_systemd:
            self.units.enable_reload(self.set_up.plan.units)
            self.dialog.step(
                f"systemd reloads {', '.join(self.set_up.plan.units)} after each renewal "
                f"(gatecert-reload@{self.set_up.name}.path)"
            )
        proven = applied is not None and self._prove(applied)
        if self.set_up.host.is_packaged:
            service = self.set_up.host.units[SERVICE]
            self.units.start(is_active=service.is_active)
            self.dialog.step(f"{SERVICE} runs and renews by itself, also after a restart")
        self._tell_future(enrolled, is_applied=applied is not None, is_proven=proven)
        return proven

    def _tell_future(self, enrolled: Enrolled, *, is_applied: bool, is_proven: bool) -> None:
        """Say in a line or two what happens from now on, and what the operator has to do."""
        name, server = self.set_up.name, self.set_up.found.server.title
        if is_proven:
            self.dialog.hint(f"look at it at any time: gatecert status {name}")
        elif not enrolled.has_certificate and self.set_up.host.is_packaged:
            self.dialog.note(
                f"no certificate of a CA yet; {SERVICE} goes on trying by itself, and {server} "
                f"gets it then. To see why: gatecert doctor {name}"
            )
        elif not enrolled.has_certificate:
            self.dialog.note(f"no certificate of a CA yet: see gatecert doctor {name}")
        elif is_applied:
            self.dialog.note(f"{server} does not serve it yet: see gatecert doctor {name}")
        if not self.set_up.host.is_packaged:
            command = f"gatecert -c {self.set_up.path} run"
            self.dialog.note(f"nothing renews it yet: let your init system run {command}")

    # ------------------------------------------------------------------ before the enrolment

    def _write_configuration(self) -> None:
        extension = self.set_up.extension
        for source, copy in self.set_up.files:
            data = operator_files.read(source) or b""
            operator_files.replace_configuration(copy, operator_files.read(copy), data)
            self.dialog.step(f"{copy} is a copy of {source}, which the service cannot read")
        if extension is not None and extension.is_needed:
            operator_files.replace_configuration(extension.path, extension.before, extension.data)
            self.dialog.step(f"{extension.path} has the gateway {self.set_up.name}")

    def _prepare(self) -> None:
        """Make the directories that gatecert writes to, and let its service write there."""
        if not self.set_up.host.is_root:
            return
        directories: list[Path] = []
        if self.set_up.challenge.webroot is not None:
            directories.append(self.units.webroot_directory(self.set_up.challenge.webroot))
        if self.set_up.plan.copies is not None:
            directories.append(self.units.copies_directory(self.set_up.plan.copies))
        if self.set_up.host.is_packaged:
            self.units.allow_writing(directories)

    def _forward_challenges(self) -> None:
        """Let the server that has port 80 forward validations."""
        edit, server = self.set_up.challenge.edit, self.set_up.challenge.server
        if edit is None or server is None or edit.before == edit.after:
            return
        if not self.may_apply:
            self.dialog.heading(f"Put these lines into {edit.path} first")
            self.dialog.verbatim(edit.changed_lines())
            return
        plan = server.plan(self.set_up.wanted)
        change = ServerChange(self.run)
        change.make([edit], tests=plan.tests)
        self._tell(plan, change, restart=False)
        hostname = self.set_up.wanted.hostname
        if not self._is_forwarded(hostname):
            change.take_back()
            self._reload(plan, restart=False)
            raise DeploymentError(
                f"{server.title} does not forward requests for http://{hostname}{CHALLENGES} "
                "to gatecert, although it accepts the rule; its files are as they were",
                fix="let it forward them (docs/challenges.md), or use another challenge",
            )
        self.backed_up.add(edit.path)
        self.dialog.step(f"{server.title} forwards validations to gatecert ({edit.path})")
        self._tell_backups(change)

    def _is_forwarded(self, hostname: str) -> bool:
        """Wait until validations are forwarded; a server may reload in the background."""
        deadline = Deadline.after(RELOADED_SECONDS)
        while not (found := is_forwarded(hostname)) and not deadline.passed:
            time.sleep(deadline.within(0.2))
        return found

    # ------------------------------------------------------------------ the server

    def _apply(self, enrolled: Enrolled) -> ServerChange | None:
        """Let the server use the certificate; None if it has to stay as it is.

        Raises:
            GatecertError: The server refuses it; its files are as they were.
        """
        plan = self.set_up.found.server.plan(self.set_up.wanted)
        if plan.by_hand or not self.may_apply or not self._may_write(plan):
            self._show_lines(plan)
            return None
        if not enrolled.trusted and self._serves_trusted():
            self.dialog.note(
                f"{self.set_up.found.server.title} serves a trusted certificate now and keeps it, "
                "because there is no better one yet; run gatecert init again once there is"
            )
            return None
        self.dialog.heading(self.set_up.found.server.title)
        change = ServerChange(self.run, self.backed_up)
        if not plan.is_complete:
            change.make(plan.edits, plan.commands, plan.touched, plan.tests)
            for path in dict.fromkeys([*(edit.path for edit in plan.edits), *plan.touched]):
                self.dialog.step(f"{path} names gatecert's certificate")
            self._tell_backups(change)
        if self.set_up.found.is_running or any(
            unit in self.set_up.host.units for unit in plan.units
        ):
            self._tell(plan, change, restart=plan.needs_restart and not plan.is_complete)
        else:
            title = self.set_up.found.server.title
            self.dialog.note(f"{title} does not run: start it, and it reads the certificate")
        return change

    def _tell_backups(self, change: ServerChange) -> None:
        for backup in change.backups:
            self.dialog.note(f"the file as it was: {backup}")

    def _may_write(self, plan: ServerPlan) -> bool:
        """Tell whether this user may change the server's files."""
        paths = [*(edit.path for edit in plan.edits), *plan.touched]
        return all(os.access(path if path.exists() else path.parent, os.W_OK) for path in paths)

    def _show_lines(self, plan: ServerPlan) -> None:
        if plan.by_hand:
            self.dialog.heading(f"{self.set_up.found.server.title}: {plan.by_hand}")
        for where, lines in plan.shown.items():
            self.dialog.line(f"  Put into {where}:")
            self.dialog.verbatim(lines)
        page = f" (docs/gateways/{plan.page}.md)" if plan.page else ""
        self.dialog.note(
            f"put the lines in yourself{page}, reload the server, and run gatecert enroll "
            f"{self.set_up.name}, which proves that it serves the certificate"
        )

    def _tell(self, plan: ServerPlan, change: ServerChange, *, restart: bool) -> None:
        """Make the server read its files; take the change back if it does not.

        Raises:
            DeploymentError: It does not.
        """
        failure = self._reload(plan, restart=restart)
        if not failure:
            return
        change.take_back()
        self._reload(plan, restart=restart)
        raise DeploymentError(
            f"{self.set_up.found.server.title} does not accept the change: {failure}",
            fix="its files are as they were; see its log, and run gatecert init again",
        )

    def _reload(self, plan: ServerPlan, *, restart: bool) -> str:
        """Reload, restart or start the server; return why that failed, empty if it did not."""
        host = self.set_up.host
        units = [unit for unit in plan.units if unit in host.units]
        for unit in units:
            state = host.units[unit]
            verb = "reload" if state.is_active and state.can_reload and not restart else "restart"
            ended = self.run(("systemctl", verb, unit))
            if not ended.succeeded:
                return f"systemctl {verb} {unit}: {ended.output}"
        if units:
            return ""
        if restart:
            self.dialog.note(
                f"restart {self.set_up.found.server.title} now: a reload is not enough"
            )
        elif plan.reload:
            ended = self.run(plan.reload)
            return "" if ended.succeeded else f"{' '.join(plan.reload)}: {ended.output}"
        return ""

    # ------------------------------------------------------------------ proof

    def _prove(self, change: ServerChange) -> bool:
        """Make a handshake with every listener; take the change back if the server is gone."""
        plan, had = self.set_up.plan, self._listening_before
        enrolled = self.enrolments.attend(self.given, self.set_up.configuration, self.set_up.name)
        if enrolled.settled and (enrolled.has_certificate or _is_excluded(enrolled)):
            if enrolled.has_certificate and not enrolled.trusted:
                self.dialog.note("this machine does not trust the CA; clients need its root")
            return True
        if had and change.backups and not any(accepts(*each) for each in had):
            change.take_back()
            failure = self._reload(plan, restart=True)
            raise DeploymentError(
                f"{self.set_up.found.server.title} stopped listening with the new certificate; "
                f"its files are as they were{f', but {failure}' if failure else ''}",
                fix="see its log, and run gatecert init again",
            )
        return False

    @property
    def _listening_before(self) -> list[tuple[str, int]]:
        """The listeners that had a process when the command started."""
        ports = {each.port for each in self.set_up.host.listeners if not each.is_udp}
        return [each for each in self._listeners() if each[1] in ports]

    def _serves_trusted(self) -> bool:
        """Tell whether a listener serves a trusted certificate, or may do so after STARTTLS."""
        hostname = self.set_up.wanted.hostname
        verify = self.set_up.configuration.gateways[self.set_up.name].install.verify
        return any(each.starttls for each in verify) or any(
            serves_trusted(hostname, *each) for each in self._listeners()
        )

    def _listeners(self) -> list[tuple[str, int]]:
        """Return address and port of every listener to verify."""
        verify = self.set_up.configuration.gateways[self.set_up.name].install.verify
        return [(each.host, each.port) for each in verify]


def _is_excluded(enrolled: Enrolled) -> bool:
    """Tell whether the gateway is in a region that is never enrolled."""
    return enrolled.kind is OutcomeKind.SKIPPED
