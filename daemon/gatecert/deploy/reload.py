"""The reload command, which makes the gateway read its files again.

It runs as argv, never through a shell, in ``/``, with nothing on standard input, and in a session
of its own. It inherits nothing of gatecert's environment (no secrets, no ``NOTIFY_SOCKET``, no
``CREDENTIALS_DIRECTORY``) and no descriptor; what it gets is::

    PATH               /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    HOME               the home directory of the user gatecert acts as
    LANG               C.UTF-8
    GATECERT_GATEWAY   the gateway's name in the configuration
    GATECERT_HOSTNAME  its hostname, as A-labels
    GATECERT_LIVE      absolute path of live/, with privkey.pem, fullchain.pem …
    GATECERT_VERSION   id of the version that live/ leads to

How it is kept from hanging or flooding gatecert: ``gatecert.process``.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatecert import process
from gatecert.deadline import Deadline
from gatecert.errors import ReloadError, clean

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event

    from gatecert.model import InstallPlan

logger = logging.getLogger(__name__)

LONGEST_NAME: Final = 200  # characters of a command shown


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """How a reload command that succeeded ran.

    Attributes:
        output: The end of what it printed, on one line, without control characters.
    """

    seconds: float
    output: str


def reload(  # noqa: PLR0913 - the command is told all of it
    plan: InstallPlan,
    *,
    gateway: str,
    hostname: str,
    live: Path,
    version: str,
    cancelled: Event | None = None,
) -> ReloadResult:
    """Run the reload command of a gateway; safe from any thread, many at a time.

    Args:
        plan: Has the command and its timeout.
        gateway: The gateway's name.
        hostname: Its hostname, as A-labels.
        live: Path of the ``live`` link.
        version: Id of the version that ``live`` leads to.
        cancelled: Set when gatecert is stopping; the command is then ended as if out of time.

    Raises:
        ReloadError: It could not be run, failed, was killed, or took too long.
    """
    if not plan.reload:
        return ReloadResult(0.0, "")
    begin = time.monotonic()
    command = clean(plan.reload[0], LONGEST_NAME)
    timeout = plan.reload_timeout.total_seconds()
    argv = (_executable(plan.reload[0], command), *plan.reload[1:])
    try:
        with process.started(argv, environment(gateway, hostname, live, version)) as run:
            in_time = run.wait(Deadline.after(timeout, cancelled))
    except (OSError, ValueError) as error:
        reason = clean(getattr(error, "strerror", None) or str(error))
        raise ReloadError(
            f"the reload command {command} cannot be run: {reason}",
            fix="install.reload must name a program, or a script that is executable and begins"
            " with #! and an interpreter that exists",
        ) from error
    seconds = time.monotonic() - begin
    logger.debug(
        "reload gateway=%s command=%s status=%s seconds=%.3f output=%r",
        gateway,
        command,
        run.status,
        seconds,
        run.output,
    )
    if not in_time:
        raise _too_slow(run, command, timeout)
    if run.status != 0:
        raise _failed(run, command)
    return ReloadResult(seconds, run.output)


def _executable(name: str, command: str) -> str:
    """Absolute path of a program.

    Raises:
        ReloadError: There is none of that name.
    """
    found = process.executable(name)
    if found is None:
        raise ReloadError(
            f"the reload command {command} was not found",
            fix=f"give its absolute path in install.reload; names are looked for in {process.PATH}",
        )
    return found


def environment(gateway: str, hostname: str, live: Path, version: str) -> dict[str, str]:
    """What the commands of a gateway get; the module's docstring documents it."""
    return {
        **process.environment(),
        "GATECERT_GATEWAY": gateway,
        "GATECERT_HOSTNAME": hostname,
        "GATECERT_LIVE": str(live),
        "GATECERT_VERSION": version,
    }


def _too_slow(run: process.Run, command: str, timeout: float) -> ReloadError:
    ending = "was killed" if run.status is not None else "could not even be killed"
    return ReloadError(
        f"the reload command {command} had not ended after {timeout:g} s and {ending}",
        output=run.output_tail,
        fix="see why it hangs, or raise install.reload_timeout",
        ran=True,
    )


def _failed(run: process.Run, command: str) -> ReloadError:
    return ReloadError(
        f"the reload command {command} failed ({run.ending})",
        output=run.output_tail,
        fix="run it by hand as the user of gatecert and see what it says",
        ran=True,
    )
