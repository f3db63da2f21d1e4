"""Gathering facts, which changes nothing permanently."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.fakes.doctor_facts import (
    BOOTSTRAP,
    HOSTNAME,
    LIVE,
    NOW,
    SURVEY,
    TARGET,
    certificate,
    situation,
)

from gatecert.acme.order_journal import PREFIX
from gatecert.acme.rate_limits import RemainingAllowance
from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.challenge.solver import SelfTest
from gatecert.client_ca.bundle import Bundle
from gatecert.client_ca.bundle_warnings import WarningKind
from gatecert.doctor import gather
from gatecert.doctor.facts import ChallengeSelfTest
from gatecert.doctor.gather import (
    FactSources,
    domain_names,
    gather_gateway_facts,
    gather_machine_facts,
    self_test_challenges,
)
from gatecert.errors import (
    AddressInUseError,
    AuthorityError,
    AuthorityUnreachableError,
    ChallengeError,
    InterruptedOrderError,
    RecordNotVisibleError,
    ResolutionError,
    StorageError,
)
from gatecert.model import (
    ClientAuthentication,
    Endpoint,
    Identifier,
    IdentifierType,
    InstallPlan,
    KeyRequest,
    KeyType,
    Member,
    Mode,
    Probe,
    RateLimit,
    Resolution,
)
from gatecert.resolve.caa import CaaPolicy
from gatecert.resolve.gateway_addresses import GatewayAddresses
from gatecert.resolve.lookup import LookupResult, LookupStatus
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from gatecert.acme.directory_check import DirectoryReport
    from gatecert.challenge.solver import Challenge
    from gatecert.deadline import Deadline

LEFT = RemainingAllowance("orders", 299, RateLimit(300, timedelta(hours=3)))
ROOT = certificate("Root")[0]
PRIVATE_KEY = key.generate(KeyType.ECDSA_P256)
CSR = build_request(PRIVATE_KEY, TARGET.identifiers, common_name=HOSTNAME)


class Names:
    def look_up(self, names: Sequence[str]) -> tuple[LookupResult, ...]:
        return tuple(LookupResult(name, LookupStatus.ADDRESSES, ("192.0.2.7",)) for name in names)

    def look_up_caa(self, names: Sequence[str]) -> tuple[CaaPolicy, ...]:
        return tuple(CaaPolicy(name) for name in names)


@dataclass
class Authority:
    error: Exception | None = None
    asked: int = 0
    unreadable: StorageError | None = None
    lifetimes: list[timedelta | None] = field(default_factory=list)

    def check_directory(self, cancelled: threading.Event | None = None) -> DirectoryReport:
        assert cancelled is None
        self.asked += 1
        if self.error is not None:
            raise self.error
        return SURVEY

    def remaining_limits(
        self,
        names: Sequence[str],
        now: Callable[[], datetime],
        lifetime: timedelta | None = None,
    ) -> tuple[RemainingAllowance, ...]:
        assert (list(names), now()) == ([HOSTNAME], NOW)
        self.lifetimes.append(lifetime)
        if self.unreadable is not None:
            raise self.unreadable
        return (LEFT,)


class MuteSolver:
    """A solver without a self-test."""

    def present(self, challenge: Challenge) -> None: ...

    def wait(self, challenge: Challenge, deadline: Deadline) -> None: ...

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        raise AssertionError(challenge, seconds)

    def clean_up(self, challenge: Challenge) -> None: ...


@dataclass
class TrialSolver(MuteSolver):
    complaints: tuple[str, ...] = ()
    error: Exception | None = None
    names: list[tuple[str, ...]] = field(default_factory=list)

    def self_test(self, names: Sequence[str] = ()) -> tuple[str, ...]:
        self.names.append(tuple(names))
        if self.error is not None:
            raise self.error
        return self.complaints


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def solver() -> TrialSolver:
    return TrialSolver()


@pytest.fixture
def sources(tmp_path: Path, authority: Authority, solver: TrialSolver) -> FactSources:
    return FactSources(
        store=FileStore(tmp_path / "state"),
        state_directory=tmp_path / "state",
        authorities={"acme": authority},
        solvers={"http-01": solver, "dns-01": MuteSolver()},
        resolver=Names(),
        now=lambda: NOW,
        roots=lambda: (ROOT,),
    )


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.touch(0o600)
    return path


# --------------------------------------------------------------------- the machine


def test_machine_facts_are_gathered(
    sources: FactSources, configuration: Path, authority: Authority
) -> None:
    found = gather_machine_facts(sources, configuration, [TARGET] * 7, [TARGET, TARGET])
    assert (found.gateways, found.daemon, found.storage, found.exposures) == (7, None, None, ())
    assert found.free
    assert found.directory_reports == {"acme": SURVEY}
    assert authority.asked == 1
    assert list(sources.state_directory.iterdir()) == []


def test_errors_are_facts_too(
    sources: FactSources, configuration: Path, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("no directory")
    authority.error = AuthorityUnreachableError("gone")
    sources = replace(sources, state_directory=tmp_path / "state" / "below")
    found = gather_machine_facts(sources, configuration, [TARGET], [TARGET])
    assert isinstance(found.storage, StorageError)
    assert found.free is None
    assert found.directory_reports == {"acme": authority.error}


def test_authorities_are_not_contacted_for_gateways_that_never_enrol(
    sources: FactSources, configuration: Path, authority: Authority
) -> None:
    custom = replace(TARGET, mode=Mode.CUSTOM, authorities=())
    assert gather_machine_facts(sources, configuration, [TARGET], [custom]).directory_reports == {}
    assert authority.asked == 0


def test_key_groups_of_all_gateways_are_respected(
    sources: FactSources, configuration: Path
) -> None:
    install = replace(TARGET.install, key_group="ssl-cert")
    other = replace(TARGET, name="other", mode=Mode.CUSTOM, install=install)
    key = sources.state_directory / "gateways/other/versions/1/privkey.pem"
    key.parent.mkdir(parents=True)
    key.touch(0o640)
    found = gather_machine_facts(sources, configuration, [TARGET, other], [TARGET])
    assert found.exposures == ()
    found = gather_machine_facts(sources, configuration, [TARGET], [TARGET])
    assert [each.path for each in found.exposures] == [key]


# --------------------------------------------------------------------- a gateway


def test_gateway_facts_are_gathered(
    sources: FactSources, configuration: Path, solver: TrialSolver
) -> None:
    machine = gather_machine_facts(sources, configuration, [TARGET], [TARGET])
    target = replace(TARGET, install=InstallPlan())
    said = Probe(None, "", matches=False, detail="no")
    sources = replace(sources, ask_command=lambda _, __: said)
    leaf = certificate("leaf", issuer="Root")[0].public_bytes(Encoding.PEM)
    live = replace(LIVE, version=replace(LIVE.version, certificate=leaf))
    found = gather_gateway_facts(sources, situation(target=target), live, machine)
    assert found.directory_reports == (SURVEY,)
    assert isinstance(found.resolution, Resolution)
    assert found.policies == (CaaPolicy(HOSTNAME),)
    assert found.self_tests == (ChallengeSelfTest("http-01"),)
    assert solver.names == [(HOSTNAME,)]
    assert found.by_command is said
    assert (found.by_name, found.by_address) == ((), ())
    assert (found.client_ca, found.client_ca_warnings) == (Bundle(), ())
    assert found.limits == (("acme", LEFT),)
    assert found.root is not None
    assert found.root.certificate is None  # a namesake did not sign it
    assert not found.behind_nat


@pytest.mark.enable_socket
def test_listener_with_server_name_is_not_probed_without_one(
    sources: FactSources, configuration: Path
) -> None:
    machine = gather_machine_facts(sources, configuration, [TARGET], [TARGET])
    nowhere = Endpoint("127.0.0.1", 1)
    listeners = (nowhere, replace(nowhere, server_name="www.example.com"))
    target = replace(TARGET, install=InstallPlan(verify=listeners))
    found = gather_gateway_facts(sources, situation(target=target), None, machine)
    assert [each.endpoint for each in found.by_name] == list(listeners)
    assert [each.endpoint for each in found.by_address] == [nowhere]


def test_stored_root_is_found(sources: FactSources, configuration: Path) -> None:
    machine = gather_machine_facts(sources, configuration, [TARGET], [TARGET])
    itself = certificate("Private Root")[0].public_bytes(Encoding.PEM)
    version = replace(LIVE.version, certificate=itself)
    live = replace(LIVE, version=version)
    directory = sources.store.version_directory(version)
    directory.mkdir(parents=True)
    (directory / "root.pem").write_bytes(itself)
    target = replace(TARGET, install=InstallPlan())
    found = gather_gateway_facts(sources, situation(target=target), live, machine).root
    assert found is not None
    assert (found.name, found.trusted) == ("CN=Private Root", False)


@pytest.mark.parametrize(
    "changes",
    [
        {"target": replace(TARGET, mode=Mode.CUSTOM, install=InstallPlan(), authorities=())},
        {"target": replace(TARGET, install=InstallPlan()), "excluded_region": "cn"},
    ],
)
def test_gateway_that_never_enrols_has_no_enrolment_facts(
    sources: FactSources, configuration: Path, solver: TrialSolver, changes: dict[str, object]
) -> None:
    machine = gather_machine_facts(sources, configuration, [TARGET], [])
    found = gather_gateway_facts(sources, situation(**changes), BOOTSTRAP, machine)
    assert (found.directory_reports, found.policies, found.self_tests, found.root) == (
        (),
        (),
        (),
        None,
    )
    assert solver.names == []


def test_csrs_of_orders_are_left_out(sources: FactSources, configuration: Path) -> None:
    for identity in ("20261123", f"{PREFIX}1"):
        sources.store.add_request("vpn", KeyRequest(identity, NOW, PRIVATE_KEY, CSR))
    machine = gather_machine_facts(sources, configuration, [TARGET], [TARGET])
    target = replace(TARGET, install=InstallPlan())
    found = gather_gateway_facts(sources, situation(target=target), None, machine)
    assert [request.id for request in found.requests] == ["20261123"]


@pytest.mark.parametrize(
    ("content", "kind"), [(ROOT.public_bytes(Encoding.PEM), Bundle), (b"damaged", StorageError)]
)
def test_client_cas_are_gathered(
    sources: FactSources, configuration: Path, content: bytes, kind: type
) -> None:
    bundle = sources.store.gateway_directory("vpn") / "client-ca" / "bundle.pem"
    bundle.parent.mkdir(parents=True)
    bundle.write_bytes(content)
    machine = gather_machine_facts(sources, configuration, [TARGET], [TARGET])
    target = replace(TARGET, install=InstallPlan())
    assert isinstance(
        gather_gateway_facts(sources, situation(target=target), None, machine).client_ca, kind
    )


def test_unreadable_client_cas_are_a_fact(sources: FactSources, configuration: Path) -> None:
    bundle = sources.store.gateway_directory("vpn") / "client-ca" / "bundle.pem"
    bundle.mkdir(parents=True)
    machine = gather_machine_facts(sources, configuration, [TARGET], [TARGET])
    target = replace(TARGET, install=InstallPlan())
    found = gather_gateway_facts(sources, situation(target=target), None, machine)
    assert isinstance(found.client_ca, StorageError)
    assert found.client_ca_warnings == ()


def test_unreadable_limits_are_left_out(
    sources: FactSources, configuration: Path, authority: Authority
) -> None:
    authority.unreadable = StorageError("damaged")
    machine = gather_machine_facts(sources, configuration, [TARGET], [TARGET])
    target = replace(TARGET, install=InstallPlan())
    assert gather_gateway_facts(sources, situation(target=target), None, machine).limits == ()
    assert authority.lifetimes == [None]


def test_client_ca_warnings_are_gathered(
    sources: FactSources, configuration: Path, tmp_path: Path
) -> None:
    machine = gather_machine_facts(sources, configuration, [TARGET], [TARGET])
    demanded = ClientAuthentication(known_users=tmp_path / "nowhere")
    target = replace(TARGET, install=InstallPlan(), client_authentication=demanded)
    (concern,) = gather_gateway_facts(
        sources, situation(target=target), None, machine
    ).client_ca_warnings
    assert concern.kind is WarningKind.USERS_UNREADABLE


@pytest.mark.parametrize("known", [True, False])
def test_pair_behind_nat_is_detected(
    sources: FactSources, configuration: Path, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    def addresses(configured: Sequence[str]) -> GatewayAddresses:
        if not known:
            raise ResolutionError("not told")
        return GatewayAddresses((), behind_nat=not configured)

    monkeypatch.setattr(gather, "own_addresses", addresses)
    pair = replace(TARGET, install=InstallPlan(), members=(Member("one", "1.example"),))
    machine = gather_machine_facts(sources, configuration, [TARGET], [TARGET])
    found = gather_gateway_facts(sources, situation(target=pair), None, machine)
    assert found.behind_nat is known
    assert isinstance(found.resolution, Resolution if known else ResolutionError)


# --------------------------------------------------------------------- challenges


def test_domain_names_exclude_addresses() -> None:
    both = replace(TARGET, identifiers=(*TARGET.identifiers, Identifier(IdentifierType.IP, "::1")))
    assert domain_names(both) == (HOSTNAME,)


def test_every_configured_challenge_is_tested(solver: TrialSolver) -> None:
    target = replace(TARGET, challenges=("tls-alpn-01", "dns-01", "http-01"))
    solvers = {"http-01": solver, "dns-01": MuteSolver()}
    assert self_test_challenges(solvers, target) == (
        ChallengeSelfTest("dns-01", tried=False),
        ChallengeSelfTest("http-01"),
    )
    solver.complaints = ("odd",)
    assert self_test_challenges(solvers, target)[1] == ChallengeSelfTest(
        "http-01", complaints=("odd",)
    )
    solver.error = AddressInUseError("taken")
    assert self_test_challenges(solvers, target)[1] == ChallengeSelfTest(
        "http-01", error=solver.error
    )


def test_wildcards_are_not_fetched(solver: TrialSolver) -> None:
    wild = Identifier(IdentifierType.DNS, f"*.{HOSTNAME}")
    both = replace(TARGET, identifiers=(wild, *TARGET.identifiers))
    self_test_challenges({"http-01": solver}, both, thorough=True)
    self_test_challenges({"http-01": solver}, both)
    assert solver.names == [(HOSTNAME,), ()]


@dataclass
class RecordSolver(MuteSolver):
    trials: list[SelfTest] = field(default_factory=list)
    error: Exception | None = None

    def test_records(self, trial: SelfTest) -> tuple[str, ...]:
        self.trials.append(trial)
        if self.error is not None:
            raise self.error
        return ("odd",) if trial.check_propagation else ()


def test_records_are_tested_once_per_account() -> None:
    solver = RecordSolver()
    kinds = ("dns-01", "dns-account-01", "dns-persist-01")
    target = replace(TARGET, challenges=kinds)
    other = replace(SURVEY, label="the other", account_url="https://other.test/1")
    found = self_test_challenges(
        dict.fromkeys(kinds, solver), target, [SURVEY, AuthorityError("gone"), other], thorough=True
    )
    assert [each.kind for each in found] == [
        "dns-01",
        f"dns-account-01 ({SURVEY.label})",
        "dns-account-01 (the other)",
        f"dns-persist-01 ({SURVEY.label})",
        "dns-persist-01 (the other)",
    ]
    assert {each.complaints for each in found} == {("odd",)}
    plain, bound = solver.trials[0], solver.trials[-1]
    assert plain == SelfTest("dns-01", "vpn", (HOSTNAME,), check_propagation=True)
    assert (bound.account_url, bound.issuers) == ("https://other.test/1", ("ca.test",))


def test_records_are_tested_for_names_only() -> None:
    solver = RecordSolver(error=RecordNotVisibleError("missing"))
    target = replace(TARGET, challenges=("dns-01",))
    (found,) = self_test_challenges({"dns-01": solver}, target)
    assert found.error is solver.error
    assert not solver.trials[0].check_propagation
    address = replace(target, identifiers=(Identifier(IdentifierType.IP, "192.0.2.7"),))
    assert self_test_challenges({"dns-01": solver}, address) == ()


def test_unexpected_error_of_one_challenge_leaves_the_others(solver: TrialSolver) -> None:
    target = replace(TARGET, challenges=("dns-01", "http-01"))
    broken = RecordSolver(error=EOFError("the end"))

    failed, fine = self_test_challenges({"dns-01": broken, "http-01": solver}, target)

    assert isinstance(failed.error, ChallengeError)
    assert failed.error.message == "unexpected EOFError: the end"
    assert fine == ChallengeSelfTest("http-01")


def test_self_test_ends_when_gatecert_stops() -> None:
    stopping = RecordSolver(error=InterruptedOrderError("stopping"))

    with pytest.raises(InterruptedOrderError):
        self_test_challenges({"dns-01": stopping}, replace(TARGET, challenges=("dns-01",)))


class Unasked:
    """A resolver that must not be asked."""

    def look_up(self, names: Sequence[str]) -> tuple[LookupResult, ...]:
        raise AssertionError(names)

    def look_up_caa(self, names: Sequence[str]) -> tuple[CaaPolicy, ...]:
        raise AssertionError(names)


def test_without_look_ups_no_resolver_is_asked(sources: FactSources, configuration: Path) -> None:
    machine = gather_machine_facts(sources, configuration, [TARGET], [TARGET])
    sources = replace(sources, resolver=Unasked())
    target = replace(TARGET, is_looked_up=False, challenges=(), install=InstallPlan())
    found = gather_gateway_facts(sources, situation(target=target), None, machine)
    assert (found.resolution, found.policies, found.self_tests) == (None, (), ())
