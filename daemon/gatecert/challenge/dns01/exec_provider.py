"""DNS changes by a command of the operator.

The command is run as argv, never through a shell::

    COMMAND… present  _acme-challenge.vpn.example.com  VALUE
    COMMAND… clean-up _acme-challenge.vpn.example.com  VALUE

``present`` adds one TXT record and does not change others at the same name; ``clean-up`` removes
exactly that record. Both may be repeated. Exit status 0 means success; any other is a failure, and
the end of the command's output becomes part of the error. Besides ``PATH``, ``HOME`` and ``LANG``
(``gatecert.process``) its environment contains::

    GATECERT_ACTION   present or clean-up
    GATECERT_NAME     the name of the record: A-labels, no final dot, aliases followed
    GATECERT_VALUE    the value of the record
    GATECERT_ZONE     the zone of the name
    GATECERT_TTL      time to live, in seconds

No argument contains data from the authority: the name comes from the configuration and the DNS, the
value is a hash. The target of an alias is chosen by the owner of another zone. A name with other
characters than letters, digits, hyphens, underscores and dots, or with a leading hyphen, is
therefore refused: a command could mistake it for an option.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Final

from gatecert import process
from gatecert.deadline import Deadline
from gatecert.errors import ChallengeError, ProviderNotContactedError, clean
from gatecert.trusted_files import WeakFileError

if TYPE_CHECKING:
    from gatecert.config.schema.challenge import Dns01Settings
    from gatecert.model import TextRecord

logger = logging.getLogger(__name__)

MAX_SHOWN: Final = 200  # characters of a command shown
HERE: Final = "challenges.dns-01"
KEY: Final = f"{HERE}.command"

_PLAIN: Final = re.compile(r"(?!-)[a-z0-9_.-]+", re.ASCII | re.IGNORECASE)


class ExecProvider:
    """Changes the zone by a command; see ``provider.Provider``."""

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
                    f"{clean(text, MAX_SHOWN)!r} is not a name that can be passed to a command",
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
        except WeakFileError as error:
            raise ProviderNotContactedError(
                f"{shown} is not run, because another user may change it: {clean(error.what)}",
                fix=error.weakness.fix,
            ) from error
        except (OSError, ValueError) as error:
            reason = clean(getattr(error, "strerror", None) or str(error))
            raise ProviderNotContactedError(
                f"{shown} cannot be run: {reason}",
                fix="it must be a program, or an executable script that begins with #! and an"
                " existing interpreter",
            ) from error
        logger.debug(
            "hook action=%s name=%s status=%s seconds=%.3f",
            action, record.name, run.status, time.monotonic() - begin,
        )  # fmt: skip
        if not in_time:
            raise ChallengeError(
                _with_output(f"{shown} {action} did not end within {timeout:g} s", run),
                fix="find out why it hangs, or raise challenges.dns-01.command_timeout",
            )
        if run.status != 0:
            raise ChallengeError(
                _with_output(f"{shown} {action} failed ({run.ending})", run),
                fix="run it by hand as gatecert's user and read its output",
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
            fix=f"give its absolute path; names are searched in {process.PATH}",
        )
    return found


def _with_output(message: str, run: process.Run) -> str:
    return f"{message}: {run.output_tail}" if run.output else message
