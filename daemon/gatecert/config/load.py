"""Loading of a configuration: every error is reported at once, with its line.

Checks continue after the first error. Keys with errors are removed, and the rest is checked across
keys, without errors that only follow from those already found.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gatecert.config import consistency, files
from gatecert.config.configuration_finding import WrongKeys
from gatecert.config.document import read
from gatecert.config.schema import Configuration
from gatecert.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gatecert.config.configuration_finding import Finding, Location
    from gatecert.config.tree import Plain

logger = logging.getLogger(__name__)


def load(path: Path, *, check_files: bool = True) -> Configuration:
    """Read and check a configuration file.

    Args:
        path: The file; relative paths in it start at its directory.
        check_files: Whether to check the files that it names.

    Raises:
        ConfigurationError: It has errors; contains all of them, in the order of their lines.
    """
    document = read(path)
    directory = path.absolute().parent
    configuration, found, wrong = _validate(document.plain(), directory)
    if configuration is not None:
        more = list(consistency.findings(configuration))
        if check_files:
            more.extend(files.findings(configuration))
        found.extend(finding for finding in more if not finding.concerns(wrong))
    problems = [*document.problems]
    problems += [document.problem(finding.location, finding.what) for finding in found]
    if problems or configuration is None:
        problems.sort(key=lambda problem: int(problem.where.rpartition(":")[2]))
        raise ConfigurationError(list(dict.fromkeys(problems)))
    logger.debug("configuration loaded file=%s gateways=%d", path, len(configuration.gateways))
    return configuration


def _validate(
    written: dict[str, Plain], directory: Path
) -> tuple[Configuration | None, list[Finding], WrongKeys]:
    """Return the configuration without invalid keys, if any is left; the errors; their keys."""
    found: list[Finding] = []
    wrong = WrongKeys()
    while True:  # each round removes keys
        try:
            configuration = Configuration.model_validate(
                written, context={"directory": directory}, by_alias=True, by_name=False
            )
        except ValidationError as error:
            from gatecert.config import explain  # noqa: PLC0415 - needed for errors only

            new = explain.findings(error)
            # Removing a key can make its group incomplete, which is not an error of the operator.
            found.extend(finding for finding in new if not finding.concerns(wrong))
            missing = {details["loc"] for details in error.errors() if details["type"] == "missing"}
            invalid = [
                finding.location[:-1] if finding.location in missing else finding.location
                for finding in new
            ]
            for finding in new:
                wrong.add(finding.location)
            left = {} if () in invalid else _without(written, invalid)
            if not left or left == written:
                return None, found, wrong
            written = left
        else:
            return configuration, found, wrong


def _without(written: dict[str, Plain], locations: Iterable[Location]) -> dict[str, Plain]:
    """Return a copy without some keys; remove whole lists, since their other items would move."""
    below: dict[str | int, list[Location]] = {}
    for location in locations:
        below.setdefault(location[0], []).append(location[1:])
    result: dict[str, Plain] = {}
    for key, value in written.items():
        if key not in below:
            result[key] = value
        elif () not in below[key] and isinstance(value, dict):
            result[key] = _without(value, below[key])
    return result
