"""A command of the operator's that changes the zone.

It is run as argv, never through a shell::

    COMMAND… present  _acme-challenge.vpn.example.com  VALUE
    COMMAND… clean-up _acme-challenge.vpn.example.com  VALUE

``present`` adds one TXT record and leaves others at the same name alone; ``clean-up`` takes exactly
that one away. Both may be repeated. Exit status 0 means done; everything else is a failure, and the
end of what the command printed becomes part of the error. Besides ``PATH``, ``HOME`` and ``LANG``
(``gatecert.process``) its environment has::

    GATECERT_ACTION   present or clean-up
    GATECERT_NAME     where the record goes: A-labels, no final dot, aliases followed
    GATECERT_VALUE    what it says
    GATECERT_ZONE     the zone that the name lies in
    GATECERT_TTL      time to live, in seconds

Nothing that the authority sends is among the arguments: the name comes from the configuration and
the DNS, the value is a hash. Where aliases were followed, the name is up to whoever has the zone
that they lead to, so one that is not made of letters, digits, hyphens, underscores and dots, or
begins with a hyphen, is refused: a command could take it for something else.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Final

from gatecert import process
from gatecert.deadline import Deadline
from gatecert.errors import ChallengeError, ProviderNotContactedError, clean

if TYPE_CHECKING:
    from gatecert.config.schema.challenge import Dns01Settings
    from gatecert.model import TextRecord

logger = logging.getLogger(__name__)

MAX_SHOWN: Final = 200  # characters of a command shown
HERE: Final = "challenges.dns-01"
KEY: Final = f"{HERE}.command"

_PLAIN: Final = re.compile(r"(?!-)[a-z0-9_.-]+", re.ASCII | re.IGNORECASE)


class ExecProvider:
    """Lets a command change the zone; see ``provider.Provider``."""

    def __init__(self, settings: Dns01Settings) -> None:
        self._settings = settings

    def publish(self, record: TextRecord) -> None:
        """Run the command with ``present``."""
        self._run("present", record)

    def withdraw(self, record: TextRecord) -> None:
        """Run the command with ``clean-up``."""
        self._run("clean-up", record)

    def _run(self, action: str, record: TextRecord) -> None:
        for text in (record.name, record.zone):
            if not _PLAIN.fullmatch(text):
                raise ProviderNotContactedError(
                    f"{clean(text, MAX_SHOWN)!r} is no name that a command is given",
                    fix=f"correct the CNAME record that leads there, or {HERE}.zone",
                )
        name, *arguments = self._settings.command
        shown = f"{KEY} {clean(name, MAX_SHOWN)}"
        argv = (_executable(name, shown), *arguments, action, record.name, record.value)
        timeout = self._settings.command_timeout.total_seconds()
        begin = time.monotonic()
        try:
            with process.started(argv, self._environment(action, record)) as run:
                in_time = run.wait(Deadline.after(timeout))
        except (OSError, ValueError) as error:
            reason = clean(getattr(error, "strerror", None) or str(error))
            raise ProviderNotContactedError(
                f"{shown} cannot be run: {reason}",
                fix="it must be a program, or a script that is executable and begins with #! and an"
                " interpreter that exists",
            ) from error
        logger.debug(
            "hook action=%s name=%s status=%s seconds=%.3f",
            action, record.name, run.status, time.monotonic() - begin,
        )  # fmt: skip
        if not in_time:
            raise ChallengeError(
                _with_output(f"{shown} {action} had not ended after {timeout:g} s", run),
                fix="see why it hangs, or raise challenges.dns-01.command_timeout",
            )
        if run.status != 0:
            raise ChallengeError(
                _with_output(f"{shown} {action} failed ({run.ending})", run),
                fix="run it by hand as the user of gatecert and see what it says",
            )

    def _environment(self, action: str, record: TextRecord) -> dict[str, str]:
        return {
            **process.environment(),
            "GATECERT_ACTION": action,
            "GATECERT_NAME": record.name,
            "GATECERT_VALUE": record.value,
            "GATECERT_ZONE": record.zone,
            "GATECERT_TTL": str(int(self._settings.ttl.total_seconds())),
        }


def _executable(name: str, shown: str) -> str:
    found = process.executable(name)
    if found is None:
        raise ProviderNotContactedError(
            f"{shown} was not found",
            fix=f"give its absolute path; names are looked for in {process.PATH}",
        )
    return found


def _with_output(message: str, run: process.Run) -> str:
    return f"{message}: {run.output_tail}" if run.output else message
