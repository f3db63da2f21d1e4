"""Search for the listeners that serve a certificate, by handshakes with those that may.

Only ports that are usual for TLS are asked, because a handshake can disturb a server that does not
speak TLS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from gatecert.model import Endpoint
from gatecert.verify.served_chain import ProbeFailure, ServedChain

if TYPE_CHECKING:
    from gatecert.adoption.listening_sockets import ListeningSocket

Ask: TypeAlias = Callable[[Endpoint, str], ServedChain | ProbeFailure]

TLS_PORTS: Final = frozenset(
    {443, 465, 563, 636, 853, 989, 990, 993, 994, 995, 3269, 4443, 5061, 5223, 5349, 5671, 6443}
    | {6514, 6697, 8006, 8089, 8443, 8843, 8883, 9090, 9443, 10000, 10443}
)
STARTTLS_PORTS: Final[Mapping[int, str]] = {
    25: "smtp",
    110: "pop3",
    143: "imap",
    389: "ldap",
    587: "smtp",
    5222: "xmpp",
}
ONE_HANDSHAKE: Final = timedelta(seconds=2)
MOST_AT_ONCE: Final = 16


def candidates(
    sockets: Sequence[ListeningSocket], more: Sequence[Endpoint] = ()
) -> tuple[Endpoint, ...]:
    """Return the listeners to ask.

    Args:
        sockets: The listening sockets of this host.
        more: Listeners that the operator names.
    """
    usual = [
        Endpoint(each.address, each.port, starttls=STARTTLS_PORTS.get(each.port, ""))
        for each in sockets
        if each.port in TLS_PORTS or each.port in STARTTLS_PORTS
    ]
    return tuple(dict.fromkeys([*more, *usual]))


def find_listeners(
    names: Mapping[str, str], endpoints: Sequence[Endpoint], ask: Ask | None = None
) -> dict[str, tuple[Endpoint, ...]]:
    """Return the listeners that serve each certificate.

    Args:
        names: Server name by the fingerprint of its certificate.
        endpoints: The listeners to ask.
        ask: Makes a handshake.
    """
    handshake = ask or _handshake
    questions = [(print_, endpoint) for print_ in names for endpoint in endpoints]
    if not questions:
        return {}
    with ThreadPoolExecutor(min(len(questions), MOST_AT_ONCE), "adopt") as pool:
        answers = list(pool.map(lambda each: handshake(each[1], names[each[0]]), questions))
    found: dict[str, list[Endpoint]] = {}
    for (print_, endpoint), answer in zip(questions, answers, strict=True):
        if isinstance(answer, ServedChain) and answer.fingerprint == print_:
            found.setdefault(print_, []).append(endpoint)
    return {print_: tuple(served) for print_, served in found.items()}


def _handshake(endpoint: Endpoint, server_name: str) -> ServedChain | ProbeFailure:
    from gatecert.verify.probe import probe  # noqa: PLC0415 - with pyOpenSSL

    return probe(endpoint, server_name, timeout=ONE_HANDSHAKE.total_seconds())
