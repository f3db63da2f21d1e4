"""Proof by a command, for servers whose connections do not begin with TLS.

OpenVPN wraps its handshake into its own packets, and IKE has none. A command of the operator
reports by its exit status whether the server serves the installed certificate: 0 means yes,
anything else means no, and the end of its output gives the reason. As with a listener, gatecert
repeats the command until it succeeds or the time is up. Its environment:
``deploy.reload.environment`` and the fingerprint.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gatecert import process
from gatecert.deadline import Deadline
from gatecert.errors import clean
from gatecert.model import Probe
from gatecert.trusted_files import WeakFileError

logger = logging.getLogger(__name__)

FINGERPRINT_VARIABLE: Final = "GATECERT_FINGERPRINT"
RUN_TIMEOUT: Final = 10.0  # seconds
FIRST_PAUSE: Final = 0.1  # seconds
LONGEST_PAUSE: Final = 1.0  # seconds
LONGEST_NAME: Final = 200  # characters of a command shown


@dataclass(frozen=True, slots=True)
class ProofCommand:
    """A command that checks whether the server serves the installed certificate.

    Attributes:
        argv: Program and arguments; no shell is involved.
        environment: The whole environment, apart from the fingerprint.
        fingerprint: SHA-256 of the installed leaf's DER, lower-case hexadecimal; passed as
            ``GATECERT_FINGERPRINT``.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    fingerprint: str

    @property
    def name(self) -> str:
        """The name shown to the operator."""
        return f"verify_command {clean(self.argv[0], LONGEST_NAME)}"


def wait_until_proven(command: ProofCommand, deadline: Deadline) -> Probe:
    """Run the command until it succeeds or the time is up; at least once."""
    result = run_once(command, deadline)
    pause, attempts = FIRST_PAUSE, 1
    while not result.matches and not deadline.passed:
        deadline.wait(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
        if deadline.passed:
            break
        result = run_once(command, deadline)
        attempts += 1
    logger.debug("proof command=%s served=%s asked=%d", command.name, result.matches, attempts)
    return result


def run_once(command: ProofCommand, deadline: Deadline, *, timeout: float = RUN_TIMEOUT) -> Probe:
    """Run the command once; ``deadline`` ends it early only when gatecert is stopping."""
    program = process.executable(command.argv[0])
    if program is None:
        return _not_served(command, f"was not found in {process.PATH}")
    environment = {**command.environment, FINGERPRINT_VARIABLE: command.fingerprint}
    try:
        with process.started((program, *command.argv[1:]), environment) as run:
            in_time = run.wait(Deadline.after(timeout, deadline.cancelled))
    except WeakFileError as error:
        why = f"is not run, because another user may change it: {clean(error.what)};"
        return _not_served(command, f"{why} {error.weakness.fix}")
    except (OSError, ValueError) as error:
        reason = clean(getattr(error, "strerror", None) or str(error))
        return _not_served(command, f"cannot be run: {reason}")
    if not in_time:
        return _not_served(command, f"did not finish within {timeout:g} s", run.output_tail)
    if run.status != 0:
        return _not_served(
            command, f"reports that it is not served ({run.ending})", run.output_tail
        )
    return Probe(
        None,
        command.fingerprint,
        matches=True,
        detail=f"{command.name} reports that it is served",
    )


def _not_served(command: ProofCommand, what: str, output: str = "") -> Probe:
    ending = f": {output}" if output else ""
    return Probe(None, "", matches=False, detail=f"{command.name} {what}{ending}")
