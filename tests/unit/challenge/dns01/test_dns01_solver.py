"""Publishing, waiting for and withdrawing records, with a persistent journal."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from gatecert.challenge.dns01.dns01_solver import Dns01Solver
from gatecert.challenge.dns01.nameservers import Nameserver
from gatecert.challenge.dns01.propagation import NameserverAnswer
from gatecert.challenge.dns01.record import validation_value
from gatecert.challenge.dns01.zones import RecordLocation
from gatecert.challenge.solver import Challenge, SelfTest
from gatecert.config.schema import Dns01Settings
from gatecert.deadline import Deadline
from gatecert.errors import (
    ChallengeError,
    InterruptedOrderError,
    ProviderNotContactedError,
    RecordNotVisibleError,
    RecordRefusedError,
    StorageError,
)
from gatecert.model import Endpoint, Identifier, IdentifierType, TextRecord

if TYPE_CHECKING:
    from tests.fakes.record_journal import Journal

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
NAME = "_acme-challenge.vpn.example.com"
SERVER = Nameserver("ns1.example.com", Endpoint("192.0.2.1", 53))
LAME = Nameserver("ns2.example.com", Endpoint("192.0.2.2", 53))


class Provider:
    """A zone in memory."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.records: set[TextRecord] = set()
        self.refusal: BaseException | None = None
        self.trouble: ChallengeError | None = None

    def publish(self, record: TextRecord) -> None:
        self._journal.steps.append(f"publish {record.name}")
        if self.refusal is not None:
            raise self.refusal
        self.records.add(record)

    def withdraw(self, record: TextRecord) -> None:
        self._journal.steps.append(f"withdraw {record.name}")
        if self.trouble is not None:
            raise self.trouble
        self.records.discard(record)


class Server:
    """A nameserver that answers every query alike.

    Attributes:
        provider: The provider whose records it serves, if any.
        problems: Unusable answers by nameserver.
    """

    def __init__(self) -> None:
        self.provider: Provider | None = None
        self.texts: tuple[str, ...] = ()
        self.problems: dict[str, str] = {}

    def __call__(self, nameserver: Nameserver, name: str, seconds: float) -> NameserverAnswer:
        assert seconds > 0
        assert name == NAME
        if nameserver.name in self.problems:
            return NameserverAnswer(nameserver, problem=self.problems[nameserver.name])
        if self.provider is not None:
            return NameserverAnswer(nameserver, tuple(each.value for each in self.provider.records))
        return NameserverAnswer(nameserver, self.texts)


class Zones:
    """One zone, with aliases."""

    def __init__(self) -> None:
        self.aliases: dict[str, str] = {}
        self.servers: tuple[Nameserver, ...] = (SERVER,)

    def locate(self, name: str) -> RecordLocation:
        return RecordLocation(self.aliases.get(name, name), "example.com")

    def nameservers(self, zone: str) -> tuple[Nameserver, ...]:
        assert zone == "example.com"
        return self.servers


@pytest.fixture
def provider(journal: Journal) -> Provider:
    return Provider(journal)


@pytest.fixture
def zones() -> Zones:
    return Zones()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def solver(provider: Provider, zones: Zones, journal: Journal, server: Server) -> Dns01Solver:
    return make(provider, zones, journal, server)


def make(
    provider: Provider, zones: Zones, journal: Journal, server: Server | None = None, **more: str
) -> Dns01Solver:
    settings = Dns01Settings.model_validate(
        {"provider": "exec", "command": ["x"], "propagation_timeout": "1s", **more}
    )
    return Dns01Solver(settings, provider, zones, journal, lambda: NOW, query=server or Server())


def challenge(name: str = "vpn.example.com", token: str = "t") -> Challenge:  # noqa: S107
    return Challenge("dns-01", Identifier(IdentifierType.DNS, name), token, f"{token}.thumb")


# --------------------------------------------------------------------------- present


def test_the_journal_entry_exists_from_before_publishing_until_after_withdrawing(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    solver.present(challenge())

    expected = TextRecord(NAME, validation_value(challenge()), "example.com")
    assert provider.records == {expected}
    assert [published.record for published in journal.records()] == [expected]
    solver.clean_up(challenge())
    assert provider.records == set()
    assert journal.steps == [
        f"add {NAME}", f"publish {NAME}", f"withdraw {NAME}", f"remove {NAME}",
    ]  # fmt: skip


def test_the_record_is_published_at_the_target_of_an_alias(
    solver: Dns01Solver, provider: Provider, zones: Zones
) -> None:
    zones.aliases[NAME] = "vpn.challenges.example.com"

    solver.present(challenge())

    assert {record.name for record in provider.records} == {"vpn.challenges.example.com"}


def test_a_configured_zone_is_used(provider: Provider, zones: Zones, journal: Journal) -> None:
    make(provider, zones, journal, zone="vpn.example.com").present(challenge())

    assert {record.zone for record in provider.records} == {"vpn.example.com"}


def test_a_name_outside_the_configured_zone_is_refused(
    provider: Provider, zones: Zones, journal: Journal
) -> None:
    with pytest.raises(RecordRefusedError, match=r"is not in the zone example\.net") as it:
        make(provider, zones, journal, zone="example.net").present(challenge())

    assert "challenges.dns-01.zone" in it.value.fix
    assert journal.steps == []


def test_a_refusal_leaves_nothing_to_withdraw(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    provider.refusal = RecordRefusedError("no")

    with pytest.raises(RecordRefusedError, match="no"):
        solver.present(challenge())

    assert journal.steps == [f"add {NAME}", f"publish {NAME}", f"remove {NAME}"]
    solver.clean_up(challenge())
    assert journal.records() == ()


def test_a_provider_that_was_not_contacted_leaves_nothing(
    solver: Dns01Solver, provider: Provider, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    provider.refusal = provider.trouble = ProviderNotContactedError("not installed")

    with pytest.raises(ProviderNotContactedError, match="not installed"):
        solver.present(challenge())

    assert journal.steps == [f"add {NAME}", f"publish {NAME}", f"remove {NAME}"]
    assert caplog.text == ""


@pytest.mark.parametrize("trouble", [ChallengeError("no answer"), KeyboardInterrupt()])
def test_a_record_that_may_have_been_published_is_withdrawn(
    solver: Dns01Solver, provider: Provider, journal: Journal, trouble: BaseException
) -> None:
    provider.refusal = trouble

    with pytest.raises(type(trouble)):
        solver.present(challenge())

    assert journal.steps[-2:] == [f"withdraw {NAME}", f"remove {NAME}"]


def test_a_record_that_cannot_be_entered_in_the_journal_is_not_published(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    journal.broken["add"] = StorageError("disk full")

    with pytest.raises(StorageError):
        solver.present(challenge())

    assert provider.records == set()


# --------------------------------------------------------------------------- wait


def test_wait_returns_once_the_nameserver_has_the_record(
    solver: Dns01Solver, server: Server
) -> None:
    server.texts = ("other", validation_value(challenge()))
    solver.present(challenge())

    solver.wait(challenge(), Deadline.after(1))


@pytest.mark.parametrize(
    ("texts", "said"),
    [((), "does not have the record"), (("other",), "has other TXT records, but not this one")],
)
def test_a_nameserver_that_lags_is_named(
    solver: Dns01Solver, server: Server, texts: tuple[str, ...], said: str
) -> None:
    server.texts = texts
    solver.present(challenge())

    with pytest.raises(RecordNotVisibleError) as caught:
        solver.wait(challenge(), Deadline.after(0.02))

    assert f"ns1.example.com (192.0.2.1:53) {said}" in caught.value.message
    assert "propagation_timeout" in caught.value.fix


def test_a_refusing_nameserver_beside_a_right_one_is_a_warning(
    solver: Dns01Solver, server: Server, zones: Zones, caplog: pytest.LogCaptureFixture
) -> None:
    zones.servers = (SERVER, LAME)
    server.problems["ns2.example.com"] = "answers REFUSED"
    server.texts = (validation_value(challenge()),)
    solver.present(challenge())

    solver.wait(challenge(), Deadline.after(1))

    assert "ns2.example.com (192.0.2.2:53) answers REFUSED" in caplog.text
    assert "ns1" not in caplog.text


def test_without_reachable_nameservers_the_error_suggests_the_resolver(
    solver: Dns01Solver, server: Server
) -> None:
    server.problems["ns1.example.com"] = "does not answer"
    solver.present(challenge())

    with pytest.raises(RecordNotVisibleError, match="gives a usable answer") as caught:
        solver.wait(challenge(), Deadline.after(0.02))

    assert "challenges.dns-01.propagation: recursive" in caught.value.fix


def test_a_resolver_is_first_queried_after_one_interval(
    provider: Provider, zones: Zones, journal: Journal, server: Server
) -> None:
    more = {"propagation": "recursive", "propagation_interval": "50ms"}
    solver = make(provider, zones, journal, server, **more)
    server.texts = (validation_value(challenge()),)
    solver.present(challenge())
    before = time.monotonic()

    solver.wait(challenge(), Deadline.after(1))

    assert time.monotonic() - before >= 0.05
    server.texts = ()
    with pytest.raises(RecordNotVisibleError, match="not every resolver answers") as caught:
        solver.wait(challenge(), Deadline.after(0.1))
    assert "follow_aliases: false" in caught.value.fix


def test_stopping_interrupts_the_wait(solver: Dns01Solver, server: Server) -> None:
    server.texts = ()
    leaving = threading.Event()
    leaving.set()
    solver.present(challenge())

    with pytest.raises(InterruptedOrderError):
        solver.wait(challenge(), Deadline.after(10, leaving))


def test_waiting_for_an_unpublished_record_is_an_error(solver: Dns01Solver) -> None:
    with pytest.raises(ChallengeError, match="no record was published"):
        solver.wait(challenge(), Deadline.after(1))


def test_wait_for_request_cannot_notice_queries(solver: Dns01Solver) -> None:
    assert not solver.wait_for_request(challenge(), 0.001)


# --------------------------------------------------------------------------- clean_up


def test_clean_up_without_a_published_record_does_nothing(
    solver: Dns01Solver, journal: Journal
) -> None:
    solver.clean_up(challenge())

    assert journal.steps == []


def test_a_record_of_two_orders_is_withdrawn_with_the_last(
    provider: Provider, zones: Zones, journal: Journal
) -> None:
    first, second = (make(provider, zones, journal) for _ in range(2))
    first.present(challenge())
    second.present(challenge())

    first.clean_up(challenge())
    assert len(provider.records) == 1

    second.clean_up(challenge())
    assert provider.records == set()


def test_an_unreachable_provider_leaves_the_record_for_later(
    solver: Dns01Solver, provider: Provider, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    solver.present(challenge())
    provider.trouble = ChallengeError("out of reach")

    solver.clean_up(challenge())

    assert "is withdrawn later: out of reach" in caplog.text
    assert [published.abandoned for published in journal.records()] == [True]
    provider.trouble = None
    solver.remove_leftovers()
    assert provider.records == set()
    assert journal.records() == ()


def test_clean_up_also_withdraws_leftovers(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    left = journal.add_record(TextRecord("left.example.com", "x", "example.com"), now=NOW)
    journal.entries[left.id] = replace(left, abandoned=True)
    provider.records.add(left.record)
    solver.present(challenge())

    solver.clean_up(challenge())

    assert provider.records == set()
    assert journal.records() == ()


def test_records_in_use_are_not_withdrawn(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    solver.present(challenge())

    solver.remove_leftovers()

    assert len(provider.records) == 1
    assert len(journal.records()) == 1


def test_remove_leftovers_stops_at_an_unreachable_provider(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    for name in ("a.example.com", "b.example.com"):
        left = journal.add_record(TextRecord(name, "x", "example.com"), now=NOW)
        journal.entries[left.id] = replace(left, abandoned=True)
    provider.trouble = ChallengeError("out of reach")

    solver.remove_leftovers()

    assert journal.steps.count("withdraw a.example.com") == 1
    assert "withdraw b.example.com" not in journal.steps


@pytest.mark.parametrize("broken", ["records", "remove", "abandon"])
def test_clean_up_never_raises(
    solver: Dns01Solver,
    provider: Provider,
    journal: Journal,
    caplog: pytest.LogCaptureFixture,
    broken: str,
) -> None:
    solver.present(challenge())
    journal.broken[broken] = StorageError("disk gone")
    if broken == "abandon":
        provider.trouble = ChallengeError("out of reach")

    solver.clean_up(challenge())
    solver.remove_leftovers()

    assert "disk gone" in caplog.text


def test_threads_publish_and_withdraw_in_parallel(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    challenges = [challenge(f"h{number}.example.com") for number in range(20)]

    def run(each: Challenge) -> None:
        solver.present(each)
        solver.clean_up(each)

    threads = [threading.Thread(target=run, args=(each,)) for each in challenges]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert provider.records == set()
    assert journal.records() == ()


# --------------------------------------------------------------------------- self-test


def self_test(
    *names: str, kind: str = "dns-01", account_url: str = "", check_propagation: bool = False
) -> SelfTest:
    return SelfTest(kind, "boston", names, account_url, check_propagation=check_propagation)


def test_a_test_record_is_published_once_per_name_and_withdrawn(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    assert solver.test_records(self_test("vpn.example.com", "*.vpn.example.com")) == ()
    assert journal.steps == [
        f"add {NAME}", f"publish {NAME}", f"withdraw {NAME}", f"remove {NAME}",
    ]  # fmt: skip
    assert provider.records == set()


def test_a_zone_that_takes_records_is_not_tested_for_every_order(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    solver.present(challenge())
    journal.steps.clear()
    assert solver.test_records(self_test("vpn.example.com", "web.example.com")) == ()
    assert journal.steps == []

    provider.refusal = RecordRefusedError("the key is wrong")
    with pytest.raises(RecordRefusedError):
        solver.present(challenge("web.example.com"))
    with pytest.raises(RecordRefusedError):
        solver.test_records(self_test("vpn.example.com"))
    provider.refusal = None
    assert solver.test_records(self_test("web.example.com")) == ()
    assert solver.test_records(self_test("vpn.example.com", check_propagation=True)) != ()
    assert provider.records == {TextRecord(NAME, validation_value(challenge()), "example.com")}


def test_propagation_is_tested_on_request(solver: Dns01Solver, provider: Provider) -> None:
    (problem,) = solver.test_records(self_test("vpn.example.com", check_propagation=True))
    assert "ns1.example.com (192.0.2.1:53) does not have the record" in problem
    assert provider.records == set()


def test_an_ignored_nameserver_is_reported(
    solver: Dns01Solver, server: Server, zones: Zones, provider: Provider
) -> None:
    zones.servers = (SERVER, LAME)
    server.problems["ns2.example.com"] = "answers REFUSED"
    server.provider = provider

    (problem,) = solver.test_records(self_test("vpn.example.com", check_propagation=True))

    assert "ns2.example.com (192.0.2.2:53) answers REFUSED" in problem


def test_a_refused_test_record_is_an_error(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    provider.refusal = RecordRefusedError("the key is wrong")
    with pytest.raises(RecordRefusedError):
        solver.test_records(self_test("vpn.example.com"))
    assert journal.records() == ()


def test_dns_account_01_cannot_be_tested_without_an_account(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    (problem,) = solver.test_records(self_test("vpn.example.com", kind="dns-account-01"))
    assert "no ACME account yet" in problem
    assert journal.steps == []
    url = "https://ca.example/acct/1"
    assert (
        solver.test_records(self_test("vpn.example.com", kind="dns-account-01", account_url=url))
        == ()
    )
    assert journal.steps[1].startswith("publish _")
    assert provider.records == set()
