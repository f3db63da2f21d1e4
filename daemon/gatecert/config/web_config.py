"""The web configuration of Prometheus exporters: TLS and passwords of a listener.

The file has the format of the exporter toolkit, so that one file serves the node_exporter and
gatecert. Its keys are those of https://prometheus.io/docs/prometheus/latest/configuration/https/;
a key that gatecert does not support is an error, since leaving it out could let more people in than
the operator wants. Relative paths start at the directory of the file.

No message repeats a password or its hash.
"""

from __future__ import annotations

import re
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from gatecert.config import source_file
from gatecert.config.configuration_finding import nearest
from gatecert.config.values import BadValueError, quoted, text
from gatecert.config.web_config_values import (
    IF_GIVEN,
    NO_CLIENTS,
    REQUIRED,
    VERSIONS,
    bcrypt_hash,
    client_auth_type,
    header_value,
    minimum_version,
    no_http2,
)
from gatecert.errors import ConfigurationError, Problem
from gatecert.model import WebAccess
from gatecert.regular_files import IrregularFileError
from gatecert.trusted_files import WeakFileError, read_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from gatecert.config.tree import Node

TLS: Final = "tls_server_config"
HTTP: Final = "http_server_config"
USERS: Final = "basic_auth_users"
TOP: Final = {TLS: "", HTTP: "", USERS: "", "rate_limit": "gatecert bounds connections itself"}
"""Known keys, each with the reason why it is not supported; empty if it is."""

AS_FILE: Final = "name a file instead"
GO_ONLY: Final = "the TLS library of gatecert chooses what is safe"
TLS_KEYS: Final = {
    "cert_file": "",
    "key_file": "",
    "client_auth_type": "",
    "client_ca_file": "",
    "min_version": "",
    "cert": AS_FILE,
    "key": AS_FILE,
    "client_ca": AS_FILE,
    "client_allowed_sans": "use a client CA of your own",
    "max_version": GO_ONLY,
    "cipher_suites": GO_ONLY,
    "prefer_server_cipher_suites": GO_ONLY,
    "curve_preferences": GO_ONLY,
}
HTTP_KEYS: Final = {"http2": "", "headers": ""}
HEADERS: Final = {
    "Strict-Transport-Security": "",
    "X-Frame-Options": "",
    "X-Content-Type-Options": "",
    "X-XSS-Protection": "",
    "Content-Security-Policy": "the status page sends its own",
}


USER: Final = re.compile(r"[^:\x00-\x1f\x7f]{1,255}")  # RFC 7617 section 2


def web_access(path: Path, users: Collection[int] | None = None) -> WebAccess:
    """Read a web configuration.

    The certificate and key need not exist yet: gatecert itself may write them.

    Args:
        path: The file.
        users: The users who may own it; None for root and this one.

    Raises:
        ConfigurationError: It cannot be used; contains every problem with its line.
    """
    file = source_file.parse(path, source_file.text(path, _content(path, users)))
    reader = _Reader(path, list(file.problems))
    access = reader.access(file.root) if file.root is not None else WebAccess()
    if reader.problems:
        raise ConfigurationError(sorted(reader.problems, key=_line))
    return access


def _content(path: Path, users: Collection[int] | None) -> bytes:
    """Return the content of a file that nobody else can change.

    Raises:
        ConfigurationError: It cannot be read, or somebody else can.
    """
    try:
        return read_secret(path, users)
    except WeakFileError as error:
        what = f"{error.weakness}, and it decides who may connect; {error.weakness.fix}"
        raise source_file.refusal(path, what, exposed=True) from error
    except FileNotFoundError as error:
        raise source_file.refusal(path, "does not exist; write it, or correct its name") from error
    except IrregularFileError as error:
        what = f"cannot be read: {error.strerror}; name a small text file"
        raise source_file.refusal(path, what) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        what = f"cannot be read: {reason}; let the user of gatecert read it"
        raise source_file.refusal(path, what) from error


def _line(problem: Problem) -> int:
    return int(problem.where.rpartition(":")[2])


class _Reader:
    """Reads the groups of a web configuration and records what is wrong with them.

    Attributes:
        problems: What is wrong, each with its line.
    """

    def __init__(self, path: Path, problems: list[Problem]) -> None:
        self.problems = problems
        self._path = path
        self._lines: dict[str, int] = {}  # of the groups

    def access(self, root: Node) -> WebAccess:
        """Return what the file says; what is wrong in it is left out."""
        self._lines = root.key_lines
        groups = dict(self._entries(root, "", TOP))
        tls = self._tls(groups[TLS]) if TLS in groups else {}
        client_auth = tls.get("client_auth_type", NO_CLIENTS)
        return WebAccess(
            certificate=tls.get("cert_file", ""),
            key=tls.get("key_file", ""),
            client_authorities=tls.get("client_ca_file", ""),
            require_client=client_auth == REQUIRED,
            minimum_version=tls.get("min_version", VERSIONS[0]),
            users=self._users(groups[USERS]) if USERS in groups else {},
            headers=self._http(groups[HTTP]) if HTTP in groups else {},
        )

    def _tls(self, group: Node) -> dict[str, str]:
        parsers = {"client_auth_type": client_auth_type, "min_version": minimum_version}
        values: dict[str, str] = {}
        written: dict[str, Node] = {}
        for key, node in self._entries(group, TLS, TLS_KEYS):
            written[key] = node
            parse = parsers.get(key, self._file)
            values |= self._parsed(key, node, TLS, parse)
        for key in ("cert_file", "key_file"):
            if key not in written:
                self._add(self._lines[TLS], TLS, f"{key} is missing; write the path of a PEM file")
        client_auth = values.get("client_auth_type", NO_CLIENTS)
        has_authority = "client_ca_file" in written
        if client_auth == NO_CLIENTS and has_authority:
            what = f"needs client_auth_type: {REQUIRED}, or {IF_GIVEN}"
            self._add(written["client_ca_file"].line, f"{TLS}.client_ca_file", what)
        if client_auth != NO_CLIENTS and not has_authority:
            what = f"client_ca_file is missing, which {client_auth} needs; write the path of the CA"
            self._add(self._lines[TLS], TLS, what)
        return values

    def _http(self, group: Node) -> dict[str, str]:
        headers: dict[str, str] = {}
        for key, node in self._entries(group, HTTP, HTTP_KEYS):
            place = f"{HTTP}.{key}"
            if key == "http2":
                self._parsed(key, node, HTTP, no_http2)
                continue
            for name, value in self._entries(node, place, HEADERS):
                headers |= self._parsed(name, value, place, partial(header_value, name))
        return headers

    def _users(self, group: Node) -> dict[str, str]:
        if not isinstance(group.value, dict):
            self._add(
                self._lines[USERS],
                USERS,
                "must contain names with bcrypt hashes, indented below it",
            )
            return {}
        users: dict[str, str] = {}
        for name, node in group.value.items():
            if USER.fullmatch(name) is None:
                what = "has a user with a colon or control character in the name; write another"
                self._add(node.line, USERS, what)
                continue
            users |= self._parsed(name, node, USERS, bcrypt_hash)
        if group.value and find_spec("bcrypt") is None:
            what = "passwords need the package bcrypt; run pip install 'gatecert[basic-auth]'"
            self._add(self._lines[USERS], USERS, what)
        return users

    def _entries(
        self, group: Node, place: str, known: dict[str, str]
    ) -> Iterator[tuple[str, Node]]:
        """Yield the supported keys of a group that have a value."""
        if group.value is None:
            return
        if not isinstance(group.value, dict):
            self._add(group.line, place, "must contain keys and values, indented below it")
            return
        for key, node in group.value.items():
            here = f"{place}.{quoted(key)[1:-1]}".removeprefix(".")
            line = group.key_lines[key]
            if key not in known:
                supported = [name for name, reason in known.items() if not reason]
                hint = nearest(key, supported, f"known keys: {', '.join(supported)}")
                self._add(line, here, f"unknown key; {hint}")
            elif known[key]:
                self._add(line, here, f"is not supported; leave it out: {known[key]}")
            elif node.value is not None:
                yield key, node

    def _parsed(
        self, key: str, node: Node, place: str, parse: Callable[[object], str]
    ) -> dict[str, str]:
        """Return a key with its value; nothing if the value is wrong."""
        try:
            return {key: parse(node.plain())}
        except BadValueError as error:
            self._add(node.line, f"{place}.{key}", str(error))
            return {}

    def _file(self, value: object) -> str:
        written = text(value)
        if written.startswith("~"):
            raise BadValueError(f"{quoted(written)}: ~ is not expanded; write the path in full")
        return str(self._path.absolute().parent / written)

    def _add(self, line: int, place: str, what: str) -> None:
        self.problems.append(Problem(f"{self._path}:{line}", place, what))
