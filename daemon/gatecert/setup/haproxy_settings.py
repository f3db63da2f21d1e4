"""HAProxy: ``crt`` of a ``bind`` line, a file with certificate and key (docs/gateways/haproxy.md).

A file that has a certificate for the same name, or is missing, is replaced on the line. Any other
``crt`` gets one more beside it; HAProxy chooses by the name that the client asks for. Without a
``bind`` line with TLS there is nothing that could be extended safely.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.setup.server_plan import CHALLENGES, FORWARDED, NO_EDITS, Edit, ServerPlan, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE: Final = Path("/etc/haproxy/haproxy.cfg")
COPIES: Final = Path("/etc/haproxy/gatecert")
BACKEND: Final = "gatecert-http-01"
_SECTION: Final = re.compile(
    r"^(global|defaults|frontend|listen|backend|peers|resolvers|userlist|cache|program|mailers"
    r"|http-errors|ring|log-forward|fcgi-app|crt-store|traces)\b\s*(\S*)"
)
_BIND: Final = re.compile(r"^(\s+bind\s+)(\S+)(.*)$")
_CRT: Final = re.compile(r"(\s)(crt)(\s+)(\S+)")


@dataclass(frozen=True, slots=True)
class _Bind:
    """A ``bind`` line.

    Attributes:
        index: Its index among the lines.
        section: The index of the line that starts its section.
    """

    index: int
    section: int
    address: str
    options: str

    @property
    def is_tls(self) -> bool:
        """Tell whether clients speak TLS here."""
        return " ssl" in f" {self.options} ".replace("\t", " ")

    @property
    def port(self) -> str:
        """The port, or what is written in its place."""
        return self.address.split(",")[0].rpartition(":")[2]


def plan(wanted: Wanted) -> ServerPlan:
    """Return what has to change in haproxy.cfg."""
    text = wanted.read(FILE)
    copy = COPIES / f"{wanted.gateway}.pem"
    by_hand, edits, port = "", NO_EDITS, "443"
    lines: tuple[str, ...] = (f"bind :443 ssl crt {copy}",)
    if text is None:
        by_hand = f"there is no {FILE}"
    else:
        with_tls = [each for each in _binds(text) if each.is_tls]
        chosen = [each for each in with_tls if each.port == "443"] or with_tls
        if not chosen:
            by_hand = f"{FILE} has no bind line with TLS"
        elif len(chosen) > 1:
            by_hand = f"{FILE} has several bind lines with TLS"
        elif not chosen[0].port.isdecimal() or not _CRT.search(chosen[0].options):
            by_hand = f"the bind line with TLS in {FILE} is not one with a port and crt"
        else:
            port = chosen[0].port
            changed = _with_copy(wanted, text, chosen[0], copy)
            edits = (Edit(FILE, text, changed),) if changed != text else ()
            lines = tuple(Edit(FILE, text, changed).changed_lines()) or lines
    return ServerPlan(
        units=("haproxy.service",),
        install={
            "copy_to": [{"path": str(copy), "contents": "combined"}],
            "verify": [f"127.0.0.1:{port}"],
        },
        edits=edits,
        shown={str(FILE): lines},
        by_hand=by_hand,
        tests=(("haproxy", "-c", "-q", "-f", str(FILE)),),
        reload=("systemctl", "reload", "haproxy"),
        copies=COPIES,
        page="haproxy",
    )


def names(wanted: Wanted) -> list[str]:
    """Return the names that rules compare the requested host with."""
    text = wanted.read(FILE) or ""
    return re.findall(
        r"(?:hdr\(host\)|req\.ssl_sni|ssl_fc_sni)\s+(?:-i\s+)?([\w-]+(?:\.[\w-]+)+)", text
    )


def forwarding(wanted: Wanted) -> Edit | None:
    """Return the change that forwards http-01 validations to gatecert; None if it is not safe.

    It needs a section that listens on port 80 and speaks HTTP, without ``redirect`` lines, which
    come before any choice of a backend. Rules of ``http-request`` are ended by ``allow``.
    """
    text = wanted.read(FILE)
    if text is None:
        return None
    binds = [each for each in _binds(text) if each.port == "80" and not each.is_tls]
    lines = text.splitlines(keepends=True)
    if len(binds) != 1 or not _speaks_http(lines, binds[0].section):
        return None
    start, end = binds[0].section + 1, _end(lines, binds[0].section)
    if any(line.split()[:1] == ["redirect"] for line in lines[start:end]):
        return None
    if BACKEND in text:
        return Edit(FILE, text, text)
    condition = f"if {{ path_beg {CHALLENGES} }}"
    backend = f"\nbackend {BACKEND}\n    mode http\n    server gatecert {FORWARDED}\n"
    # From the last one, so that the lines before it keep their numbers.
    at_backend = _first(lines, start, end, "use_backend", "default_backend", "server")
    lines.insert(at_backend, f"    use_backend {BACKEND} {condition}\n")
    at_request = _first(lines, start, at_backend, "http-request")
    if at_request < at_backend:
        lines.insert(at_request, f"    http-request allow {condition}\n")
    changed = "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
    return Edit(FILE, text, changed + backend)


def _binds(text: str) -> Iterator[_Bind]:
    section = 0
    for index, line in enumerate(text.splitlines()):
        if _SECTION.match(line):
            section = index
        elif match := _BIND.match(line):
            yield _Bind(index, section, match[2], match[3].partition("#")[0])


def _with_copy(wanted: Wanted, text: str, bind: _Bind, copy: Path) -> str:
    """Return the text with one more certificate at a bind line, or another one for the name."""
    lines = text.splitlines(keepends=True)
    line = lines[bind.index]
    if str(copy) in line.split():
        return text
    found = list(_CRT.finditer(line))
    for each in found:
        if wanted.covers(Path(each[4])):
            lines[bind.index] = f"{line[: each.start(4)]}{copy}{line[each.end(4) :]}"
            return "".join(lines)
    last = found[-1]
    lines[bind.index] = f"{line[: last.end()]} crt {copy}{line[last.end() :]}"
    return "".join(lines)


def _speaks_http(lines: list[str], section: int) -> bool:
    """Tell whether a section is in HTTP mode, by itself or by the defaults before it."""
    return (_mode(lines, section) or _mode(lines, _defaults_before(lines, section))) == "http"


def _defaults_before(lines: list[str], section: int) -> int:
    found = [index for index in range(section) if lines[index].startswith("defaults")]
    return found[-1] if found else len(lines)


def _mode(lines: list[str], section: int) -> str:
    """Return the ``mode`` of a section; empty if it has none."""
    for line in lines[section + 1 :]:
        if _SECTION.match(line):
            break
        words = line.split()
        if words[:1] == ["mode"] and len(words) > 1:
            return words[1]
    return ""


def _end(lines: list[str], section: int) -> int:
    """Return the line behind a section."""
    found = (index for index in range(section + 1, len(lines)) if _SECTION.match(lines[index]))
    return next(found, len(lines))


def _first(lines: list[str], start: int, end: int, *words: str) -> int:
    """Return the first line that begins with one of some words, or the end of what is written."""
    for index in range(start, end):
        if lines[index].split()[:1] and lines[index].split()[0] in words:
            return index
    while end > start and not lines[end - 1].strip():
        end -= 1
    return end
