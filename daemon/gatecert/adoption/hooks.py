"""Translation of shell hooks into a command without a shell.

Only a command whose meaning is certain is translated: one known program with plain arguments. A
script may depend on the variables or the directory of its client, so it is shown instead.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

Find: TypeAlias = Callable[[str], str | None]

SHELL: Final = frozenset("|&;<>()$`\\*?[]{}~#!%\n\r\0")
MANAGERS: Final = frozenset({"systemctl", "service", "rc-service", "invoke-rc.d"})
PROGRAMS: Final = MANAGERS | {
    *("nginx", "apachectl", "apache2ctl", "httpd", "haproxy", "caddy", "postfix", "dovecot"),
    *("doveadm", "occtl", "lighttpd", "prosodyctl", "ejabberdctl", "swanctl", "ipsec", "exim4"),
}
ACTIONS: Final = {"reload", "restart", "reload-or-restart", "try-reload-or-restart", "force-reload"}
SEARCH_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_UNIT: Final = re.compile(r"(?!-)[A-Za-z0-9:_.\\@-]{1,240}")


def find_program(name: str) -> str | None:
    """Return the path of a program, whatever PATH is; None if it does not exist."""
    return shutil.which(name, path=SEARCH_PATH)


def as_arguments(command: str, find: Find = find_program) -> tuple[str, ...]:
    """Return a hook as a list of arguments; empty if it cannot be translated safely.

    Args:
        command: Shell text.
        find: Finds programs.
    """
    if not SHELL.isdisjoint(command.strip()):
        return ()
    try:
        words = shlex.split(command)
    except ValueError:
        return ()
    if not words or "=" in words[0] or Path(words[0]).name not in PROGRAMS:
        return ()
    program = find(words[0])
    return (program, *words[1:]) if program is not None else ()


def unit_of(arguments: tuple[str, ...]) -> str:
    """Return the systemd unit that a command reloads; empty if it is no such command."""
    if not arguments or Path(arguments[0]).name not in MANAGERS:
        return ""
    rest = [word for word in arguments[1:] if not word.startswith("-")]
    if len(rest) != 2:  # noqa: PLR2004 - an action and a name
        return ""
    action, name = rest if rest[0] in ACTIONS else (rest[1], rest[0])
    if action not in ACTIONS or not _UNIT.fullmatch(name):
        return ""
    return name if "." in name else f"{name}.service"
