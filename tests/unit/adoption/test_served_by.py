"""Tests of which listeners serve a certificate."""

from __future__ import annotations

from tests.fakes.clock import NOW

from gatecert.adoption.served_by import candidates, find_listeners, units_at
from gatecert.model import Endpoint, FailureKind
from gatecert.setup.host import Host, Listener, UnitState
from gatecert.verify.served_chain import ProbeFailure, ServedChain

EVERYWHERE = "0.0.0.0"  # noqa: S104 - where other servers listen
WEB, SMTP = Endpoint("127.0.0.1", 443), Endpoint("127.0.0.1", 25, starttls="smtp")


def test_only_usual_ports_are_asked_and_each_server_once() -> None:
    host = Host(
        listeners=(
            *(Listener(EVERYWHERE, port) for port in (22, 25, 443, 3306)),
            Listener("::", 443),
            Listener("::", 993),
            Listener("192.0.2.9", 443, is_udp=True),
        )
    )
    named = Endpoint("192.0.2.1", 9999)

    assert candidates(host, [named]) == (named, SMTP, WEB, Endpoint("::1", 993))


def test_the_units_are_those_of_the_processes_at_the_port() -> None:
    units = {
        name: UnitState(name, is_active=active, can_reload=True)
        for name, active in (("nginx.service", True), ("postfix.service", False))
    }
    host = Host(
        listeners=(Listener(EVERYWHERE, 443, "nginx"), Listener(EVERYWHERE, 25, "master")),
        units=units,
    )

    assert units_at(host, [WEB]) == ("nginx.service",)
    assert units_at(host, [SMTP]) == ()
    assert units_at(host, []) == ()


def test_a_listener_counts_if_it_serves_exactly_that_certificate() -> None:
    def ask(endpoint: Endpoint, server_name: str) -> ServedChain | ProbeFailure:
        if endpoint == SMTP:
            return ProbeFailure(endpoint, FailureKind.REFUSED, "refused")
        return ServedChain(endpoint, f"of {server_name}", (), "", "", NOW, ends_in_root=False)

    names = {"of a.example.com": "a.example.com", "another": "b.example.com"}

    assert find_listeners(names, [WEB, SMTP], ask) == {"of a.example.com": (WEB,)}
    assert find_listeners({}, [WEB], ask) == {}
