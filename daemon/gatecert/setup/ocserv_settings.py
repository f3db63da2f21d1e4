"""ocserv: ``server-cert`` and ``server-key`` of ocserv.conf (docs/gateways/ocserv.md).

A section ``[vhost:NAME]`` has its own pair. Of several pairs, none can be replaced safely: they are
one for each kind of key.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from gatecert.setup.server_plan import NO_EDITS, Edit, ServerPlan, Wanted

FILE: Final = Path("/etc/ocserv/ocserv.conf")
CERTIFICATE, KEY = "server-cert", "server-key"
_SETTING: Final = re.compile(r"^\s*([a-z0-9-]+)\s*=\s*(.*?)\s*$")
_SECTION: Final = re.compile(r"^\s*\[\s*vhost\s*:\s*([^\]\s]+)\s*\]")


def plan(wanted: Wanted) -> ServerPlan:
    """Return what has to change in ocserv.conf."""
    lines = (f"{CERTIFICATE} = {wanted.fullchain}", f"{KEY} = {wanted.key}")
    text = wanted.read(FILE)
    port = _value(text or "", "tcp-port") or "443"
    host = _value(text or "", "listen-host")
    verify = f"{host if host not in {'', '0.0.0.0', '::'} else '127.0.0.1'}:{port}"  # noqa: S104
    by_hand, edits = "", NO_EDITS
    if text is None:
        by_hand = f"there is no {FILE}"
    else:
        by_hand, changed = _with_pair(text, wanted.hostname, lines)
        edits = (Edit(FILE, text, changed),) if changed != text else ()
    return ServerPlan(
        units=("ocserv.service",),
        install={"verify": [_bracketed(verify)]},
        key={"reuse": True},  # ocserv reads key and certificate one after the other
        edits=edits,
        shown={str(FILE): lines},
        by_hand=by_hand,
        tests=(("ocserv", "-t", "-c", str(FILE)),),
        reload=("occtl", "reload"),
        # ocserv reads the names of the files when it starts; SIGHUP reads their contents again.
        needs_restart=True,
        page="ocserv",
    )


def names(wanted: Wanted) -> list[str]:
    """Return the names in the configuration."""
    text = wanted.read(FILE) or ""
    return [match[1] for match in map(_SECTION.match, text.splitlines()) if match]


def _with_pair(text: str, hostname: str, pair: tuple[str, str]) -> tuple[str, str]:
    """Return why the pair cannot be put in, and the new text."""
    lines = text.splitlines(keepends=True)
    start, end = _section(lines, hostname)
    found: dict[str, list[int]] = {CERTIFICATE: [], KEY: []}
    for index in range(start, end):
        match = _SETTING.match(lines[index])
        if match and match[1] in found:
            found[match[1]].append(index)
    if max(map(len, found.values())) > 1:
        return f"{FILE} has several {CERTIFICATE} lines, one for each kind of key", text
    missing: list[str] = []
    for name, line in zip((CERTIFICATE, KEY), pair, strict=True):
        if found[name]:
            lines[found[name][0]] = f"{line}\n"
        else:
            missing.append(f"{line}\n")
    if missing:
        if end and not lines[end - 1].endswith("\n"):
            lines[end - 1] += "\n"
        lines[end:end] = missing
    return "", "".join(lines)


def _section(lines: list[str], hostname: str) -> tuple[int, int]:
    """Return the lines of the section of a name, or else of those before the first section."""
    starts = [
        (index, match[1]) for index, line in enumerate(lines) if (match := _SECTION.match(line))
    ]
    ends = [index for index, _ in starts[1:]] + [len(lines)]
    for (start, name), end in zip(starts, ends, strict=False):
        if name.lower() == hostname:
            return start + 1, end
    return 0, starts[0][0] if starts else len(lines)


def _value(text: str, name: str) -> str:
    """Return a value of the first section; empty if it is missing."""
    lines = text.splitlines(keepends=True)
    values = (_SETTING.match(line) for line in lines[: _section(lines, "")[1]])
    found = [match[2].strip('"') for match in values if match and match[1] == name]
    return found[-1] if found else ""


def _bracketed(address: str) -> str:
    """Return ``host:port`` with brackets around an IPv6 address."""
    host, _, port = address.rpartition(":")
    return f"[{host}]:{port}" if ":" in host else address
