"""Polling nameservers until all of them have the record."""

from __future__ import annotations

import errno
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from gatecert.challenge.dns01 import propagation
from gatecert.challenge.dns01.nameservers import Nameserver
from gatecert.challenge.dns01.propagation import (
    NameserverAnswer,
    PropagationResult,
    poll_nameservers,
    query_txt,
)
from gatecert.deadline import Deadline
from gatecert.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.fakes.nameserver import Handler, StartNameserver
    from tests.fakes.zones import Zones as Answers

NAME = "_acme-challenge.vpn.example.com"
FIRST, SECOND = (Nameserver(f"ns{n}", Endpoint(f"192.0.2.{n}", 53)) for n in (1, 2))


def at(endpoint: Endpoint) -> Nameserver:
    return Nameserver("ns1.example.com", endpoint)


def wants(texts: Sequence[str]) -> str:
    return "" if "good" in texts else "does not have it"


@pytest.mark.enable_socket
def test_all_texts_of_a_name_are_read(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    records = {(NAME, "TXT"): ['"one"', '"tw" "o"']}
    server = at(nameserver(make_zones(["example.com"], records)))

    assert sorted(query_txt(server, NAME, 2).texts) == ["one", "two"]
    assert query_txt(server, "other.example.com", 2) == NameserverAnswer(server)


@pytest.mark.enable_socket
def test_a_query_is_not_recursive(nameserver: StartNameserver) -> None:
    asked: list[dns.message.Message] = []

    def remember(wire: bytes, transport: str) -> bytes:
        del transport
        query = dns.message.from_wire(wire)
        asked.append(query)
        return dns.message.make_response(query).to_wire()

    query_txt(at(nameserver(remember)), NAME, 2)

    assert not asked[0].flags & dns.flags.RD


@pytest.mark.enable_socket
def test_each_unusable_answer_has_its_own_problem(
    nameserver: StartNameserver, make_zones: type[Answers]
) -> None:
    silent = at(nameserver(lambda _wire, _transport: None))
    refusing = at(nameserver(make_zones([])))

    assert query_txt(silent, NAME, 0.05).problem == "does not answer"
    assert query_txt(refusing, NAME, 2).problem == "answers REFUSED"


@pytest.mark.enable_socket
def test_a_truncated_answer_without_tcp_is_invalid(
    nameserver: StartNameserver,
) -> None:
    def truncate(wire: bytes, transport: str) -> bytes:
        if transport == "tcp":
            return b"rubbish"
        response = dns.message.make_response(dns.message.from_wire(wire))
        response.flags |= dns.flags.TC
        return response.to_wire()

    answer = query_txt(at(nameserver(truncate)), NAME, 2)

    assert answer.problem.startswith("sends an invalid answer: ")
    assert not answer.no_route


@pytest.mark.enable_socket
def test_a_connection_closed_after_a_truncated_answer_is_a_problem(
    nameserver: StartNameserver, truncated_only: Handler
) -> None:
    answer = query_txt(at(nameserver(truncated_only)), NAME, 2)

    assert answer.problem == "closes the TCP connection without an answer"


@pytest.mark.parametrize(
    ("number", "no_route"),
    [(errno.ENETUNREACH, True), (errno.EADDRNOTAVAIL, True), (errno.ECONNREFUSED, False)],
)
def test_an_address_without_a_route_is_distinguished(
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    no_route: bool,  # noqa: FBT001 - a case
) -> None:
    def fail(*_arguments: object, **_keywords: object) -> None:
        raise OSError(number, "said by the system")

    monkeypatch.setattr(dns.query, "udp_with_fallback", fail)

    answer = query_txt(FIRST, NAME, 1)

    assert answer.problem == "cannot be reached: said by the system"
    assert answer.no_route is no_route


class Script:
    """Successive answers of each nameserver."""

    def __init__(self, **answers: list[str]) -> None:
        self._answers = answers
        self._lock = threading.Lock()
        self.asked: list[str] = []

    def __call__(self, nameserver: Nameserver, name: str, seconds: float) -> NameserverAnswer:
        assert name == NAME
        assert seconds > 0
        with self._lock:
            self.asked.append(nameserver.name)
            turns = self._answers[nameserver.name]
            said = turns.pop(0) if len(turns) > 1 else turns[0]
        if said == "no route":
            return NameserverAnswer(nameserver, problem="cannot be asked", no_route=True)
        if said == "refused":
            return NameserverAnswer(nameserver, problem="answers REFUSED")
        if said == "lame":
            return NameserverAnswer(nameserver, authoritative=False)
        return NameserverAnswer(nameserver, (said,))


def seen_by(
    script: Script, seconds: float = 5.0, longest_pause: float = 0.01, *, once: bool = False
) -> PropagationResult:
    return poll_nameservers(
        (FIRST, SECOND),
        NAME,
        wants,
        Deadline.after(seconds),
        longest_pause=longest_pause,
        once=once,
        query=script,
    )


def wait_for(script: Script, seconds: float = 5.0, longest_pause: float = 0.01) -> list[str]:
    return described(seen_by(script, seconds, longest_pause).lagging)


def described(answers: Sequence[NameserverAnswer]) -> list[str]:
    return [f"{each.nameserver.name} {each.problem}" for each in answers]


def test_a_nameserver_with_the_record_is_not_queried_again() -> None:
    script = Script(ns1=["good"], ns2=["old", "refused", "good"])

    assert wait_for(script) == []
    assert sorted(script.asked) == ["ns1", "ns2", "ns2", "ns2"]


def test_a_lagging_nameserver_is_named_with_the_reason() -> None:
    script = Script(ns1=["good"], ns2=["old", "refused"])

    assert wait_for(script, 0.2) == ["ns2 answers REFUSED"]


def test_every_nameserver_is_queried_at_least_once() -> None:
    assert wait_for(Script(ns1=["good"], ns2=["good"]), 0.0) == []
    assert wait_for(Script(ns1=["good"], ns2=["old"]), 0.0) == ["ns2 does not have it"]


def test_an_unreachable_nameserver_does_not_count_beside_others() -> None:
    assert wait_for(Script(ns1=["good"], ns2=["no route"])) == []
    assert wait_for(Script(ns1=["old"], ns2=["no route"]), 0.0) == ["ns1 does not have it"]


def test_all_unreachable_nameservers_are_reported() -> None:
    script = Script(ns1=["no route"], ns2=["no route"])

    assert wait_for(script) == ["ns1 cannot be asked", "ns2 cannot be asked"]


@pytest.mark.parametrize(
    ("said", "problem"), [("refused", "answers REFUSED"), ("lame", propagation.LAME)]
)
def test_an_unusable_answer_is_ignored_after_a_second_attempt(said: str, problem: str) -> None:
    script = Script(ns1=["good"], ns2=[said])

    seen = seen_by(script)

    assert seen.lagging == ()
    assert described(seen.passed_over) == [f"ns2 {problem}"]
    assert script.asked.count("ns2") == propagation.ATTEMPTS


def test_a_second_attempt_may_show_that_a_nameserver_lags() -> None:
    script = Script(ns1=["good"], ns2=["refused", "old", "refused", "refused", "good"])

    assert seen_by(script) == PropagationResult()
    assert script.asked.count("ns2") == 5


def test_silence_does_not_replace_a_wrong_answer() -> None:
    seen = seen_by(Script(ns1=["good"], ns2=["old", "lame"]), 0.2)

    assert described(seen.lagging) == ["ns2 does not have it"]
    assert seen.passed_over == ()


def test_without_a_right_answer_no_nameserver_is_ignored() -> None:
    seen = seen_by(Script(ns1=["lame"], ns2=["refused"]), 0.2)

    assert described(seen.lagging) == [f"ns1 {propagation.LAME}", "ns2 answers REFUSED"]
    assert not seen.answered


def test_one_round_ignores_silent_nameservers() -> None:
    script = Script(ns1=["good"], ns2=["refused", "old"])

    assert described(seen_by(script, once=True).passed_over) == ["ns2 answers REFUSED"]
    assert sorted(script.asked) == ["ns1", "ns2"]


def test_the_warning_names_the_setting() -> None:
    resolver = replace(SECOND, recursive=True)

    at_zone = propagation.passed_over_warning(
        NAME, "example.com", [NameserverAnswer(SECOND, problem="is silent")]
    )
    at_resolver = propagation.passed_over_warning(
        NAME, "example.com", [NameserverAnswer(resolver, problem="hangs")]
    )

    assert "nameservers of the zone example.com: ns2 (192.0.2.2:53) is silent" in at_zone
    assert at_zone.endswith("remove them from the zone's NS records")
    assert at_resolver.endswith("remove them from resolver.nameservers")


def test_a_nameserver_without_an_address_is_not_queried() -> None:
    nowhere = Nameserver("ns9.example.com", Endpoint("ns9.example.com", 53), "NXDOMAIN")

    answer = query_txt(nowhere, NAME, 1)

    assert answer.problem == "has no address: NXDOMAIN"
    assert answer.no_route


@pytest.mark.enable_socket
def test_an_answer_without_authority_is_distinguished(nameserver: StartNameserver) -> None:
    def lame(wire: bytes, transport: str) -> bytes:
        del transport
        return dns.message.make_response(dns.message.from_wire(wire)).to_wire()

    endpoint = nameserver(lame)

    assert not query_txt(at(endpoint), NAME, 2).authoritative
    assert query_txt(replace(at(endpoint), recursive=True), NAME, 2).authoritative


@pytest.mark.enable_socket
def test_a_resolver_is_queried_with_recursion(nameserver: StartNameserver) -> None:
    asked: list[dns.message.Message] = []

    def remember(wire: bytes, transport: str) -> bytes:
        del transport
        asked.append(dns.message.from_wire(wire))
        return dns.message.make_response(asked[0]).to_wire()

    query_txt(replace(at(nameserver(remember)), recursive=True), NAME, 2)

    assert asked[0].flags & dns.flags.RD


def test_a_zone_without_nameservers_has_no_lagging_ones() -> None:
    assert poll_nameservers((), NAME, wants, Deadline.after(1), longest_pause=1).lagging == ()


def test_pauses_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)

    wait_for(Script(ns1=["good"], ns2=["old", "old", "old", "good"]), longest_pause=0.2)

    assert pauses == [propagation.FIRST_PAUSE, pytest.approx(0.16), 0.2]
