"""Print the journal's message catalogue: what ``journalctl -x`` says below entries of gatecert.

``python -m gatecert.doctor.message_catalogue > packaging/gatecert.catalog``. An entry's lines are a
header, an empty line and a text; ``@FIELD@`` stands for a field of the journal entry.

https://systemd.io/CATALOG
"""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING, Final

from gatecert.doctor.checks import ORDER, MachineCheck
from gatecert.doctor.finding import Code, Severity
from gatecert.doctor.fleet_codes import SEALING_KEY_MISSING
from gatecert.doctor.outcome_codes import OUTCOME_CODES
from gatecert.outcome_kinds import OutcomeKind
from gatecert.report.message_ids import message_id

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD: Final = """\
# What journalctl -x says about entries of gatecert. See https://systemd.io/CATALOG.
# Made by `python -m gatecert.doctor.message_catalogue`; change the code, not this file.
"""
WIDTH: Final = 76  # columns, as journalctl puts a mark before each line
GATEWAY: Final = "@GATECERT_GATEWAY@"
MANUAL: Final = "man:gatecert(1)"
PAGES: Final = "file:///usr/share/doc/gatecert/docs"
# Codes of the core's own entries, which concern no single gateway
OF_THE_CORE: Final = {"worker-lost", "state-held"}
# Codes of failures that a roll-back may follow
OF_DEPLOYMENT: Final = {"deployment", "copy-failed", "reload-failed", "not-served", "mixed"}
ROLLED_BACK: Final = (
    f"If the entry begins with {OutcomeKind.ROLLED_BACK}, the server has its previous certificate"
    " again."
)

MEANING: Final = {
    OutcomeKind.IDLE: "Everything is in order, and nothing is due.",
    OutcomeKind.BOOTSTRAPPED: "The gateway has a self-signed bootstrap certificate, so that its"
    " server can start. Clients do not trust it. gatecert orders a trusted certificate as soon as"
    " the gateway's names point at this host.",
    OutcomeKind.WAITING: "gatecert waits for what the message names, and goes on without help"
    " unless it says otherwise. The gateway keeps its certificate until then.",
    OutcomeKind.ENROLLED: "A CA has issued the first trusted certificate of the gateway, and it is"
    " in service.",
    OutcomeKind.RENEWED: "A CA has issued a new certificate, and it is in service.",
    OutcomeKind.IMPORTED: "The certificate that an administrator imported is in service.",
    OutcomeKind.DEPLOYED: "A certificate that was stored here is in service now.",
    OutcomeKind.SKIPPED: "The gateway's region is never enrolled automatically. The gateway keeps"
    " its self-signed certificate until you import another one (gatecert csr, gatecert import).",
    OutcomeKind.ROLLED_BACK: "The gateway's server did not accept the new certificate, so gatecert"
    " has given it the previous one back.",
    OutcomeKind.FAILED: "An attempt failed. The gateway keeps its certificate, and gatecert tries"
    " again.",
}


def catalogued_codes() -> dict[str, Code]:
    """Return every code with an entry, by name: all but those of findings without a problem."""
    found = {code.name: code for check in ORDER for code in check.codes}
    grave = {Severity.WARNING, Severity.FAILURE}
    problems = {name: code for name, code in found.items() if code.severity in grave}
    return problems | {code.name: code for code in OUTCOME_CODES}


def text() -> str:
    """Return the whole catalogue."""
    return "\n".join([HEAD, *_of_kinds(), *_of_codes()])


def _of_kinds() -> Iterator[str]:
    for kind in OutcomeKind:
        more = f"gatecert status {GATEWAY} shows the gateway's certificate and what comes next."
        yield _entry(kind, f"Gateway {GATEWAY}: {kind}", f"{PAGES}/status.md", MEANING[kind], more)


def _of_codes() -> Iterator[str]:
    machine = {
        code.name for check in ORDER if isinstance(check, MachineCheck) for code in check.codes
    } - {SEALING_KEY_MISSING.name}  # the journal has it of gateways only
    for name, code in catalogued_codes().items():
        meaning = _sentence(code.meaning)
        to_do = f"What to do: {code.fix}." if code.fix else "There is nothing to do."
        subject, command = f"Gateway {GATEWAY}: {name}", f"gatecert doctor {GATEWAY}"
        if name in machine | OF_THE_CORE:
            subject, command = f"gatecert: {name}", "gatecert doctor"
        more = f"{command} shows whether it lasts, and what else is wrong."
        rolled_back = [ROLLED_BACK] if name in OF_DEPLOYMENT else []
        page = f"{PAGES}/doctor.md"
        yield _entry(name, subject, page, meaning, *rolled_back, to_do, more)


def _entry(name: str, subject: str, page: str, *paragraphs: str) -> str:
    head = (
        f"-- {message_id(name)}",
        f"Subject: {subject}",
        "Defined-By: gatecert",
        f"Documentation: {MANUAL}",
        f"Documentation: {page}",
        "",
    )
    body = "\n\n".join(
        textwrap.fill(each, WIDTH, break_long_words=False, break_on_hyphens=False)
        for each in paragraphs
    )
    return "\n".join(head) + f"\n{body}\n"


def _sentence(clause: str) -> str:
    """Return a clause as a sentence; the names of programs and settings stay as they are."""
    first = clause.partition(" ")[0]
    is_name = first == "gatecert" or not first.isalpha()
    return f"{clause if is_name else clause[0].upper() + clause[1:]}."


if __name__ == "__main__":
    sys.stdout.write(text())
