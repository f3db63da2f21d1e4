"""The reload command, which makes the server read its files again.

The command runs as argv, never through a shell, in ``/``, with empty standard input, in a session
of its own. It inherits no descriptor and nothing of gatecert's environment (no secrets, no
``NOTIFY_SOCKET``, no ``CREDENTIALS_DIRECTORY``). Its environment is::

    PATH               /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    HOME               the home directory of the user gatecert acts as
    LANG               C.UTF-8
    GATECERT_GATEWAY   the gateway's name in the configuration
    GATECERT_HOSTNAME  its hostname, as A-labels
    GATECERT_LIVE      absolute path of live/, with privkey.pem, fullchain.pem …
    GATECERT_VERSION   id of the version that live/ leads to

``gatecert.process`` bounds its time and its output.
"""

from __future__ import annotations

import logging
import os
import re
import time
from typing import TYPE_CHECKING, Final

from gatecert import container, process
from gatecert.deadline import Deadline
from gatecert.errors import ReloadError, clean
from gatecert.trusted_files import WeakFileError

if TYPE_CHECKING:
    from pathlib import Path
    from threading import Event

    from gatecert.model import InstallPlan

logger = logging.getLogger(__name__)

# systemctl without a rule of polkit, sudo in the sandbox or without a password, kill, nginx -s
_MAY_NOT: Final = re.compile(
    r"access denied|authentication (?:is )?required|no new privileges|password is required"
    r"|terminal is required|not permitted|permission denied",
    re.IGNORECASE,
)
LONGEST_NAME: Final = 200  # characters of a command shown


def reload(  # noqa: PLR0913 - each is a variable of the command's environment
    plan: InstallPlan,
    *,
    gateway: str,
    hostname: str,
    live: Path,
    version: str,
    cancelled: Event | None = None,
    grace: float = process.GRACE,
) -> float:
    """Run the reload command of a gateway, if it has one; thread-safe.

    Args:
        plan: The command and its timeout.
        gateway: The gateway's name.
        hostname: Its hostname, as A-labels.
        live: Path of the ``live`` link.
        version: Id of the version that ``live`` leads to.
        cancelled: Set when gatecert stops; the command is then killed.
        grace: Seconds between the signals that end a command that is too slow.

    Returns:
        How long the command took, in seconds.

    Raises:
        ReloadError: The command cannot be run, failed, was killed, or took too long.
    """
    if not plan.reload:
        return 0.0
    begin = time.monotonic()
    command = clean(plan.reload[0], LONGEST_NAME)
    timeout = plan.reload_timeout.total_seconds()
    argv = (_executable(plan.reload[0], command), *plan.reload[1:])
    try:
        with process.started(
            argv, environment(gateway, hostname, live, version), grace=grace
        ) as run:
            in_time = run.wait(Deadline.after(timeout, cancelled))
    except WeakFileError as error:
        raise ReloadError(
            f"the reload command {command} is not run, because another user may change it:"
            f" {clean(error.what)}",
            fix=error.weakness.fix,
        ) from error
    except (OSError, ValueError) as error:
        reason = clean(getattr(error, "strerror", None) or str(error))
        raise ReloadError(
            f"the reload command {command} cannot be run: {reason}",
            fix="set install.reload to a program, or to an executable script whose #! line names"
            " an interpreter that exists",
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
        raise _failed(run, command, gateway)
    return seconds


def _executable(name: str, command: str) -> str:
    """Return the absolute path of a program.

    Raises:
        ReloadError: No program of that name exists.
    """
    found = process.executable(name)
    if found is None:
        raise ReloadError(
            f"the reload command {command} was not found",
            fix=f"set install.reload to its absolute path; PATH is {process.PATH}",
        )
    return found


def environment(gateway: str, hostname: str, live: Path, version: str) -> dict[str, str]:
    """Return the environment of a gateway's commands; the module documents it."""
    return {
        **process.environment(),
        "GATECERT_GATEWAY": gateway,
        "GATECERT_HOSTNAME": hostname,
        "GATECERT_LIVE": str(live),
        "GATECERT_VERSION": version,
    }


def _too_slow(run: process.Run, command: str, timeout: float) -> ReloadError:
    ending = "was killed" if run.status is not None else "could not be killed"
    return ReloadError(
        f"the reload command {command} did not end within {timeout:g} s and {ending}",
        output=run.output_tail,
        fix="find out why it hangs, or raise install.reload_timeout",
        ran=True,
    )


def _failed(run: process.Run, command: str, gateway: str) -> ReloadError:
    fix = "run the command by hand as the user that gatecert runs as"
    if os.geteuid() != 0 and _MAY_NOT.search(run.output):
        fix = container.fix_for(
            host="this user may not run it: leave install.reload out, and let systemd reload the "
            f"server by gatecert-reload@{gateway}.path (docs/systemd.md)",
            container="this user may not run it: let the gateway's container watch its volume "
            "(docs/container.md)",
        )
    return ReloadError(
        f"the reload command {command} failed ({run.ending})",
        output=run.output_tail,
        fix=fix,
        ran=True,
    )
