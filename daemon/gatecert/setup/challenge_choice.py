"""The choice of the challenge that can validate a name on this host.

A free port 80 is best: gatecert listens there itself, and only during a validation. If a server has
the port, a directory that it serves for the name will do, which ``serves`` tries out; or the server
forwards the requests to gatecert.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.config.schema.challenge import ChallengeKind, Http01Settings
from gatecert.errors import WrongUsageError
from gatecert.setup.host import HTTP
from gatecert.setup.known_servers import SERVERS, KnownServer
from gatecert.setup.server_plan import CHALLENGES, FORWARDED, Edit, Wanted

if TYPE_CHECKING:
    from gatecert.config.schema import Configuration
    from gatecert.config.schema.challenge import ChallengeSettings


HTTP_01: Final = ChallengeKind.HTTP_01.value
DEFAULT_WEBROOT: Final = "/var/www/html"
SOCKET_UNIT: Final = "systemd"  # the process that has port 80 with gatecert-http.socket


@dataclass(frozen=True, slots=True)
class ChallengeChoice:
    """The challenge.

    Attributes:
        settings: To add below ``challenges``; empty if what is written, or the default, will do.
        webroot: The directory that gatecert has to write to.
        edit: A change of the server that has port 80, needed before the first order.
        server: That server.
        reason: Why this one, in words.
    """

    kind: str
    reason: str
    settings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    webroot: Path | None = None
    edit: Edit | None = None
    server: KnownServer | None = None


def choose_challenge(
    wanted: Wanted,
    written: Configuration | None,
    serves: Callable[[Path], bool],
    *,
    kind: str = "",
    webroot: str = "",
) -> ChallengeChoice:
    """Return the challenge for a name.

    Args:
        wanted: What the server shall serve.
        written: The configuration so far; None if there is none.
        serves: Tells whether port 80 serves a directory for the name.
        kind: The challenge type that the operator asks for; empty if none.
        webroot: The directory that the operator names; empty if none.

    Raises:
        WrongUsageError: None can work, or not the one that the operator asks for.
    """
    if kind not in {"", HTTP_01}:
        return _asked_for(kind, written.challenges if written is not None else None)
    http_01 = written.challenges.http_01 if written is not None else Http01Settings()
    if webroot:
        if not Path(webroot).is_absolute() or not Path(webroot).is_dir():
            raise WrongUsageError(f"--webroot {webroot}: is not the absolute path of a directory")
        return _webroot(Path(webroot), "as you said")
    if http_01 != Http01Settings():
        place = http_01.webroot or ", ".join(map(str, http_01.listen))
        return ChallengeChoice(HTTP_01, f"at {place}, as it is written", webroot=http_01.webroot)
    holders = [name for name in wanted.host.holders(HTTP) if name != SOCKET_UNIT]
    if not holders:
        return ChallengeChoice(HTTP_01, "port 80 is free, and gatecert listens there itself")
    found = _at_server(wanted, holders, serves)
    if found is not None:
        return found
    if written is not None and written.challenges.dns_01 is not None and not kind:
        return ChallengeChoice(ChallengeKind.DNS_01.value, "it is configured already")
    raise WrongUsageError(
        f"port {HTTP} is used by {', '.join(holders)}, which serves no directory for "
        f"{wanted.hostname} that gatecert could find: name the directory with --webroot, let it "
        f"forward {CHALLENGES} to gatecert, or use dns-01 (docs/challenges.md)"
    )


def _asked_for(kind: str, challenges: ChallengeSettings | None) -> ChallengeChoice:
    """Return a challenge other than http-01, which has to be configured.

    Raises:
        WrongUsageError: It is not, or there is no such type.
    """
    known = [each.value for each in ChallengeKind]
    if kind not in known:
        raise WrongUsageError(f"--challenge {kind}: is not one of {', '.join(known)}")
    if challenges is None or getattr(challenges, kind.replace("-", "_")) is None:
        raise WrongUsageError(
            f"--challenge {kind}: needs settings that only you know: write challenges.{kind} into "
            "the configuration first (docs/challenges.md, docs/dns.md), and run this again"
        )
    return ChallengeChoice(kind, "as you said")


def _at_server(
    wanted: Wanted, holders: list[str], serves: Callable[[Path], bool]
) -> ChallengeChoice | None:
    """Return how the server that has port 80 can answer; None if it cannot."""
    servers = [each for each in SERVERS.values() if any(map(each.runs_as, holders))]
    for server in servers:
        for root in dict.fromkeys([*server.webroots(wanted), DEFAULT_WEBROOT]):
            if Path(root).is_absolute() and Path(root).is_dir() and serves(Path(root)):
                return _webroot(Path(root), f"{server.title} serves it on port 80")
        edit = server.forwarding(wanted)
        if edit is not None:
            return ChallengeChoice(
                HTTP_01,
                f"{server.title} forwards it from port 80",
                {HTTP_01: {"listen": [FORWARDED]}},
                edit=edit,
                server=server,
            )
    if not servers and Path(DEFAULT_WEBROOT).is_dir() and serves(Path(DEFAULT_WEBROOT)):
        return _webroot(Path(DEFAULT_WEBROOT), "it is served on port 80")
    return None


def _webroot(path: Path, reason: str) -> ChallengeChoice:
    settings = {HTTP_01: {"webroot": str(path)}}
    return ChallengeChoice(HTTP_01, f"in {path}: {reason}", settings, webroot=path)
