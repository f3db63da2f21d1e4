from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import pytest

from gatecert.acme.presentation import ChallengeAttempt, NameChallenges, Presentation
from gatecert.challenge.solver import Challenge, Solver
from gatecert.deadline import Deadline
from gatecert.errors import AddressInUseError, ChallengeError, FailedAttempt
from gatecert.model import Identifier, IdentifierType, Message, Wait


@dataclass
class FakeSolver:
    """Records its calls; optionally fails to present or to become visible."""

    refuses: ChallengeError | None = None
    stays_unseen: ChallengeError | None = None
    calls: list[str] = field(default_factory=list)

    def present(self, challenge: Challenge) -> None:
        self.calls.append(f"present {challenge.identifier}")
        if self.refuses is not None:
            raise self.refuses

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        assert not deadline.passed
        self.calls.append(f"wait {challenge.identifier}")
        if self.stays_unseen is not None:
            raise self.stays_unseen

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        raise NotImplementedError

    def clean_up(self, challenge: Challenge) -> None:
        self.calls.append(f"clean up {challenge.identifier}")


def challenges(name: str, reason: str = "", **solvers: Solver) -> NameChallenges:
    """Make a name with one challenge per solver, by type (``http_01=…``)."""
    identifier = Identifier(IdentifierType.DNS, name)
    attempts = deque(
        ChallengeAttempt(
            Challenge(kind.replace("_", "-"), identifier, "abc", "abc.key"),
            solver,
            url="",
            notified=False,
        )
        for kind, solver in solvers.items()
    )
    return NameChallenges(name, attempts, reason)


class SlowFakeSolver(FakeSolver):
    def seconds_until_visible(self) -> float:
        return 2.0


@pytest.fixture
def told() -> list[Message]:
    return []


@pytest.fixture
def presentation(told: list[Message]) -> Presentation:
    return Presentation(Deadline.after(5), told.append)


def kinds(attempts: list[ChallengeAttempt]) -> list[str]:
    return [attempt.challenge.type for attempt in attempts]


def test_each_name_uses_its_first_challenge(
    presentation: Presentation, told: list[Message]
) -> None:
    http, dns = FakeSolver(), FakeSolver()
    with presentation:
        attempts = presentation.present_all(
            [
                challenges("a.example", http_01=http, dns_01=dns),
                challenges("b.example", http_01=http),
                challenges("*.c.example", "only a TXT record can", dns_01=dns),
            ]
        )
        assert kinds(attempts) == ["http-01", "http-01", "dns-01"]
        assert "clean up a.example" not in http.calls
    assert presentation.failures == []
    assert http.calls[:4] == [
        "present a.example",
        "present b.example",
        "wait a.example",
        "wait b.example",
    ]
    assert sorted(http.calls[4:]) == ["clean up a.example", "clean up b.example"]
    assert told == [
        "proving control of a.example, b.example by http-01",
        "proving control of *.c.example by dns-01 (only a TXT record can)",
    ]


def test_a_slow_challenge_says_how_long_it_waits_at_most(
    presentation: Presentation, told: list[Message]
) -> None:
    with presentation:
        presentation.present_all([challenges("a.example", dns_01=SlowFakeSolver())])
    assert told[1:] == [Wait("all nameservers to answer with the record for a.example", 2.0)]


def test_a_challenge_that_cannot_be_presented_is_skipped(
    presentation: Presentation, told: list[Message], caplog: pytest.LogCaptureFixture
) -> None:
    taken = FakeSolver(AddressInUseError("port 80 is taken"))
    free = FakeSolver()
    with presentation:
        attempts = presentation.present_all(
            [challenges("a.example", http_01=taken, tls_alpn_01=free)]
        )
    assert kinds(attempts) == ["tls-alpn-01"]
    assert taken.calls == ["present a.example"]
    assert free.calls == ["present a.example", "wait a.example", "clean up a.example"]
    (line,) = map(str, told)
    assert line.startswith("proving control of a.example by tls-alpn-01 (")
    assert line.endswith("(http-01 cannot be presented: port 80 is taken)")
    assert presentation.failures == [FailedAttempt("a.example", "http-01", "port 80 is taken")]
    assert "next=tls-alpn-01" in caplog.text


def test_an_invisible_response_is_skipped_and_removed(presentation: Presentation) -> None:
    dns = FakeSolver(stays_unseen=ChallengeError("not visible"))
    http = FakeSolver()
    with presentation:
        attempts = presentation.present_all([challenges("a.example", dns_01=dns, http_01=http)])
        assert kinds(attempts) == ["http-01"]
    assert dns.calls[-1] == "clean up a.example"
    assert http.calls == ["present a.example", "wait a.example", "clean up a.example"]


def test_a_single_failure_is_the_error_itself(presentation: Presentation) -> None:
    taken = AddressInUseError("port 80 is taken", fix="stop it")
    other = FakeSolver()
    names = [
        challenges("a.example", http_01=other),
        challenges("b.example", http_01=FakeSolver(taken)),
    ]
    with presentation, pytest.raises(AddressInUseError) as caught:
        presentation.present_all(names)
    assert caught.value is taken
    assert taken.attempts == (FailedAttempt("b.example", "http-01", "port 80 is taken"),)
    assert other.calls == ["present a.example", "clean up a.example"]


def test_several_failures_are_all_named(presentation: Presentation) -> None:
    taken = FakeSolver(AddressInUseError("port 80 is taken", fix="stop it"))
    refused = FakeSolver(ChallengeError("zone refused"))
    with presentation, pytest.raises(ChallengeError) as caught:
        presentation.present_all([challenges("a.example", http_01=taken, dns_01=refused)])
    assert caught.value.message == (
        "no challenge can be presented for a.example: http-01: port 80 is taken; "
        "dns-01: zone refused"
    )
    assert caught.value.fix == "stop it"
    assert [attempt.kind for attempt in caught.value.attempts] == ["http-01", "dns-01"]
    assert presentation.failures == list(caught.value.attempts)
