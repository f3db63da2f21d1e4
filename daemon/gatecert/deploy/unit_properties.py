"""Properties of systemd units, read with ``systemctl show``.

Any user may read them. Where systemd does not run (another init, a container), or cannot be asked,
nothing is known, which is not an error.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert import process

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BOOTED: Final = Path("/run/systemd/system")  # exists if systemd is the init (sd_booted(3))
MOST_AT_ONCE: Final = 500  # units of one call, so that the arguments always fit


def show(
    units: Sequence[str],
    properties: Sequence[str],
    *,
    booted: Path = BOOTED,
    run: Callable[[Sequence[str]], str] | None = None,
) -> list[Mapping[str, str]]:
    """Return properties of units, in the order of the units.

    Times are in UTC.

    Args:
        units: Valid names of units, whether systemd knows them or not; or one pattern, which stands
            for all matching units that are in memory.
        properties: Names of properties; for a unit without one, it is missing or empty.
        booted: The directory that exists if systemd runs.
        run: Returns the output of a command, empty if it fails; the default runs it.

    Returns:
        An entry for each unit, with its name as ``Id``; an empty list if systemd cannot be asked.
    """
    if not units or not booted.is_dir():
        return []
    found: list[Mapping[str, str]] = []
    rest = iter(units)
    while some := list(islice(rest, MOST_AT_ONCE)):
        is_pattern = "*" in some[0]
        every = ["--all"] if is_pattern else []  # inactive units as well
        argv = ["systemctl", "show", *every, f"--property=Id,{','.join(properties)}", "--", *some]
        blocks = parse((run or process.output_of)(argv))
        if len(blocks) != len(some) and not is_pattern:
            return []
        found += blocks
    return found


def parse(output: str) -> list[Mapping[str, str]]:
    """Parse the output of ``systemctl show``: blocks of ``NAME=VALUE`` between empty lines.

    A property that is written several times, such as ``ExecStart``, has one line for each value.
    """
    return [_properties(block) for block in output.split("\n\n") if block.strip()]


def _properties(block: str) -> Mapping[str, str]:
    values: dict[str, list[str]] = {}
    for line in block.splitlines():
        name, separator, value = line.partition("=")
        if separator:
            values.setdefault(name, []).append(value)
    return {name: "\n".join(lines) for name, lines in values.items()}
