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
from gatecert.config.include import read
from gatecert.config.schema import Configuration
from gatecert.config.schema.configuration import default_state_directory
from gatecert.config.shared_settings import DEFAULTS, with_defaults
from gatecert.config.source_file import untrusted
from gatecert.errors import ConfigurationError, Problem
from gatecert.garbage_collection import without_garbage_collection
from gatecert.trusted_files import trusted_users

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gatecert.config.configuration_finding import Finding, Location
    from gatecert.config.document import Document
    from gatecert.config.tree import Plain

logger = logging.getLogger(__name__)


def load(path: Path, *, check_files: bool = True) -> Configuration:
    """Read and check a configuration file, and what it includes.

    Args:
        path: The file.
        check_files: Whether to check the files that it names.

    Raises:
        ConfigurationError: It has errors; contains all of them, in the order of their lines.
    """
    return validate(read(path), check_files=check_files)


@without_garbage_collection()
def validate(document: Document, *, check_files: bool = True) -> Configuration:
    """Check a configuration that has been read.

    Args:
        document: The configuration as written.
        check_files: Whether to check the files that it names.

    Raises:
        ConfigurationError: It has errors; contains all of them, in the order of their lines.
    """
    wrong = WrongKeys()
    written = document.plain()
    found: list[Finding] = []
    if DEFAULTS in written:  # first, so that an error in them is not one of every gateway
        alone, found = _validate({DEFAULTS: written[DEFAULTS], "gateways": {}}, wrong)[1:]
        written[DEFAULTS] = alone.get(DEFAULTS)
        written |= with_defaults(document, written[DEFAULTS])
    configuration, _, more = _validate(written, wrong)
    found += more
    _require_trusted_files(document, configuration)
    if configuration is not None:
        more = list(consistency.findings(configuration))
        if check_files:
            more.extend(files.findings(configuration))
        found.extend(finding for finding in more if not finding.concerns(wrong))
    problems = [*document.problems, *document.all_problems(found)]
    if problems or configuration is None:
        raise ConfigurationError(document.in_order(problems))
    number = len(configuration.gateways)
    logger.debug("configuration loaded file=%s gateways=%d", document.path, number)
    return configuration


def _require_trusted_files(document: Document, configuration: Configuration | None) -> None:
    """Require that nobody else can change the files of a configuration.

    Raises:
        ConfigurationError: Somebody else can; nothing else in them counts then.
    """
    users = trusted_users(
        configuration.state_directory if configuration is not None else default_state_directory()
    )
    refused = [
        Problem(str(file.path), "", why, exposed=True)
        for file in document.files
        if file.status is not None and (why := untrusted(file.path, file.status, users))
    ]
    if refused:
        raise ConfigurationError(refused)


def _validate(
    written: dict[str, Plain], wrong: WrongKeys
) -> tuple[Configuration | None, dict[str, Plain], list[Finding]]:
    """Return the configuration without invalid keys, if any is left; what is left; the errors.

    Args:
        written: The keys and values.
        wrong: The keys that are known to be wrong; more are added.
    """
    found: list[Finding] = []
    while True:  # each round removes keys
        try:
            configuration = Configuration.model_validate(written, by_alias=True, by_name=False)
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
                return None, {}, found
            written = left
        else:
            return configuration, written, found


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
