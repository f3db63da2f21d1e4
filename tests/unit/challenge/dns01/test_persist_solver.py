"""dns-persist-01: no record is published, and a missing one is named."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from gatecert.challenge.dns01.nameservers import Nameserver
from gatecert.challenge.dns01.persist_solver import DnsPersist01Solver, PersistRecordChecker
from gatecert.challenge.dns01.propagation import NameserverAnswer
from gatecert.challenge.dns01.zones import RecordLocation
from gatecert.challenge.solver import Challenge, SelfTest
from gatecert.deadline import Deadline
from gatecert.errors import ChallengeError, InterruptedOrderError, RecordNotVisibleError
from gatecert.model import Endpoint, Identifier, IdentifierType

ACCOUNT = "https://ca.example/acct/1"
GOOD = f"ca.example; accounturi={ACCOUNT}"
SERVER = Nameserver("ns1.example.com", Endpoint("192.0.2.1", 53))
LAME = Nameserver("ns2.example.com", Endpoint("192.0.2.2", 53))
NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)


class Zones:
    """One zone."""

    def __init__(self) -> None:
        self.servers: tuple[Nameserver, ...] = (SERVER,)

    def locate(self, name: str) -> RecordLocation:
        assert name == "_validation-persist.vpn.example.com"
        return RecordLocation(name, "example.com")

    def nameservers(self, zone: str) -> tuple[Nameserver, ...]:
        assert zone == "example.com"
        return self.servers


class Server:
    """A nameserver that answers every query alike."""

    def __init__(self) -> None:
        self.texts: tuple[str, ...] = ()
        self.problems: dict[str, str] = {}

    def __call__(self, nameserver: Nameserver, name: str, seconds: float) -> NameserverAnswer:
        assert seconds > 0
        assert name == "_validation-persist.vpn.example.com"
        return NameserverAnswer(nameserver, self.texts, self.problems.get(nameserver.name, ""))


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def zones() -> Zones:
    return Zones()


@pytest.fixture
def solver(zones: Zones, server: Server) -> DnsPersist01Solver:
    return DnsPersist01Solver(
        PersistRecordChecker(zones, lambda: NOW, query=server, wait_seconds=0.02)
    )


def challenge(
    *,
    name: str = "vpn.example.com",
    wildcard: bool = False,
    issuers: tuple[str, ...] = ("ca.example",),
    account_url: str = ACCOUNT,
) -> Challenge:
    return Challenge(
        "dns-persist-01", Identifier(IdentifierType.DNS, name), "", "",
        account_url=account_url, wildcard=wildcard, issuer_domain_names=issuers,
    )  # fmt: skip


def test_a_visible_record_is_enough(solver: DnsPersist01Solver, server: Server) -> None:
    server.texts = ("v=spf1 -all", GOOD)

    solver.present(challenge())
    solver.wait(challenge(), Deadline.after(1))
    assert not solver.wait_for_request(challenge(), 0.001)
    solver.clean_up(challenge())


def test_a_refusing_nameserver_beside_a_right_one_is_a_warning(
    solver: DnsPersist01Solver,
    zones: Zones,
    server: Server,
    caplog: pytest.LogCaptureFixture,
) -> None:
    zones.servers = (SERVER, LAME)
    server.texts = (GOOD,)
    server.problems["ns2.example.com"] = "answers REFUSED"

    solver.wait(challenge(), Deadline.after(1))

    assert "ns2.example.com (192.0.2.2:53) answers REFUSED" in caplog.text


def test_without_reachable_nameservers_the_error_suggests_the_resolver(
    solver: DnsPersist01Solver, server: Server
) -> None:
    server.problems["ns1.example.com"] = "does not answer"

    with pytest.raises(RecordNotVisibleError) as caught:
        solver.wait(challenge(), Deadline.after(1))

    assert caught.value.fix.startswith("publish _validation-persist.vpn.example.com")
    assert caught.value.fix.endswith("challenges.dns-persist-01.propagation: recursive")


def test_a_missing_record_is_shown(solver: DnsPersist01Solver, server: Server) -> None:
    server.texts = ()

    with pytest.raises(RecordNotVisibleError) as caught:
        solver.wait(challenge(), Deadline.after(1))

    assert "ns1.example.com (192.0.2.1:53): there is no record for ca.example" in str(caught.value)
    assert caught.value.fix == (
        f'publish _validation-persist.vpn.example.com. IN TXT "ca.example; accounturi={ACCOUNT}"'
    )


@pytest.mark.parametrize("asked", [challenge(wildcard=True), challenge(name="*.vpn.example.com")])
def test_a_wildcard_needs_the_policy(
    solver: DnsPersist01Solver, server: Server, asked: Challenge
) -> None:
    server.texts = (GOOD,)

    with pytest.raises(RecordNotVisibleError, match="lacks policy=wildcard") as caught:
        solver.wait(asked, Deadline.after(1))

    assert caught.value.fix.endswith('; policy=wildcard"')


@pytest.mark.parametrize(
    "asked",
    [challenge(issuers=()), challenge(issuers=("ca.example",) * 11), challenge(account_url="")],
)
def test_an_invalid_challenge_is_refused(solver: DnsPersist01Solver, asked: Challenge) -> None:
    with pytest.raises(ChallengeError, match="is invalid"):
        solver.present(asked)


def test_stopping_interrupts_the_check(solver: DnsPersist01Solver, server: Server) -> None:
    server.texts = ()
    leaving = threading.Event()
    leaving.set()

    with pytest.raises(InterruptedOrderError):
        solver.wait(challenge(), Deadline.after(10, leaving))


def self_test(
    *names: str, account_url: str = ACCOUNT, issuers: tuple[str, ...] = ("ca.example",)
) -> SelfTest:
    return SelfTest("dns-persist-01", "boston", names, account_url, issuers)


def test_the_self_test_checks_the_record(solver: DnsPersist01Solver, server: Server) -> None:
    server.texts = (GOOD,)
    assert solver.test_records(self_test("vpn.example.com")) == ()
    both = self_test("vpn.example.com", "*.vpn.example.com")
    with pytest.raises(RecordNotVisibleError, match="lacks policy=wildcard") as caught:
        solver.test_records(both)
    assert caught.value.fix.count("_validation-persist") == 1
    server.texts = (f"{GOOD}; policy=wildcard",)
    assert solver.test_records(both) == ()


def test_the_self_test_needs_an_account(
    solver: DnsPersist01Solver,
) -> None:
    with pytest.raises(ChallengeError, match="no ACME account yet") as caught:
        solver.test_records(self_test("vpn.example.com", account_url=""))
    assert caught.value.fix.startswith("gatecert dns-record boston")
    (problem,) = solver.test_records(self_test("vpn.example.com", issuers=()))
    assert "contains no issuer domain name" in problem


def test_every_missing_record_is_shown(server: Server) -> None:
    class Names(Zones):
        def locate(self, name: str) -> RecordLocation:
            assert name.startswith("_validation-persist.")
            return RecordLocation("_validation-persist.vpn.example.com", "example.com")

    solver = DnsPersist01Solver(
        PersistRecordChecker(Names(), lambda: NOW, query=server, wait_seconds=0.02)
    )
    with pytest.raises(
        RecordNotVisibleError, match=r"validate a\.example.*validate b\.example"
    ) as caught:
        solver.test_records(self_test("a.example", "b.example"))
    assert "_validation-persist.a.example. IN TXT" in caught.value.fix
    assert " and _validation-persist.b.example. IN TXT" in caught.value.fix
