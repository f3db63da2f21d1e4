"""Which listeners serve a certificate."""

from __future__ import annotations

from tests.fakes.clock import NOW

from gatecert.adoption.listening_sockets import ListeningSocket
from gatecert.adoption.served_by import candidates, find_listeners
from gatecert.model import Endpoint, FailureKind
from gatecert.verify.served_chain import ProbeFailure, ServedChain

WEB, SMTP = Endpoint("127.0.0.1", 443), Endpoint("127.0.0.1", 25, starttls="smtp")


def test_only_usual_ports_are_asked() -> None:
    sockets = [ListeningSocket("127.0.0.1", port) for port in (22, 25, 443, 3306)]
    named = Endpoint("192.0.2.1", 9999)

    assert candidates(sockets, [named]) == (named, SMTP, WEB)


def test_a_listener_counts_if_it_serves_exactly_that_certificate() -> None:
    def ask(endpoint: Endpoint, server_name: str) -> ServedChain | ProbeFailure:
        if endpoint == SMTP:
            return ProbeFailure(endpoint, FailureKind.REFUSED, "refused")
        return ServedChain(endpoint, f"of {server_name}", (), "", "", NOW, ends_in_root=False)

    names = {"of a.example.com": "a.example.com", "another": "b.example.com"}

    assert find_listeners(names, [WEB, SMTP], ask) == {"of a.example.com": (WEB,)}
    assert find_listeners({}, [WEB], ask) == {}
