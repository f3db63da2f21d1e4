"""Print the page of all codes: ``python -m gatecert.doctor.code_reference > docs/doctor.md``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gatecert.doctor.checks import ORDER, GatewayCheck
from gatecert.doctor.outcome_codes import OUTCOME_CODES
from gatecert.time_format import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.doctor.finding import Code

INTRODUCTION = """\
# `gatecert doctor`

<!-- Made by `python -m gatecert.doctor.code_reference`; change the code, not this file. -->

If a user sees an untrusted certificate, run `gatecert doctor`. It checks every possible cause, and
shows what is not well, in the order in which to fix it: the observation with its code, its meaning,
and the fix. `--all` shows what it has found well, and notes that only inform, too.

    gatecert doctor                             # every gateway
    gatecert doctor --all                       # and what is well
    gatecert doctor boston --json               # one gateway, as JSON
    gatecert doctor boston --export-root root.pem   # and write the root that its clients must trust

You can run it while the daemon runs. It changes nothing: it writes a test file to the state
directory and removes it, and presents a test response to the challenge and removes it. It exits
with 1 if there is a failure, with 0 if there are only warnings and notes, and with 2 if the
configuration cannot be used.

If the last attempt to obtain a certificate failed, that is a failure, in the CA's own words
(`last-attempt-failed`), until an attempt succeeds. Rate limits are a warning only where they delay
the next order.

`--export-root` writes the root of the served chain. Distribute it to clients that do not trust it.
For several gateways it writes each root once.

**Codes never change their meaning.** If a finding is certain to make an order fail, gatecert places
no order: `enroll`, the daemon's log and `status` show the same code, no attempt is counted, and no
rate limit of the CA is used. gatecert checks again after the time in the last column, and
`gatecert enroll` checks at once.

## For programs

`--json` prints one object. `schema` is 1; it changes only if a field is removed or changes its
meaning, while new fields, checks and codes may be added at any time.

| field | type | meaning |
|---|---|---|
| `schema` | integer | 1 |
| `time` | instant | time of the diagnosis |
| `healthy` | boolean | whether there is no failure |
| `failures`, `warnings` | integer | their number |
| `findings` | array | in the order of the checks: `check`, `code`, `severity` (`ok`, `note`, \
`warning`, `failure`), `gateway` (empty for the machine), `seen`, `meaning`, `fix`, and \
`holds_enrolment` (boolean) |
| `roots` | array | for each gateway, the root that clients must trust: `gateway`, `name`, \
`sha256`, `trusted_here` |

## All checks and codes
"""

OF_ATTEMPTS = """\
## Codes of attempts

What gatecert has done can also end with these codes, in its log, in `status` and in the output of
commands. `gatecert doctor` shows them as the cause of `last-attempt-failed`. After a roll-back
(`rolled-back`) the server has its previous certificate again.
"""


def text() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *_sections(), OF_ATTEMPTS, *_attempts()])


def _sections() -> Iterator[str]:
    for check in ORDER:
        scope = "each gateway" if isinstance(check, GatewayCheck) else "the machine"
        yield f"### {check.name} ({scope})"
        yield ""
        yield check.question
        yield ""
        yield "| code | severity | meaning | fix | holds orders back |"
        yield "|---|---|---|---|---|"
        yield from map(_row, check.codes)
        yield ""


def _attempts() -> Iterator[str]:
    yield "| code | severity | meaning | fix |"
    yield "|---|---|---|---|"
    for code in OUTCOME_CODES:
        yield f"| `{code.name}` | {code.severity} | {code.meaning} | {code.fix} |"
    yield ""


def _row(code: Code) -> str:
    holds = f"yes, for {duration(code.recheck_after)}" if code.recheck_after is not None else ""
    cells = (f"`{code.name}`", code.severity, code.meaning, code.fix, holds)
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(text())
