"""nginx: the ``server`` block of the name, or one of its own (docs/gateways/nginx.md).

A block of the name that has a certificate gets the new paths. A block of the name without TLS gets
``listen 443 ssl`` in addition, as certbot does it, unless it only redirects. Without a block of the
name, a file in conf.d serves the same directory as port 80 does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.setup.host import HTTP, HTTPS
from gatecert.setup.nginx_syntax import Directive, NginxSyntaxError, parse_files
from gatecert.setup.server_plan import (
    CHALLENGES,
    FORWARDED,
    NO_EDITS,
    Edit,
    ServerPlan,
    Wanted,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

FILE: Final = Path("/etc/nginx/nginx.conf")
SNIPPETS: Final = Path("/etc/nginx/conf.d")
CERTIFICATE, KEY = "ssl_certificate", "ssl_certificate_key"
ANY_ADDRESS: Final = frozenset({"", "*", "0.0.0.0", "[::]"})  # noqa: S104 - compared only
REDIRECTS: Final = ("return", "rewrite")
_WORD: Final = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class _Listen:
    """A ``listen`` directive."""

    address: str
    port: int
    is_tls: bool


def plan(wanted: Wanted) -> ServerPlan:
    """Return what has to change in the files of nginx."""
    lines: tuple[str, ...] = (f"{CERTIFICATE}     {wanted.fullchain};", f"{KEY} {wanted.key};")
    port, where, by_hand, edits = HTTPS, str(FILE), "", NO_EDITS
    try:
        root = parse_files(FILE, wanted.read, wanted.find)
        blocks = _servers(root)
        named = [each for each in blocks if wanted.hostname in _names(each)]
        with_tls = [each for each in named if any(one.is_tls for one in _listens(each))]
        if with_tls or named:
            chosen = (with_tls or named)[0]
            where = str(chosen.path)
            by_hand, edits = _into_block(wanted, chosen, is_tls=bool(with_tls))
            port = next((each.port for each in _listens(chosen) if each.is_tls), HTTPS)
            if len(with_tls) > 1:
                by_hand, edits = f"several server blocks with TLS are named {wanted.hostname}", ()
        else:
            where = str(SNIPPETS / f"{wanted.gateway}.conf")
            by_hand, edits = _own_block(wanted, root, blocks)
    except NginxSyntaxError as error:
        by_hand = str(error)
    if by_hand:
        lines = (f"server_name {wanted.hostname};", f"listen {port} ssl;", *lines)
    return ServerPlan(
        units=("nginx.service",),
        install={"verify": [f"127.0.0.1:{port}"]},
        edits=edits,
        shown={where: lines},
        by_hand=by_hand,
        tests=(("nginx", "-t"),),
        reload=("nginx", "-s", "reload"),
        page="nginx",
    )


def names(wanted: Wanted) -> list[str]:
    """Return the names of all servers."""
    try:
        blocks = _servers(parse_files(FILE, wanted.read, wanted.find))
    except NginxSyntaxError:
        return []
    found = [name for block in blocks for name in _names(block)]
    return [name for name in found if "." in name and _WORD.fullmatch(name)]


def webroots(wanted: Wanted) -> list[str]:
    """Return the directories that may be served for a name on port 80, the likeliest first."""
    try:
        blocks = _servers(parse_files(FILE, wanted.read, wanted.find))
    except NginxSyntaxError:
        return []
    blocks.sort(key=lambda block: wanted.hostname not in _names(block))
    return [root for block in blocks if (root := block.value("root"))]


def forwarding(wanted: Wanted) -> Edit | None:
    """Return the change that forwards http-01 validations to gatecert; None if it is not safe.

    It belongs into the block that answers on port 80. If that block redirects everything, a CA
    follows it, so it belongs into the block with TLS.
    """
    try:
        blocks = _servers(parse_files(FILE, wanted.read, wanted.find))
    except NginxSyntaxError:
        return None
    named = [each for each in blocks if wanted.hostname in _names(each)]
    plain = [each for each in blocks if any(one.port == HTTP for one in _listens(each))]
    default = [
        each for each in plain if any("default_server" in one.values for one in each.find("listen"))
    ]
    answering = [*(each for each in plain if each in named), *default, *plain][:1]
    if answering and answering[0].find(*REDIRECTS):
        answering = [each for each in named if any(one.is_tls for one in _listens(each))]
    if len(answering) != 1 or answering[0].find(*REDIRECTS):
        return None
    block = answering[0]
    text = wanted.read(block.path) or ""
    if any(each.values[-1:] == [CHALLENGES] for each in block.find("location")):
        return Edit(block.path, text, text)
    indent = "    " + _indentation(text, block.start)
    location = f"location ^~ {CHALLENGES} {{ proxy_pass http://{FORWARDED}; }}"
    location += _break(text, block.inner, indent)
    changed = f"{text[: block.inner]}\n{indent}{location}{text[block.inner :]}"
    return Edit(block.path, text, changed)


def _servers(root: Directive) -> list[Directive]:
    """Return the server blocks for HTTP."""
    return [server for http in root.blocks("http") for server in http.blocks("server")]


def _names(block: Directive) -> list[str]:
    return [name.lower() for each in block.find("server_name") for name in each.values]


def _listens(block: Directive) -> list[_Listen]:
    found = []
    for each in block.find("listen"):
        address, _, port = each.values[0].rpartition(":") if each.values else ("", "", "")
        if not port.isdecimal():
            address, port = each.values[0], "80"
        found.append(_Listen(address, int(port), "ssl" in each.values))
    return found


def _into_block(wanted: Wanted, block: Directive, *, is_tls: bool) -> tuple[str, tuple[Edit, ...]]:
    """Return why a block cannot be changed safely, and the change."""
    text = wanted.read(block.path) or ""
    pairs = [block.find(name) for name in (CERTIFICATE, KEY)]
    if max(map(len, pairs)) > 1:
        return "the server block has several certificates, one for each kind of key", ()
    if any(each.path != block.path for pair in pairs for each in pair):
        return f"{CERTIFICATE} of the server block stands in a file that others include too", ()
    if not is_tls and block.find(*REDIRECTS):
        return f"the server block of {wanted.hostname} only redirects", ()
    changes: list[tuple[int, int, str]] = []
    missing = []
    for pair, name, path in zip(
        pairs, (CERTIFICATE, KEY), (wanted.fullchain, wanted.key), strict=True
    ):
        if pair:
            changes.append((pair[0].start, pair[0].end, f"{name} {path};"))
        else:
            missing.append(f"{name} {path};")
    if not is_tls:
        missing[:0] = _tls_listens(block)
    if missing:
        indent = "    " + _indentation(text, block.start)
        inserted = "".join(f"\n{indent}{line}" for line in missing)
        changes.append((block.inner, block.inner, inserted + _break(text, block.inner, indent)))
    changed = text
    for start, end, new in sorted(changes, reverse=True):
        if text[start:end].split() != new.split() or start == end:
            changed = changed[:start] + new + changed[end:]
    return "", (Edit(block.path, text, changed),) if changed != text else ()


def _tls_listens(block: Directive) -> list[str]:
    """Return the ``listen`` lines with TLS for a block without it."""
    lines = ["listen 443 ssl;"]
    if any(each.address == "[::]" for each in _listens(block)):
        lines.append("listen [::]:443 ssl;")
    return lines


def _own_block(
    wanted: Wanted, root: Directive, blocks: Sequence[Directive]
) -> tuple[str, tuple[Edit, ...]]:
    """Return why no file can be added safely, and the new file."""
    patterns = [each.values[0] for http in root.blocks("http") for each in http.find("include")]
    if not any(Path(FILE.parent, pattern).parent == SNIPPETS for pattern in patterns):
        return f"{FILE} does not include {SNIPPETS}/*.conf", ()
    listens = [each for block in blocks for each in _listens(block)]
    if any(each.port == HTTPS and each.address not in ANY_ADDRESS for each in listens):
        return "other servers listen on certain addresses only", ()
    plain = [
        block
        for block in blocks
        if any(each.port == HTTP and not each.is_tls for each in _listens(block))
    ]
    default = [
        block
        for block in plain
        if any("default_server" in each.values for each in block.find("listen"))
    ]
    served = next(iter([*default, *plain]), None)
    directory = served.value("root") if served is not None else ""
    if served is None or not directory:
        return f"no server block is named {wanted.hostname}", ()
    if served.find(*REDIRECTS) or any(_is_proxy(each) for each in served.blocks("location")):
        return (
            (
                f"no server block is named {wanted.hostname}, and the default one is no plain "
                "directory"
            ),
            (),
        )
    path = SNIPPETS / f"{wanted.gateway}.conf"
    if wanted.read(path) is not None:
        return f"{path} exists already", ()
    listen = ["    listen 443 ssl;"]
    if any(each.address == "[::]" for each in _listens(served)):
        listen.append("    listen [::]:443 ssl;")
    text = "\n".join(
        [
            f"# Added by gatecert init for the gateway {wanted.gateway}.",
            "server {",
            *listen,
            f"    server_name {wanted.hostname};",
            "",
            f"    {CERTIFICATE}     {wanted.fullchain};",
            f"    {KEY} {wanted.key};",
            "",
            f"    root {directory};",
            "}",
            "",
        ]
    )
    return "", (Edit(path, None, text),)


def _is_proxy(location: Directive) -> bool:
    """Tell whether a location passes requests on for the whole site."""
    return location.values[-1:] == ["/"] and bool(
        location.find("proxy_pass", "fastcgi_pass", "uwsgi_pass", *REDIRECTS)
    )


def _break(text: str, position: int, indent: str) -> str:
    """Return a line break if more follows on the same line."""
    rest = text[position:].partition("\n")[0]
    return f"\n{indent.removesuffix(' ')}" if rest.strip() else ""


def _indentation(text: str, position: int) -> str:
    """Return the white space in front of a position on its line."""
    line = text[text.rfind("\n", 0, position) + 1 : position]
    return line if not line.strip() else ""
