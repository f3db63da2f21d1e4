"""Search for the listeners that serve a certificate, by handshakes with those that may.

Only ports that are usual for TLS are asked, because a handshake can disturb a server that does not
speak TLS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from gatecert.model import Endpoint
from gatecert.setup.known_servers import SERVERS
from gatecert.verify.served_chain import ProbeFailure, ServedChain

if TYPE_CHECKING:
    from gatecert.setup.host import Host

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


def candidates(host: Host, more: Sequence[Endpoint] = ()) -> tuple[Endpoint, ...]:
    """Return the listeners to ask, the likeliest first.

    Args:
        host: The host, with its listening sockets.
        more: Listeners that the operator names.
    """
    usual = {
        Endpoint(_reachable(each.address), each.port, starttls=STARTTLS_PORTS.get(each.port, ""))
        for each in host.listeners
        if not each.is_udp and (each.port in TLS_PORTS or each.port in STARTTLS_PORTS)
    }
    # Usually one server listens on every address.
    shadowed = {replace(each, host="::1") for each in usual if each.host == "127.0.0.1"}
    ordered = sorted(usual - shadowed, key=lambda each: (each.host, each.port))
    return tuple(dict.fromkeys([*more, *ordered]))


def units_at(host: Host, listeners: Sequence[Endpoint]) -> tuple[str, ...]:
    """Return the systemd units of the known servers that listen there.

    Args:
        host: The host, with the processes of its listening sockets.
        listeners: The listeners.
    """
    processes = [name for each in listeners for name in host.holders(each.port)]
    servers = [each for each in SERVERS.values() if any(map(each.runs_as, processes))]
    units = [name for server in servers for name in server.units]
    return tuple(
        name
        for name in units
        if (state := host.units.get(name)) is not None and state.is_active and state.can_reload
    )


def _reachable(address: str) -> str:
    """Return the address to connect to from this host."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - of others


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
