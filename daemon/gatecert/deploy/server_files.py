"""Configuration files of servers that name files of another ACME client; read-only.

A server that was set up for another client goes on reading that client's files after gatecert has
adopted its certificates, and serves an old certificate after the next renewal.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert import regular_files
from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SERVERS: Final[Mapping[str, str]] = {
    "nginx": "nginx",
    "apache2": "Apache",
    "httpd": "Apache",
    "haproxy": "HAProxy",
    "caddy": "Caddy",
    "postfix": "Postfix",
    "dovecot": "Dovecot",
    "exim4": "Exim",
    "ocserv": "ocserv",
    "openvpn": "OpenVPN",
    "swanctl": "strongSwan",
    "strongswan.d": "strongSwan",
    "ipsec.d": "strongSwan",
    "lighttpd": "lighttpd",
    "prosody": "Prosody",
    "ejabberd": "ejabberd",
    "mosquitto": "Mosquitto",
    "stunnel": "stunnel",
    "turnserver.conf": "coturn",
    "ipsec.conf": "strongSwan",
    "vsftpd.conf": "vsftpd",
    "proftpd": "ProFTPD",
    "ldap": "OpenLDAP",
    "postgresql": "PostgreSQL",
    "mysql": "MySQL",
    "unbound": "Unbound",
    "grafana": "Grafana",
    "gitlab": "GitLab",
    "systemd/system": "a systemd unit",
}
"""What each directory or file below /etc belongs to."""

LARGEST: Final = 1 << 20  # bytes
MOST_FILES: Final = 5_000
DEEPEST: Final = 4
AVAILABLE: Final = "-available"  # Debian: sites that are not enabled; links lead to the others
_END: Final = rb"(?![A-Za-z0-9_./-])"


@dataclass(frozen=True, slots=True)
class Reference:
    """A line of a server's configuration.

    Attributes:
        server: The server's name.
        line: Its number, from 1.
        named: The file that it names.
        instead: The file of gatecert to name instead.
        directive: The first word of the line; empty if there is none.
    """

    server: str
    path: Path
    line: int
    named: Path
    instead: Path
    directive: str = ""

    @property
    def change(self) -> str:
        """The change to make, one line."""
        what = f"change {self.directive} to" if self.directive else "name instead"
        return f"in {clean(str(self.path))}:{self.line}, {what} {self.instead}"

    def __str__(self) -> str:
        return f"{self.server} still reads {clean(str(self.named))}: {self.change}"


def find_references(
    files: Mapping[Path, Path], etc: Path = Path("/etc"), servers: Mapping[str, str] = SERVERS
) -> tuple[Reference, ...]:
    """Return the lines that name one of the files.

    Args:
        files: The file of gatecert for each file of the other client.
        etc: Where the configurations are.
        servers: The name of the server for each directory or file in it.
    """
    patterns = {path: re.compile(re.escape(os.fsencode(path)) + _END) for path in files}
    if not patterns:
        return ()
    together = re.compile(b"|".join(re.escape(os.fsencode(path)) for path in files))
    found: list[Reference] = []
    seen: set[Path] = set()
    for name, server in servers.items():
        for path in _files(etc / name):
            data = _contents(path)
            if not together.search(data) or path.resolve() in seen:
                continue
            seen.add(path.resolve())
            for number, line in enumerate(data.splitlines(), 1):
                if line.lstrip().startswith((b"#", b";", b"//")):
                    continue
                found += [
                    Reference(server, path, number, named, files[named], _directive(line))
                    for named, pattern in patterns.items()
                    if pattern.search(line)
                ]
    return tuple(found)


def _files(top: Path) -> Iterator[Path]:
    """Yield a file, or the files in a directory, not through links to directories."""
    if top.is_file():
        yield top
        return
    count = 0
    for directory, folders, names in os.walk(top):
        depth = len(Path(directory).relative_to(top).parts)
        within = sorted(each for each in folders if not each.endswith(AVAILABLE))
        folders[:] = within if depth < DEEPEST else []
        for name in sorted(names):
            count += 1
            if count > MOST_FILES:
                return
            yield Path(directory, name)


def _contents(path: Path) -> bytes:
    """Return the contents of a regular file; empty if it cannot be read or is large."""
    try:
        return regular_files.read(path, LARGEST)
    except OSError:
        return b""


def _directive(line: bytes) -> str:
    """Return the first word, such as ``ssl_certificate`` or ``smtpd_tls_cert_file``."""
    word = re.match(rb"\s*([A-Za-z_][A-Za-z0-9_-]*)\s*[\s=:]", line)
    return word[1].decode("ascii") if word else ""


def first_words(references: Sequence[Reference]) -> str:
    """Return references as one line: the first two, and how many more there are."""
    more = len(references) - 2
    shown = "; ".join(map(str, references[:2]))
    return f"{shown}; and {more} more such lines" if more > 0 else shown
