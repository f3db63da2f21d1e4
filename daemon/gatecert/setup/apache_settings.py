"""Apache: the ``VirtualHost`` of the name, or one of its own, in Debian's layout.

A virtual host with TLS of that name gets the new paths. Otherwise a site of its own serves the same
directory as port 80 does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.setup.server_plan import NO_EDITS, Edit, ServerPlan, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE: Final = Path("/etc/apache2/apache2.conf")
ENABLED: Final = "/etc/apache2/sites-enabled/*.conf"
SITES: Final = Path("/etc/apache2/sites-available")
TLS_MODULE: Final = Path("/etc/apache2/mods-enabled/ssl.load")
CERTIFICATE, KEY, CHAIN = "SSLCertificateFile", "SSLCertificateKeyFile", "SSLCertificateChainFile"
_OPEN: Final = re.compile(r"^[ \t]*<VirtualHost\s+([^>]+)>", re.IGNORECASE | re.MULTILINE)
_CLOSE: Final = re.compile(r"^[ \t]*</VirtualHost>", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _VirtualHost:
    """A virtual host.

    Attributes:
        start: The first character of what is in it.
        end: The character behind that.
    """

    path: Path
    addresses: tuple[str, ...]
    text: str
    start: int
    end: int

    @property
    def names(self) -> list[str]:
        """The names that it answers for."""
        return [
            name.lower() for each in ("ServerName", "ServerAlias") for name in self.values(each)
        ]

    @property
    def ports(self) -> list[str]:
        """The ports of its addresses."""
        return [address.rpartition(":")[2] for address in self.addresses]

    @property
    def has_tls(self) -> bool:
        """Tell whether clients speak TLS to it."""
        return [value.lower() for value in self.values("SSLEngine")] == ["on"]

    def values(self, name: str) -> list[str]:
        """Return the values of a directive, without quotes."""
        return [word.strip('"') for match in self.matches(name) for word in match["values"].split()]

    def matches(self, name: str) -> list[re.Match[str]]:
        """Return the lines of a directive."""
        pattern = rf"^(?P<indent>[ \t]*){name}[ \t]+(?P<values>.*?)[ \t]*$"
        expression = re.compile(pattern, re.IGNORECASE | re.MULTILINE)
        return list(expression.finditer(self.text, self.start, self.end))


def plan(wanted: Wanted) -> ServerPlan:
    """Return what has to change in the sites of Apache."""
    hosts = list(_virtual_hosts(wanted))
    named = [each for each in hosts if each.has_tls and wanted.hostname in each.names]
    lines = (f"{CERTIFICATE} {wanted.fullchain}", f"{KEY} {wanted.key}")
    by_hand, edits, port = "", NO_EDITS, "443"
    commands: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    where = str(named[0].path) if named else str(SITES / f"{wanted.gateway}.conf")
    has_module = wanted.read(TLS_MODULE) is not None
    if wanted.read(FILE) is None:
        by_hand = f"there is no {FILE}"
    elif len(named) > 1:
        by_hand = f"several virtual hosts with TLS are named {wanted.hostname}"
    elif named:
        by_hand, edits = _into_host(named[0], lines)
        port = named[0].ports[0] if named[0].ports[0].isdecimal() else "443"
    else:
        by_hand, edits = _own_host(wanted, hosts)
        site = Path(where).stem
        if not by_hand and not has_module:
            commands += ((("a2enmod", "--quiet", "ssl"), ("a2dismod", "--quiet", "ssl")),)
        if not by_hand:
            commands += ((("a2ensite", "--quiet", site), ("a2dissite", "--quiet", site)),)
    return ServerPlan(
        units=("apache2.service",),
        install={"verify": [f"127.0.0.1:{port}"]},
        edits=edits,
        commands=commands,
        shown={
            where: (f"ServerName {wanted.hostname}", "SSLEngine on", *lines) if by_hand else lines
        },
        by_hand=by_hand,
        tests=(("apachectl", "configtest"),),
        reload=("apachectl", "graceful"),
        needs_restart=bool(commands) and not has_module,
        page="apache",
    )


def names(wanted: Wanted) -> list[str]:
    """Return the names of all virtual hosts."""
    found = [name for host in _virtual_hosts(wanted) for name in host.names]
    return [name for name in found if re.fullmatch(r"[\w-]+(\.[\w-]+)+", name)]


def webroots(wanted: Wanted) -> list[str]:
    """Return the directories that may be served for a name on port 80, the likeliest first."""
    hosts = [each for each in _virtual_hosts(wanted) if "443" not in each.ports]
    hosts.sort(key=lambda host: wanted.hostname not in host.names)
    return [root for host in hosts for root in host.values("DocumentRoot")]


def _virtual_hosts(wanted: Wanted) -> Iterator[_VirtualHost]:
    """Return the virtual hosts of the enabled sites."""
    for path in wanted.find(ENABLED):
        text = wanted.read(path) or ""
        for match in _OPEN.finditer(text):
            close = _CLOSE.search(text, match.end())
            end = close.start() if close else len(text)
            yield _VirtualHost(path, tuple(match[1].split()), text, match.end(), end)


def _into_host(host: _VirtualHost, lines: tuple[str, str]) -> tuple[str, tuple[Edit, ...]]:
    """Return why a virtual host cannot be changed safely, and the change."""
    pairs = [host.matches(name) for name in (CERTIFICATE, KEY)]
    if max(map(len, pairs)) > 1:
        return "the virtual host has several certificates, one for each kind of key", ()
    if not all(pairs):
        return f"the virtual host in {host.path} has no {CERTIFICATE} and {KEY}", ()
    changes = [
        (match.start(), match.end(), match["indent"] + line)
        for (match,), line in zip(pairs, lines, strict=True)
    ]
    # The chain is in the certificate's file; a line with the old one would be sent as well.
    changes += [
        (match.start(), match.end(), f"{match['indent']}# {match[0].strip()}")
        for match in host.matches(CHAIN)
    ]
    changed = host.text
    for start, end, new in sorted(changes, reverse=True):
        if changed[start:end].split() != new.split():
            changed = changed[:start] + new + changed[end:]
    return "", (Edit(host.path, host.text, changed),) if changed != host.text else ()


def _own_host(wanted: Wanted, hosts: list[_VirtualHost]) -> tuple[str, tuple[Edit, ...]]:
    """Return why no site can be added safely, and the new file."""
    path = SITES / f"{wanted.gateway}.conf"
    plain = [each for each in hosts if "80" in each.ports]
    plain.sort(key=lambda host: wanted.hostname not in host.names)
    directories = plain[0].values("DocumentRoot") if plain else []
    if not directories:
        return f"no virtual host with TLS is named {wanted.hostname}", ()
    if any(plain[0].values(name) for name in ("ProxyPass", "Redirect", "RewriteRule")):
        return (
            (
                f"no virtual host with TLS is named {wanted.hostname}, and the one on port 80 is "
                "no plain directory"
            ),
            (),
        )
    if wanted.read(path) is not None:
        return f"{path} exists already", ()
    text = "\n".join(
        [
            f"# Added by gatecert init for the gateway {wanted.gateway}.",
            "<VirtualHost *:443>",
            f"    ServerName {wanted.hostname}",
            f"    DocumentRoot {directories[0]}",
            "    SSLEngine on",
            f"    {CERTIFICATE} {wanted.fullchain}",
            f"    {KEY} {wanted.key}",
            "</VirtualHost>",
            "",
        ]
    )
    return "", (Edit(path, None, text),)
