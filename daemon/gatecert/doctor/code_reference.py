"""The table of all codes, for people: ``docs/doctor.md``.

Written anew by ``python -m gatecert.doctor.code_reference > docs/doctor.md``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gatecert.doctor.checks import ORDER, GatewayCheck
from gatecert.time_format import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.doctor.finding import Code

INTRODUCTION = """\
# `gatecert doctor`

<!-- Made by `python -m gatecert.doctor.code_reference`; change the code, not this file. -->

A user meets an untrusted certificate: `gatecert doctor` looks at everything that can be the reason,
in the order in which it has to be put right, and says of each thing what was seen, what it means,
and what to do.

    gatecert doctor                             # every gateway
    gatecert doctor boston --json               # one of them, for programs
    gatecert doctor boston --export-root root.pem   # and the root that its clients have to trust

It may be run beside the daemon, and changes nothing: a file is written to the state directory and
removed, a challenge response of its own is presented and taken away. It exits with 1 if there is a
failure, with 0 if there are only warnings and notes, and with 2 if the configuration cannot be
used.

`--export-root` writes the root at the end of the served chain, which has to be pushed to clients
that do not trust it. For several gateways it writes every different one.

**Codes never change their meaning.** Where a finding is certain to make an order fail, none is
placed: `enroll`, the log of the daemon and `status` then give the same code, no attempt is counted
and nothing of the authority's limits is spent. It is looked at again after the time in the last
column, and at once by `gatecert enroll`.

## For programs

`--json` prints one object. `schema` is 1; it changes only when a field is taken away or changes its
meaning, while new fields, checks and codes may come at any time.

| field | type | meaning |
|---|---|---|
| `schema` | integer | 1 |
| `time` | instant | when it was looked |
| `healthy` | boolean | whether there is no failure |
| `failures`, `warnings` | integer | how many there are |
| `findings` | array | in the order of the checks: `check`, `code`, `severity` (`ok`, `note`, \
`warning`, `failure`), `gateway` (empty for the machine), `seen`, `meaning`, `fix`, and \
`holds_enrolment` (boolean) |
| `roots` | array | for each gateway the root that clients have to trust: `gateway`, `name`, \
`sha256`, `trusted_here` |

## All checks and codes
"""


def text() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    for check in ORDER:
        whom = "each gateway" if isinstance(check, GatewayCheck) else "the machine"
        yield f"### {check.name} ({whom})"
        yield ""
        yield check.question
        yield ""
        yield "| code | severity | meaning | fix | holds orders back |"
        yield "|---|---|---|---|---|"
        yield from map(_row, check.codes)
        yield ""


def _row(code: Code) -> str:
    held = f"yes, for {duration(code.recheck_after)}" if code.recheck_after is not None else ""
    cells = (f"`{code.name}`", code.severity, code.meaning, code.fix, held)
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(text())
