"""Publishing, waiting and withdrawing, with a journal that outlives everything."""

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
    """A nameserver that answers every question alike.

    Attributes:
        provider: Whose records it has at once, where it follows one.
        problems: What is said of others, by name.
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


# --------------------------------------------------------------------------- presenting


def test_a_record_is_written_down_before_it_is_published_and_forgotten_after_it_is_withdrawn(
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


def test_the_record_goes_where_the_alias_leads(
    solver: Dns01Solver, provider: Provider, zones: Zones
) -> None:
    zones.aliases[NAME] = "vpn.challenges.example.com"

    solver.present(challenge())

    assert {record.name for record in provider.records} == {"vpn.challenges.example.com"}


def test_a_zone_that_was_configured_is_taken(
    provider: Provider, zones: Zones, journal: Journal
) -> None:
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


def test_a_provider_that_was_never_asked_leaves_nothing_and_is_not_said_to(
    solver: Dns01Solver, provider: Provider, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    provider.refusal = provider.trouble = ProviderNotContactedError("not installed")

    with pytest.raises(ProviderNotContactedError, match="not installed"):
        solver.present(challenge())

    assert journal.steps == [f"add {NAME}", f"publish {NAME}", f"remove {NAME}"]
    assert caplog.text == ""


@pytest.mark.parametrize("trouble", [ChallengeError("no answer"), KeyboardInterrupt()])
def test_what_may_have_been_published_is_withdrawn(
    solver: Dns01Solver, provider: Provider, journal: Journal, trouble: BaseException
) -> None:
    provider.refusal = trouble

    with pytest.raises(type(trouble)):
        solver.present(challenge())

    assert journal.steps[-2:] == [f"withdraw {NAME}", f"remove {NAME}"]


def test_a_record_that_cannot_be_written_down_is_not_published(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    journal.broken["add"] = StorageError("disk full")

    with pytest.raises(StorageError):
        solver.present(challenge())

    assert provider.records == set()


# --------------------------------------------------------------------------- waiting


def test_waiting_is_over_when_the_nameserver_has_the_record(
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


def test_a_nameserver_that_refuses_is_warned_of_beside_one_that_is_right(
    solver: Dns01Solver, server: Server, zones: Zones, caplog: pytest.LogCaptureFixture
) -> None:
    zones.servers = (SERVER, LAME)
    server.problems["ns2.example.com"] = "answers REFUSED"
    server.texts = (validation_value(challenge()),)
    solver.present(challenge())

    solver.wait(challenge(), Deadline.after(1))

    assert "ns2.example.com (192.0.2.2:53) answers REFUSED" in caplog.text
    assert "ns1" not in caplog.text


def test_where_no_nameserver_can_be_asked_the_error_names_the_resolver(
    solver: Dns01Solver, server: Server
) -> None:
    server.problems["ns1.example.com"] = "does not answer"
    solver.present(challenge())

    with pytest.raises(RecordNotVisibleError, match="gives a usable answer") as caught:
        solver.wait(challenge(), Deadline.after(0.02))

    assert "challenges.dns-01.propagation: recursive" in caught.value.fix


def test_a_resolver_is_asked_no_sooner_than_one_interval_later(
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


def test_leaving_interrupts_the_wait_and_is_no_failure_of_the_record(
    solver: Dns01Solver, server: Server
) -> None:
    server.texts = ()
    leaving = threading.Event()
    leaving.set()
    solver.present(challenge())

    with pytest.raises(InterruptedOrderError):
        solver.wait(challenge(), Deadline.after(10, leaving))


def test_nothing_is_waited_for_that_was_not_published(solver: Dns01Solver) -> None:
    with pytest.raises(ChallengeError, match="no record was published"):
        solver.wait(challenge(), Deadline.after(1))


def test_nobody_knows_when_the_authority_has_asked(solver: Dns01Solver) -> None:
    assert not solver.wait_for_request(challenge(), 0.001)


# --------------------------------------------------------------------------- withdrawing


def test_what_was_never_published_needs_no_cleaning_up(
    solver: Dns01Solver, journal: Journal
) -> None:
    solver.clean_up(challenge())

    assert journal.steps == []


def test_a_record_that_two_orders_want_goes_with_the_last(
    provider: Provider, zones: Zones, journal: Journal
) -> None:
    first, second = (make(provider, zones, journal) for _ in range(2))
    first.present(challenge())
    second.present(challenge())

    first.clean_up(challenge())
    assert len(provider.records) == 1

    second.clean_up(challenge())
    assert provider.records == set()


def test_a_provider_out_of_reach_leaves_the_record_for_later(
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


def test_a_challenge_that_is_over_clears_what_others_left(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    left = journal.add_record(TextRecord("left.example.com", "x", "example.com"), now=NOW)
    journal.entries[left.id] = replace(left, abandoned=True)
    provider.records.add(left.record)
    solver.present(challenge())

    solver.clean_up(challenge())

    assert provider.records == set()
    assert journal.records() == ()


def test_tidying_leaves_alone_what_somebody_works_with(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    solver.present(challenge())

    solver.remove_leftovers()

    assert len(provider.records) == 1
    assert len(journal.records()) == 1


def test_tidying_stops_at_a_provider_that_is_out_of_reach(
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
def test_cleaning_up_never_raises(
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


def test_many_threads_publish_and_withdraw_at_once(
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


# --------------------------------------------------------------------------- trying out


def trial(
    *names: str, kind: str = "dns-01", account_url: str = "", check_propagation: bool = False
) -> SelfTest:
    return SelfTest(kind, "boston", names, account_url, check_propagation=check_propagation)


def test_a_record_of_no_use_is_published_once_a_name_and_withdrawn(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    assert solver.test_records(trial("vpn.example.com", "*.vpn.example.com")) == ()
    assert journal.steps == [
        f"add {NAME}", f"publish {NAME}", f"withdraw {NAME}", f"remove {NAME}",
    ]  # fmt: skip
    assert provider.records == set()


def test_it_is_looked_for_where_that_is_asked(solver: Dns01Solver, provider: Provider) -> None:
    (problem,) = solver.test_records(trial("vpn.example.com", check_propagation=True))
    assert "ns1.example.com (192.0.2.1:53) does not have the record" in problem
    assert provider.records == set()


def test_a_nameserver_that_is_passed_over_is_told(
    solver: Dns01Solver, server: Server, zones: Zones, provider: Provider
) -> None:
    zones.servers = (SERVER, LAME)
    server.problems["ns2.example.com"] = "answers REFUSED"
    server.provider = provider

    (problem,) = solver.test_records(trial("vpn.example.com", check_propagation=True))

    assert "ns2.example.com (192.0.2.2:53) answers REFUSED" in problem


def test_what_is_refused_is_certain_to_be_refused(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    provider.refusal = RecordRefusedError("the key is wrong")
    with pytest.raises(RecordRefusedError):
        solver.test_records(trial("vpn.example.com"))
    assert journal.records() == ()


def test_before_there_is_an_account_its_label_is_not_known(
    solver: Dns01Solver, provider: Provider, journal: Journal
) -> None:
    (problem,) = solver.test_records(trial("vpn.example.com", kind="dns-account-01"))
    assert "no ACME account yet" in problem
    assert journal.steps == []
    url = "https://ca.example/acct/1"
    assert (
        solver.test_records(trial("vpn.example.com", kind="dns-account-01", account_url=url)) == ()
    )
    assert journal.steps[1].startswith("publish _")
    assert provider.records == set()
