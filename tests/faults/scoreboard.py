"""Results of a run, read from pytest's report and written as a table."""

from __future__ import annotations

import re
import subprocess
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tests.faults.peers import CERTBOT, LEGO
from tests.faults.rows import NOT_FOR_PEERS, ROWS

from harness.pebble import BINARIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

OURS = "gatecert"
CLIENTS = (OURS, "certbot", "lego")
TEST = re.compile(r"test_(peer_)?row_(\d+)(?:_\w+)?(?:\[(.*)\])?$")
HELD, FELL, BROKEN = "✓", "✗", "!"

HEAD = """\
# Faults

<!-- Written by `make faults` from its measurements. -->

Every fault of the catalogue is injected into the real `gatecert` command and, where it applies,
into certbot and lego: with the same CA, the same proxy in front of it and the same checks. "✓" is
the right behaviour, "✗" any other, followed by what was seen; "n/a" means that the row does not
apply to that client, "?" that it was not run, which fails the run. certbot and lego are commands
started by a timer; they run as their manuals say, with a forced renewal where a row needs one.

To inject faults by hand: [faults-by-hand.md](faults-by-hand.md).

"""
NOT_APPLICABLE = "n/a"


@dataclass(frozen=True, slots=True)
class Result:
    """Result of one test.

    Attributes:
        test: Its file and name, as in pytest.
        mark: ``HELD``, ``FELL``, or ``BROKEN`` if nothing could be measured.
        why: The wrong behaviour, on one line.
        output: Pytest's whole report of a failure.
    """

    test: str
    mark: str
    seconds: float
    why: str = ""
    output: str = ""


@dataclass
class Scoreboard:
    """All results.

    Attributes:
        results: By row and client.
        tools: Results of the tests of the tools.
    """

    results: dict[tuple[int, str], list[Result]] = field(default_factory=lambda: defaultdict(list))
    tools: list[Result] = field(default_factory=list)

    def mark(self, row: int, client: str) -> str:
        """Return the mark for a row and a client."""
        results = self.results.get((row, client), [])
        if not results:
            return NOT_APPLICABLE if client in NOT_FOR_PEERS.get(row, ()) else "?"
        marks = {result.mark for result in results}
        return next(mark for mark in (BROKEN, FELL, HELD) if mark in marks)

    def why(self, row: int, client: str) -> str:
        """Return the wrong behaviour, or the reason why a row does not apply."""
        whys = [result.why for result in self.results.get((row, client), []) if result.why]
        return whys[0] if whys else NOT_FOR_PEERS.get(row, {}).get(client, "")

    def seconds(self, row: int) -> float:
        """Return the duration of a row for all clients together."""
        return sum(
            result.seconds for client in CLIENTS for result in self.results.get((row, client), [])
        )

    def lines(self) -> Iterator[list[str]]:
        """Return the rows of the table."""
        for row, (fault, _) in ROWS.items():
            cells = [
                f"{self.mark(row, client)} {self.why(row, client)}".strip() for client in CLIENTS
            ]
            yield [str(row), fault, *cells, f"{self.seconds(row):.0f}"]

    @property
    def tally(self) -> str:
        """The number of right rows for each client."""
        return ", ".join(
            f"{client}: {sum(self.mark(row, client) == HELD for row in ROWS)} of "
            f"{sum(client not in NOT_FOR_PEERS.get(row, ()) for row in ROWS)} rows"
            for client in CLIENTS
        )

    @property
    def failures(self) -> list[Result]:
        """Results that fail the run: wrong behaviour of gatecert, or no measurement."""
        rows = [
            result
            for (_, client), results in sorted(self.results.items())
            for result in results
            if result.mark in ({BROKEN, FELL} if client == OURS else {BROKEN})
        ]
        return rows + [result for result in self.tools if result.mark != HELD]

    def faults(self, *, complete: bool) -> list[str]:
        """Return why the run failed, one line each as in pytest; empty for a successful run.

        Args:
            complete: Require that every row was run.
        """
        found = [f"FAILED {result.test} - {result.why}" for result in self.failures]
        if complete:
            found += [
                f"FAILED row {row}, {client}: was not run"
                for row in ROWS
                for client in CLIENTS
                if self.mark(row, client) == "?"
            ]
        return found


def read(report: Path) -> Scoreboard:
    """Read the report of pytest."""
    board = Scoreboard()
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - our own report
        name = case.get("name", "")
        result = _result(case, "::".join(filter(None, (case.get("file"), name))))
        match = TEST.match(name)
        if match is None:
            board.tools.append(result)
            continue
        parameters = (match[3] or "").split("-")
        client = next((each for each in CLIENTS[1:] if each in parameters), "")
        client = client if match[1] else OURS
        board.results[int(match[2]), client].append(result)
    return board


def _result(case: ET.Element, test: str) -> Result:
    seconds = float(case.get("time", "0"))
    for kind in ("failure", "error", "skipped"):
        found = case.find(kind)
        if found is not None:
            message = found.get("message", "")
            first = message.splitlines()[0] if message else kind
            asserted = kind == "failure" and first.startswith(("AssertionError", "assert "))
            why = first.removeprefix("AssertionError: ")[:120]
            return Result(test, FELL if asserted else BROKEN, seconds, why, found.text or "")
    return Result(test, HELD, seconds)


def versions() -> Mapping[str, str]:
    """Return the versions of all programs."""

    def said(*argv: str | Path) -> str:
        finished = subprocess.run(argv, text=True, check=True, capture_output=True, timeout=60)
        found = re.search(r"\d+(?:\.\d+)+\S*", finished.stdout)
        return found.group() if found else finished.stdout.strip()

    from gatecert import __version__  # noqa: PLC0415 - only needed here

    return {
        OURS: __version__,
        "certbot": said(CERTBOT, "--version"),
        "lego": (LEGO.parent / "version").read_text("utf-8").strip(),
        "Pebble": (BINARIES / "version").read_text("utf-8").strip(),
    }


def write(page: Path, board: Scoreboard, known: Mapping[str, str]) -> None:
    """Write the page."""
    told = ", ".join(f"{name} {version}" for name, version in known.items())
    lines = [
        f"{HEAD}Measured on {datetime.now(UTC):%Y-%m-%d} with {told}: {board.tally}.",
        "",
        "| row | fault | right behaviour | gatecert | certbot | lego | seconds |",
        "|--:|---|---|---|---|---|--:|",
    ]
    for row, cells in zip(ROWS, board.lines(), strict=True):
        number, fault, *rest = (cell.replace("|", "\\|") for cell in cells)
        lines.append(f"| {number} | {fault} | {ROWS[row][1]} | {' | '.join(rest)} |")
    page.write_text("\n".join(lines) + "\n", "utf-8")
