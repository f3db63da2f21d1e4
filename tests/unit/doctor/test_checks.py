"""Every code, each caused by one problem."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, HOUR, MINUTE
from tests.fakes.cluster_views import deployed, host, view
from tests.fakes.doctor_facts import (
    BOOTSTRAP,
    HERE,
    HOSTNAME,
    LISTENER,
    LIVE,
    NOW,
    SERVED,
    STATE,
    SUMMARY,
    SURVEY,
    TARGET,
    case,
    certificate,
    machine,
    situation,
)

from gatecert.acme.rate_limits import RemainingAllowance
from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.client_ca.bundle import Bundle
from gatecert.client_ca.bundle_warnings import BundleWarning, WarningKind
from gatecert.deploy.reload_unit import ReloadUnit, ServerUnit, reload_problem
from gatecert.doctor import codes, fleet_codes
from gatecert.doctor.checks import ORDER, GatewayCheck, MachineCheck, run_checks
from gatecert.doctor.facts import (
    ChallengeSelfTest,
    Exposure,
    GatewayFacts,
    MachineFacts,
    OpenListener,
    Root,
)
from gatecert.doctor.finding import Code, Severity
from gatecert.errors import (
    AddressInUseError,
    AuthorityError,
    AuthorityUnreachableError,
    ChallengeError,
    ClientCertificateError,
    DeadlineExceededError,
    ExternalAccountRequiredError,
    InsecureURLError,
    Problem,
    ProfileMissingError,
    RecordNotVisibleError,
    ResolutionError,
    SealingKeyMissingError,
    StateError,
    StorageError,
    TermsNotAgreedError,
)
from gatecert.model import (
    AddressRecords,
    AuthorityFailure,
    ClientAuthentication,
    DatabaseProblem,
    DdnsProblem,
    DdnsState,
    Deployment,
    DeploymentOutcome,
    Endpoint,
    EnrolmentState,
    FailureKind,
    GatewayState,
    HostState,
    Identifier,
    IdentifierType,
    InstallPlan,
    KeyRequest,
    KeyType,
    Member,
    Mode,
    Outcome,
    OutcomeKind,
    PendingOrder,
    Probe,
    RateLimit,
    RecordKind,
    Resolution,
    ResolutionKind,
    RevocationReason,
    RevocationState,
)
from gatecert.model.fleet import FleetHalt
from gatecert.report.monitoring_status import ListenerStatus, MonitoringStatus, ReceiverStatus
from gatecert.resolve.caa import CaaPolicy, Property
from gatecert.verify.served_chain import ProbeFailure

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from gatecert.model.cluster_view import HostDeployment

CUSTOM = replace(TARGET, mode=Mode.CUSTOM, authorities=())
PAIR = replace(TARGET, members=(Member("one", "one.example"), Member("two", "two.example")))
UNPLANNED = replace(TARGET, install=InstallPlan())
RELOAD_UNIT = ReloadUnit(
    "vpn",
    "loaded",
    enabled=True,
    active_state="active",
    servers=(ServerUnit("ocserv.service", "loaded", "active", can_reload=True),),
    ended=NOW,
)
NOT_SET_UP = ReloadUnit("vpn", "loaded")
ADDRESSED = replace(
    SUMMARY, identifiers=(*SUMMARY.identifiers, Identifier(IdentifierType.IP, "127.0.0.1"))
)
FAILED = Outcome("vpn", NOW, OutcomeKind.FAILED, "the authority said no", code="acme")
NO_PROGRAM = Problem("config.yaml:7", "gateways.vpn.install.reload[0]", "there is no program")
PUBLISHED = (AddressRecords(RecordKind.A, ("192.0.2.7",)),)
HOURLY = RateLimit(300, 3 * HOUR)
USERS = Bundle((certificate("Users")[0],))
REQUEST = KeyRequest(
    "20261123",
    NOW,
    b"",
    build_request(key.generate(KeyType.ECDSA_P256), TARGET.identifiers, common_name=HOSTNAME),
)


def reloaded_by(unit: ReloadUnit) -> GatewayFacts:
    problem = reload_problem(unit, STATE / "gateways" / "vpn")
    return case(target=UNPLANNED, reload_unit=unit, reload_problem=problem)


def resolved(kind: ResolutionKind, *, required: bool = True) -> GatewayFacts:
    name = replace(HERE, kind=kind, detail=f"it ended as {kind}", required=required)
    return case(resolution=Resolution(NOW, (name,)))


def reached(ahead: timedelta | None) -> MachineFacts:
    return machine(directory_reports={"acme": replace(SURVEY, clock_ahead=ahead)})


def presenting(*, until: datetime) -> MachineFacts:
    report = replace(SURVEY, client_certificate=certificate("gateway", ends=until)[0])
    return machine(directory_reports={"acme": report})


def unreached(error: AuthorityError | StateError) -> MachineFacts:
    return machine(directory_reports={"acme": error})


def exposed(path: Path, *, foreign: bool = False) -> MachineFacts:
    return machine(exposures=(Exposure(path, "has mode 0644", "chmod 0600 it", foreign),))


def forwarded(forwarder: str | None) -> OpenListener:
    return OpenListener("http-01", Endpoint("127.0.0.1", 8089), forwarder)


def caa(value: str) -> GatewayFacts:
    forbidden = CaaPolicy(HOSTNAME, "example.com", (Property(False, "issue", value),))  # noqa: FBT003 - by order
    return case(policies=(forbidden,))


def self_tested(*self_tests: ChallengeSelfTest) -> GatewayFacts:
    return case(self_tests=self_tests)


def bootstrapped(age: timedelta, **changes: object) -> GatewayFacts:
    held = replace(BOOTSTRAP, version=replace(BOOTSTRAP.version, created=NOW - age))
    return case(live=held, situation=situation(live=held.summary), root=None, **changes)


def shown(kind: FailureKind) -> GatewayFacts:
    return case(by_name=(ProbeFailure(LISTENER, kind, "does not"),))


EMPTY = GatewayState()


def stated(
    enrolment: EnrolmentState = EMPTY.enrolment, host: HostState = EMPTY.host
) -> GatewayFacts:
    return case(situation=situation(state=GatewayState(enrolment, host)))


def kept(state: DdnsState) -> GatewayFacts:
    """Return a gateway with dynamic DNS."""
    return replace(stated(host=HostState(ddns=state)), target=replace(TARGET, keeps_records=True))


def kept_with(code: str) -> GatewayFacts:
    return kept(DdnsState(problem=DdnsProblem(code, "so it is", "do it", NOW)))


def troubled(*troubles: AuthorityFailure) -> GatewayFacts:
    """Return a gateway with two authorities."""
    target = replace(TARGET, authorities=("acme", "back"))
    return replace(stated(EnrolmentState(troubles=troubles)), target=target)


def demanding(**changes: object) -> GatewayFacts:
    """Return a gateway whose server asks for client certificates as configured."""
    plain: dict[str, object] = {
        "target": replace(TARGET, client_authentication=ClientAuthentication()),
        "client_ca": USERS,
        "by_name": (replace(SERVED, requested_client_cas=("CN=Users",)),),
    }
    return case(**{**plain, **changes})


def worried(kind: WarningKind, days: int) -> GatewayFacts:
    key = USERS.client_cas()[0].fingerprint
    return demanding(client_ca_warnings=(BundleWarning(kind, key, days, "so it is", "do it"),))


def revocation_state(**fields: object) -> RevocationState:
    plain = RevocationState(SUMMARY.fingerprint, NOW + DAY, source="http://ca.example/1.crl")
    return replace(plain, **fields)  # type: ignore[arg-type] # names of fields


PAIR_OF_HOSTS = (host("gw-a"), host("gw-b"))
PROVEN_BY_BOTH = view(PAIR_OF_HOSTS, deployed("gw-a"), deployed("gw-b"))
LATER = NOW + 20 * MINUTE
REPLICA = replace(PROVEN_BY_BOTH.database, synchronous=False)


def refusing(code: str) -> MachineFacts:
    """Return a machine whose database cannot be used."""
    return machine(cluster=DatabaseProblem(NOW, code, "so it is", "do it"))


def sharing(**changes: object) -> MachineFacts:
    """Return a machine in a cluster."""
    seen = replace(PROVEN_BY_BOTH, **changes)  # type: ignore[arg-type] # names of fields
    return machine(cluster=seen, clock_ahead=timedelta(0))


def rolled_out(*deployments: HostDeployment, at: datetime = NOW) -> GatewayFacts:
    """Return a gateway whose newest certificate was shared at `NOW`, and two live hosts."""
    hosts = (host("gw-a", at), host("gw-b", at))
    return case(cluster=view(hosts, *deployments, created=NOW, at=at))


DAMAGED = DatabaseProblem(NOW, "enrolment-damaged", "no schema", "restore it")
MONITORED = MonitoringStatus((ListenerStatus("page", "unix:/page"),), (ReceiverStatus("ops"),))

PROVOKED: list[tuple[Code, MachineFacts | GatewayFacts, str]] = [
    (codes.CONFIGURATION_OK, machine(gateways=2), "2 gateways"),
    (codes.NAMED_MISSING, machine(missing=(NO_PROGRAM,)), "config.yaml:7: gateways.vpn"),
    (codes.LISTENERS_OK, machine(), "no port"),
    (
        codes.LISTENER_EXPOSED,
        machine(open_listeners=(forwarded("nginx"),)),
        "nginx listens on port 80",
    ),
    (
        codes.LISTENER_EXPOSED,
        machine(open_listeners=(forwarded(""),)),
        "another process listens on",
    ),
    (codes.LISTENER_UNPRIVILEGED, machine(open_listeners=(forwarded(None),)), "127.0.0.1:8089"),
    (codes.UNWORKABLE, machine(unworkable=(NO_PROGRAM,)), "there is no program"),
    (codes.FILES_OK, machine(), str(STATE)),
    (codes.KEY_EXPOSED, exposed(STATE / "accounts" / "acme" / "key.pem"), "key.pem has mode"),
    (codes.FILES_FOREIGN, exposed(STATE / "lock", foreign=True), "lock"),
    (codes.STATE_OK, machine(), "5120 MiB"),
    (codes.STATE_OK, machine(free=None), "read back"),
    (codes.STATE_UNWRITABLE, machine(storage=StorageError("disk full", fix="clean")), "disk full"),
    (codes.DAEMON_OK, machine(), "process 42"),
    (codes.DAEMON_STOPPED, machine(daemon=None), "daemon not running"),
    (
        codes.MONITORING_OK,
        machine(monitoring=MONITORED),
        "page at unix:/page, notifications to ops",
    ),
    (
        codes.MONITORING_FAILS,
        machine(
            monitoring=replace(MONITORED, receivers=(ReceiverStatus("ops", problem="refused"),))
        ),
        "notifications to ops: refused",
    ),
    *((code, refusing(name), "so it is") for name, code in fleet_codes.OF_DATABASE.items()),
    (fleet_codes.DATABASE, refusing("state"), "so it is"),
    (fleet_codes.DATABASE_OK, sharing(), "db1:5432, schema 1"),
    (fleet_codes.DATABASE_ASYNCHRONOUS, sharing(database=REPLICA), "db1:5432 confirms"),
    (fleet_codes.ROLE_EXCESS, sharing(excess=("is a superuser",)), "is a superuser"),
    (codes.CLOCK_OFF, replace(sharing(), clock_ahead=DAY), "1 day ahead of that of the fleet"),
    (codes.CLOCK_OFF, replace(sharing(), clock_ahead=-2 * MINUTE), "2 minutes behind that of"),
    (fleet_codes.CLUSTER_OK, sharing(), "gw-a, gw-b"),
    (fleet_codes.HOST_SILENT, sharing(at=LATER), "gw-b is silent since 2026-11-23 12:00:00 UTC"),
    (fleet_codes.HOST_SILENT, sharing(hosts=(host("gw-c", None),)), "gw-c was never seen"),
    (fleet_codes.HOST_TWICE, sharing(hosts=(replace(host("gw-c"), twice=NOW),)), "as host gw-c"),
    (fleet_codes.BRAKE, sharing(halt=FleetHalt(brake_since=NOW, brake_reason="5")), "UTC: 5"),
    (fleet_codes.FLEET_PAUSED, sharing(halt=FleetHalt(paused_since=NOW)), "is paused since 2026"),
    (fleet_codes.ROLLOUT_OK, case(cluster=PROVEN_BY_BOTH), "proven on 2 of 2 hosts"),
    (fleet_codes.ROLLOUT_RUNS, rolled_out(deployed("gw-a")), "proven on 1 of 2 hosts"),
    (
        fleet_codes.ROLLOUT_RUNS,
        rolled_out(deployed("gw-a"), deployed("gw-b", DeploymentOutcome.PENDING), at=LATER),
        "gw-b waits",
    ),
    (
        fleet_codes.GENERATION_BEHIND,
        rolled_out(deployed("gw-a"), deployed("gw-b", generation=11), at=LATER),
        "gw-b has generation 11",
    ),
    (
        fleet_codes.GENERATION_BEHIND,
        rolled_out(deployed("gw-a"), deployed("gw-b", DeploymentOutcome.FAILED, reason="no")),
        "gw-b does not serve it: no",
    ),
    (
        fleet_codes.SEALING_KEY_MISSING,
        case(cluster=replace(PROVEN_BY_BOTH, unopened=("vpn",))),
        "generation 12 is sealed with a key",
    ),
    (
        fleet_codes.ENROLMENT_DAMAGED,
        stated(host=HostState(database=DAMAGED)),
        "no schema",
    ),
    (codes.AUTHORITY_OK, machine(), "ca.test"),
    (codes.AUTHORITY_UNREACHABLE, unreached(AuthorityUnreachableError("gone")), "gone"),
    (codes.AUTHORITY_UNREACHABLE, unreached(DeadlineExceededError("slow")), "slow"),
    (codes.AUTHORITY_INSECURE, unreached(InsecureURLError("http")), "http"),
    (codes.AUTHORITY, unreached(AuthorityError("no", fix="ask")), "no"),
    (codes.STATE_UNWRITABLE, unreached(StorageError("account damaged")), "account damaged"),
    (fleet_codes.SEALING_KEY_MISSING, unreached(SealingKeyMissingError("sealed")), "sealed"),
    (codes.CLIENT_CERTIFICATE, unreached(ClientCertificateError("refused")), "refused"),
    (codes.CLIENT_CERTIFICATE_OK, presenting(until=NOW + 31 * DAY), "ends on 2026-12-24"),
    (codes.CLIENT_CERTIFICATE_ENDS_SOON, presenting(until=NOW + 29 * DAY), "ends on 2026-12-22"),
    (codes.CLIENT_CERTIFICATE_ENDS_SOON, presenting(until=NOW - MINUTE), "ends on 2026-11-23"),
    (codes.CLOCK_OK, reached(30 * timedelta(seconds=1)), "within a minute"),
    (codes.CLOCK_UNKNOWN, reached(None), "no Date"),
    (codes.CLOCK_OFF, reached(90 * timedelta(seconds=1)), "1 minute ahead of"),
    (codes.CLOCK_OFF, reached(-3 * MINUTE), "3 minutes behind"),
    (codes.CLOCK_OFF, reached(5 * HOUR), "5 hours ahead"),
    (codes.CLOCK_WRONG, reached(-6 * MINUTE), "6 minutes behind"),
    (codes.CLOCK_WRONG, reached(400 * DAY), "400 days ahead"),
    (codes.TERMS_OK, machine(), "https://ca.test/account/1"),
    (
        codes.TERMS_OK,
        machine(directory_reports={"acme": replace(SURVEY, account_url="")}),
        "agreed to",
    ),
    (
        codes.TERMS_NOT_AGREED,
        machine(
            directory_reports={
                "acme": replace(SURVEY, refusal=TermsNotAgreedError("no", fix="agree"))
            }
        ),
        "no",
    ),
    (
        codes.BINDING_MISSING,
        machine(
            directory_reports={
                "acme": replace(SURVEY, refusal=ExternalAccountRequiredError("whom?"))
            }
        ),
        "whom?",
    ),
    (
        codes.PROFILE_OK,
        machine(directory_reports={"acme": replace(SURVEY, profile="tiny")}),
        "tiny",
    ),
    (
        codes.PROFILE_MISSING,
        machine(
            directory_reports={
                "acme": replace(SURVEY, profile="tiny", profile_refusal=ProfileMissingError("no"))
            }
        ),
        "no",
    ),
    (codes.REGION_OK, case(), "enrolment allowed (region derived from the hostname)"),
    (codes.REGION_EXCLUDED, case(situation=situation(excluded_region="cn")), "region cn"),
    (codes.DDNS_OK, kept(DdnsState(published=PUBLISHED, published_at=NOW)), "A 192.0.2.7"),
    (codes.DDNS_PENDING, kept(DdnsState()), "nothing was published"),
    (codes.DDNS_NO_ADDRESS, kept_with("ddns-no-address"), "so it is"),
    (codes.DDNS_UNREACHABLE, kept_with("ddns-unreachable"), "so it is"),
    (codes.DDNS_REFUSED, kept_with("ddns-refused"), "so it is"),
    (codes.DDNS_BLOCKED, kept_with("ddns-blocked"), "so it is"),
    (codes.DDNS, kept_with("ddns"), "so it is"),
    (codes.NAMES_OK, case(), "it is here"),
    (
        codes.NAMES_NOT_LOOKED_UP,
        case(target=replace(TARGET, is_looked_up=False), resolution=None, policies=()),
        "not looked up",
    ),
    (codes.BEHIND_NAT, resolved(ResolutionKind.BEHIND_NAT), "behind-nat"),
    (
        codes.NAME_PARTLY_UNKNOWN,
        case(resolution=Resolution(NOW, (replace(HERE, detail="NOTIMP", warning="NOTIMP"),))),
        "NOTIMP",
    ),
    (codes.NAME_NOT_HERE, resolved(ResolutionKind.ELSEWHERE), "elsewhere"),
    (codes.NAME_NO_ADDRESS, resolved(ResolutionKind.NO_ADDRESS), "no-address"),
    (codes.NAME_UNKNOWN, resolved(ResolutionKind.NO_SUCH_NAME), "no-such-name"),
    (codes.RESOLVER_FAILURE, resolved(ResolutionKind.SERVER_FAILURE), "server-failure"),
    (codes.RESOLVER_TIMEOUT, resolved(ResolutionKind.TIMEOUT), "timeout"),
    (codes.RESOLUTION, case(resolution=ResolutionError("no addresses", fix="list")), "no addr"),
    (codes.NAME_ELSEWHERE, resolved(ResolutionKind.ELSEWHERE, required=False), "elsewhere"),
    (codes.USE_CUSTOM_MODE, case(target=PAIR, behind_nat=True), "a virtual IP behind NAT"),
    (codes.CAA_OK, case(), "no CAA records: any CA may issue"),
    (codes.CAA_OK, caa("ca.test"), "vpn.example.com: example.com"),
    (
        codes.CAA_UNKNOWN,
        case(policies=(CaaPolicy(HOSTNAME, "example.com", failure="SERVFAIL"),)),
        "SERVFAIL",
    ),
    (codes.CAA_FORBIDS, caa("other.test"), "only other.test"),
    (codes.CAA_FORBIDS, caa(";"), "allow no CA"),
    (codes.CHALLENGE_OK, case(), "http-01"),
    (codes.CHALLENGE_UNTRIED, self_tested(ChallengeSelfTest("dns-01", tried=False)), "dns-01"),
    (
        codes.CHALLENGE_NOT_FETCHED,
        self_tested(ChallengeSelfTest("http-01", complaints=("not fetched",))),
        "not fetched",
    ),
    (
        codes.CHALLENGE_PASSED_OVER,
        self_tested(
            ChallengeSelfTest("http-01", ChallengeError("not allowed")),
            ChallengeSelfTest("tls-alpn-01"),
        ),
        "http-01: not allowed",
    ),
    (
        codes.RECORD_NOT_VISIBLE,
        self_tested(
            ChallengeSelfTest("dns-persist-01 (acme)", RecordNotVisibleError("there is no record"))
        ),
        "dns-persist-01 (acme): there is no record",
    ),
    (
        codes.ADDRESS_IN_USE,
        self_tested(
            ChallengeSelfTest("http-01", AddressInUseError("taken by nginx", fix="stop it"))
        ),
        "taken by nginx",
    ),
    (
        codes.CHALLENGE,
        self_tested(ChallengeSelfTest("http-01", ChallengeError("not allowed"))),
        "not all",
    ),
    (
        codes.STATE_UNWRITABLE,
        self_tested(ChallengeSelfTest("http-01", StorageError("disk full"))),
        "disk full",
    ),
    (codes.CERTIFICATE_OK, case(), "expires 2027-01-22"),
    (codes.CERTIFICATE_MISSING, case(live=None), "no usable certificate"),
    (
        codes.CERTIFICATE_EXPIRED,
        case(live=replace(LIVE, summary=replace(SUMMARY, not_after=NOW))),
        "expires 2026-11-23 12:00",
    ),
    (
        codes.CERTIFICATE_ENDS_SOON,
        case(live=replace(LIVE, summary=replace(SUMMARY, not_after=NOW + DAY))),
        "expires",
    ),
    (
        codes.CERTIFICATE_ENDS_SOON,
        case(target=CUSTOM, live=replace(LIVE, summary=replace(SUMMARY, not_after=NOW + 29 * DAY))),
        "expires",
    ),
    (
        codes.REVOCATION_OK,
        stated(EnrolmentState(revocation=revocation_state(checked=NOW))),
        "not listed in http://ca.example/1.crl",
    ),
    (
        codes.REVOCATION_UNKNOWN,
        stated(EnrolmentState(revocation=revocation_state(problem="nobody there"))),
        "nobody there",
    ),
    (
        codes.CERTIFICATE_REVOKED,
        stated(
            EnrolmentState(
                revocation=revocation_state(revoked=NOW, reason=RevocationReason.SUPERSEDED)
            )
        ),
        "revoked on 2026",
    ),
    (
        codes.CERTIFICATE_NAMES,
        case(live=replace(LIVE, summary=replace(SUMMARY, identifiers=()))),
        "vpn.example.com not in",
    ),
    (codes.BOOTSTRAP_YOUNG, bootstrapped(9 * MINUTE), "9 min ago"),
    (codes.BOOTSTRAP_YOUNG, bootstrapped(MINUTE), "1 min ago"),
    (codes.BOOTSTRAP_YOUNG, bootstrapped(-HOUR), "later than this machine's clock"),
    (codes.BOOTSTRAP_STILL, bootstrapped(11 * MINUTE), "no attempt to enrol yet"),
    (
        codes.BOOTSTRAP_STILL,
        replace(
            bootstrapped(HOUR),
            situation=situation(
                live=BOOTSTRAP.summary, state=GatewayState(host=HostState(outcome=FAILED))
            ),
        ),
        "the authority said no [acme]",
    ),
    (
        codes.BOOTSTRAP_STILL,
        replace(bootstrapped(HOUR), situation=situation(live=BOOTSTRAP.summary, newest=SUMMARY)),
        "could not be put into service",
    ),
    (codes.BOOTSTRAP_UNTIL_IMPORT, bootstrapped(HOUR, target=CUSTOM), "is installed"),
    (codes.SERVED_OK, case(), "serves the installed certificate"),
    (codes.NOT_VERIFIED, case(target=UNPLANNED, by_name=()), "no listener"),
    (codes.NOT_SERVED, case(by_name=(replace(SERVED, fingerprint="ee"),)), "still serves"),
    (codes.NOT_SERVED, shown(FailureKind.HANDSHAKE), "does not"),
    (codes.MIXED, case(by_name=(SERVED, replace(SERVED, fingerprint="ee"))), "still serves"),
    (
        codes.PROOF_DENIED,
        case(by_command=Probe(None, "", matches=False, detail="verify_command x says no")),
        "says no",
    ),
    (
        codes.SERVED_OK,
        case(by_command=Probe(None, "aa", matches=True, detail="verify_command x says yes")),
        "says yes",
    ),
    (codes.CHAIN_INCOMPLETE, case(by_name=(replace(SERVED, chain_fingerprints=()),)), "0 of 1"),
    (codes.LISTENER_SILENT, shown(FailureKind.REFUSED), "does not"),
    (codes.ADDRESS_OK, case(live=replace(LIVE, summary=ADDRESSED)), "127.0.0.1 is in"),
    (codes.CONNECT_BY_NAME, case(), "not for 127.0.0.1"),
    (
        codes.ADDRESS_SHOWS_OTHER,
        case(by_address=(replace(SERVED, fingerprint="ee", name="CN=default"),)),
        "CN=default",
    ),
    (
        codes.ADDRESS_SHOWS_OTHER,
        case(by_address=(ProbeFailure(LISTENER, FailureKind.HANDSHAKE, "refuses"),)),
        "without a server name refuses",
    ),
    (codes.ROOT_OK, case(), "CN=Root, SHA-256 ff"),
    (codes.ROOT_NOT_TRUSTED, case(root=Root("CN=R", certificate("R")[0], "ff")), "CN=R"),
    (codes.ROOT_UNKNOWN, case(root=Root("CN=Far")), "below CN=Far"),
    (codes.REQUEST_PENDING, case(requests=(REQUEST,)), "CSR of 2026-11-23 12:00:00 UTC"),
    (codes.REQUEST_PENDING, case(requests=(replace(REQUEST, csr=b"damaged"),)), "unknown"),
    (codes.CLIENT_CA_OK, demanding(), "'CN=Users' expires"),
    (codes.CLIENT_CA_MISSING, demanding(client_ca=Bundle()), "no client CA"),
    (codes.CLIENT_CA_UNREADABLE, case(client_ca=StorageError("damaged")), "damaged"),
    (codes.CLIENT_CA_EXPIRED, worried(WarningKind.CLIENT_CA, 0), "so it is"),
    (codes.CLIENT_CA_ENDS_SOON, worried(WarningKind.CLIENT_CA, 7), "so it is"),
    (codes.CLIENT_CA_ASKED, demanding(), "requests client certificates of 'CN=Users'"),
    (codes.CLIENT_CA_NOT_ASKED, demanding(by_name=(SERVED,)), "requests no client certificate"),
    (codes.CLIENT_CRL_ENDED, worried(WarningKind.CRL, 0), "so it is"),
    (codes.CLIENT_CRL_ENDS_SOON, worried(WarningKind.CRL, 1), "so it is"),
    (codes.CLIENT_CRL_UNUSABLE, worried(WarningKind.CRL_UNUSABLE, 0), "so it is"),
    (codes.KNOWN_USERS_ENDED, worried(WarningKind.USERS, 0), "so it is"),
    (codes.KNOWN_USERS_END, worried(WarningKind.USERS, 30), "so it is"),
    (codes.KNOWN_USERS_UNREADABLE, worried(WarningKind.USERS_UNREADABLE, 0), "so it is"),
    (codes.DEPLOYMENT_OK, case(), "version 000002-x"),
    (codes.DEPLOYMENT_PENDING, case(situation=situation(deployment=Deployment("3"))), "version 3"),
    (
        codes.DEPLOYMENT_FAILED,
        case(situation=situation(deployment=Deployment("3", None, 2, NOW, "reload hung"))),
        "2 failed, last: reload hung; next attempt 2026-11-23 12:00:00 UTC",
    ),
    (
        codes.DEPLOYMENT_FAILED,
        case(situation=situation(deployment=Deployment("3", failures=1, error="hung"))),
        "1 failed, last: hung",
    ),
    (codes.RELOAD_MISSING, case(target=UNPLANNED), "empty"),
    (codes.RELOAD_MISSING, reloaded_by(NOT_SET_UP), "path is not enabled, and UNIT= is not set"),
    (
        codes.RELOAD_UNIT_OK,
        reloaded_by(RELOAD_UNIT),
        "gatecert-reload@vpn.path ocserv.service; last run succeeded, 2026-11-23 12:00:00 UTC",
    ),
    (codes.RELOAD_UNIT_INCOMPLETE, reloaded_by(replace(RELOAD_UNIT, servers=())), "UNIT= is not"),
    (
        codes.RELOAD_UNIT_FAILED,
        reloaded_by(replace(RELOAD_UNIT, result="timeout")),
        "last run failed (timeout), 2026-11-23 12:00:00 UTC",
    ),
    (codes.ATTEMPTS_OK, case(), "no failed attempt"),
    (codes.ATTEMPTS_FAILED, stated(EnrolmentState(failures=1)), "1 failed attempt"),
    (
        codes.LAST_ATTEMPT_FAILED,
        stated(EnrolmentState(failures=1), HostState(outcome=FAILED)),
        "2026-11-23 12:00:00 UTC: the authority said no",
    ),
    (
        codes.LAST_ATTEMPT_FAILED,
        stated(
            EnrolmentState(
                failures=1,
                troubles=(
                    AuthorityFailure("one", NOW - HOUR, reason="older"),
                    AuthorityFailure(
                        "two", NOW, reason="two answered rejectedIdentifier: not for us"
                    ),
                ),
            ),
            HostState(outcome=replace(FAILED, code="not-served", detail="another one is served")),
        ),
        "two answered rejectedIdentifier: not for us",
    ),
    (
        codes.ATTEMPTS_FAILED,
        stated(EnrolmentState(failures=2, failed_at=NOW, next_attempt=NOW + HOUR)),
        "2 failed attempts, last 2026-11-23 12:00:00 UTC; next 2026-11-23 13:00:00",
    ),
    (
        codes.BUDGET_SPENT,
        stated(
            EnrolmentState(next_attempt=NOW + HOUR),
            HostState(
                outcome=Outcome(
                    "vpn", NOW, OutcomeKind.WAITING, "no more orders", code="budget-spent"
                )
            ),
        ),
        "no more orders",
    ),
    (
        codes.AUTHORITY_LEFT,
        troubled(
            AuthorityFailure("back", NOW - HOUR, 2, NOW, "no answer"),
            AuthorityFailure("acme", NOW, 1, NOW + HOUR, "it refuses"),
        ),
        "acme, until 2026-11-23 13:00:00 UTC: it refuses",
    ),
    (
        codes.LIMITS_OK,
        case(
            limits=(
                ("acme", RemainingAllowance("orders", 299, HOURLY)),
                ("acme", RemainingAllowance("others", 2, HOURLY)),
            )
        ),
        "acme: 2 of 300 others left in 3 hours; 299 of 300 orders left in 3 hours",
    ),
    (
        codes.BUDGET_SPENT,
        bootstrapped(
            HOUR,
            limits=(
                ("acme", RemainingAllowance("orders", 0, HOURLY, NOW + HOUR)),
                ("acme", RemainingAllowance("o", 2, HOURLY)),
            ),
        ),
        "acme: no more orders until 2026-11-23 13:00:00 UTC",
    ),
    (
        codes.LIMITS_OK,  # allowed again before the renewal
        case(limits=(("acme", RemainingAllowance("orders", 0, HOURLY, NOW + DAY)),)),
        "acme: no more orders until 2026-11-24 12:00:00 UTC",
    ),
    (
        codes.BUDGET_SPENT,
        replace(
            stated(EnrolmentState(next_attempt=NOW + 60 * DAY)),
            limits=(("acme", RemainingAllowance("orders", 0, HOURLY, NOW + 60 * DAY)),),
        ),
        "acme: no more orders until 2027-01-22 12:00:00 UTC",
    ),
    (
        codes.ORDER_PENDING,
        stated(EnrolmentState(order=PendingOrder("acme", "", "https://ca.test/1", "r", (), NOW))),
        "at acme",
    ),
]

UNCHECKED = {
    "configuration",
    "configuration-exposed",
}  # found before any check; see the tests of the command


def found(facts: MachineFacts | GatewayFacts) -> list[tuple[str, str]]:
    results = (
        run_checks(facts, ())
        if isinstance(facts, MachineFacts)
        else run_checks(machine(), (facts,))
    )
    return [(result.finding.code, result.finding.seen) for result in results]


@pytest.mark.parametrize(
    ("code", "facts", "seen"), PROVOKED, ids=lambda value: getattr(value, "name", "")
)
def test_each_problem_has_its_code(
    code: Code, facts: MachineFacts | GatewayFacts, seen: str
) -> None:
    assert any(each == code.name and seen in text for each, text in found(facts)), found(facts)


def test_every_code_is_covered() -> None:
    every = {code.name for check in ORDER for code in check.codes}
    assert {code.name for code, _, _ in PROVOKED} | UNCHECKED == every


def test_what_the_reload_unit_lacks_is_the_fix_of_a_failed_deployment() -> None:
    failed = situation(deployment=Deployment("3", failures=1, error="it serves another one"))
    facts = replace(reloaded_by(NOT_SET_UP), situation=failed)
    other = replace(facts, by_name=(replace(SERVED, fingerprint="ee"),))
    lack = "the reload unit gatecert-reload@vpn.path is not enabled, and UNIT= is not set in"

    assert fixes_of(other)["deployment-failed"].startswith(lack)
    assert fixes_of(facts)["deployment-failed"] == codes.DEPLOYMENT_FAILED.fix
    assert "systemctl enable --now gatecert-reload@vpn.path" in fixes_of(facts)["reload-missing"]


def fixes_of(facts: GatewayFacts) -> dict[str, str]:
    results = [each.finding for each in run_checks(machine(), (facts,))]
    return {each.code: each.fix for each in results if each.gateway}


def test_check_finds_only_its_declared_codes() -> None:
    for _, facts, _ in PROVOKED:
        whole = facts if isinstance(facts, MachineFacts) else machine()
        cases = () if isinstance(facts, MachineFacts) else (facts,)
        allowed = {check.name: {code.name for code in check.codes} for check in ORDER}
        for result in run_checks(whole, cases):
            assert result.finding.code in allowed[result.check]


def test_names_of_codes_and_checks_are_unique() -> None:
    names = [check.name for check in ORDER]
    assert len(names) == len(set(names))
    known = [*vars(codes).values(), *vars(fleet_codes).values()]
    catalogue = [value for value in known if isinstance(value, Code)]
    assert len({code.name for code in catalogue}) == len(catalogue)
    assert {code.name for code in catalogue} == {
        code.name for check in ORDER for code in check.codes
    }


def test_problems_have_a_meaning_and_failures_a_fix() -> None:
    for check in ORDER:
        for code in check.codes:
            assert code.meaning
            assert code.fix or code.severity is not Severity.FAILURE
            assert code.severity is Severity.FAILURE or code.recheck_after is None


def test_this_host_is_not_silent_for_itself() -> None:
    """Only `daemon-stopped` says that no daemon runs here."""
    seen = dict(found(sharing(hosts=(host("gw-a", None), host("gw-b")))))
    assert not seen.keys() & {"host-silent", "cluster-ok"}


def test_the_fix_of_a_silent_host_does_not_remove_this_one() -> None:
    assert "leave --database URL --cluster CLUSTER HOST" in fleet_codes.HOST_SILENT.fix


def test_a_silent_host_delays_no_other() -> None:
    """It cannot notice a new certificate, so only `host-silent` says so."""
    cluster = view((host("gw-a", LATER), host("gw-b")), deployed("gw-a"), created=NOW, at=LATER)
    assert "rollout-runs" in dict(found(case(cluster=cluster)))


def test_the_hosts_of_a_fleet_answer_for_each_other() -> None:
    pair = case(target=PAIR, behind_nat=True, cluster=PROVEN_BY_BOTH)
    assert codes.USE_CUSTOM_MODE.name not in {code for code, _ in found(pair)}


def test_with_files_alone_nothing_is_said_of_a_fleet() -> None:
    names = {code for code, _ in (*found(machine()), *found(case()))}
    assert not names & {
        value.name for value in vars(fleet_codes).values() if isinstance(value, Code)
    }


def test_a_healthy_gateway_has_no_failure_and_no_warning() -> None:
    severities = {result.finding.severity for result in run_checks(machine(), (case(),))}
    assert severities == {Severity.OK, Severity.NOTE}


def test_the_machine_comes_first_then_each_gateway_in_the_order_of_the_checks() -> None:
    other = replace(TARGET, name="other")
    report = replace(SURVEY, profile="tiny", client_certificate=certificate("gateway")[0])
    facts = machine(
        directory_reports={"acme": report}, monitoring=MONITORED, cluster=PROVEN_BY_BOTH
    )
    results = run_checks(facts, (case(), case(target=other, situation=situation(target=other))))
    gateways = list(dict.fromkeys(result.finding.gateway for result in results))
    assert gateways == ["", "vpn", "other"]
    order = [check.name for check in ORDER if isinstance(check, MachineCheck)]
    seen = list(dict.fromkeys(result.check for result in results if not result.finding.gateway))
    assert seen == order
    order = [check.name for check in ORDER if isinstance(check, GatewayCheck)]
    seen = list(dict.fromkeys(each.check for each in results if each.finding.gateway == "other"))
    assert seen == [name for name in order if name in seen]


def test_custom_gateway_has_no_findings_about_authorities() -> None:
    names = {
        code
        for code, _ in found(case(target=CUSTOM, directory_reports=(), policies=(), self_tests=()))
    }
    assert not names & {"region-ok", "caa-ok", "challenge-ok", "attempts-ok"}


def test_checks_without_facts_find_nothing() -> None:
    bare = case(
        target=UNPLANNED,
        live=None,
        situation=situation(live=None, deployment=None),
        resolution=None,
        directory_reports=(AuthorityError("no"),),
        self_tests=(),
        by_name=(),
        root=None,
    )
    names = [code for code, _ in found(bare)]
    assert "certificate-missing" in names
    assert not {"names-ok", "caa-ok", "challenge-ok", "bootstrap-still", "deployment-ok"} & set(
        names
    )


def test_only_authority_is_never_deferred() -> None:
    trouble = AuthorityFailure("acme", NOW, 1, NOW + HOUR, "it refuses")
    assert codes.AUTHORITY_LEFT.name not in dict(found(stated(EnrolmentState(troubles=(trouble,)))))
    later = replace(trouble, name="back", left_until=NOW + 2 * HOUR)
    (seen,) = [what for code, what in found(troubled(trouble, later)) if code == "authority-left"]
    assert seen.startswith("back, ")


def test_one_working_challenge_is_enough() -> None:
    taken = ChallengeSelfTest("http-01", AddressInUseError("taken"))
    names = [code for code, _ in found(self_tested(taken, ChallengeSelfTest("tls-alpn-01")))]
    assert "address-in-use" not in names
    assert "challenge-ok" in names


def test_listener_that_refuses_by_name_is_not_checked_by_address() -> None:
    failure = ProbeFailure(LISTENER, FailureKind.REFUSED, "refuses")
    names = [code for code, _ in found(case(by_name=(failure,), by_address=(failure,)))]
    assert names.count("listener-silent") == 1
    assert "address-shows-other" not in names


def test_caa_fix_names_the_record_to_publish() -> None:
    (finding,) = [
        result.finding
        for result in run_checks(machine(), (caa("other.test"),))
        if result.finding.code == "caa-forbids"
    ]
    assert 'example.com CAA 0 issue "ca.test"' in finding.fix
    wild = CaaPolicy(f"*.{HOSTNAME}", "example.com", (Property(False, "issue", "x.test"),))  # noqa: FBT003 - by order
    (finding,) = [
        result.finding
        for result in run_checks(machine(), (case(policies=(wild,)),))
        if result.finding.code == "caa-forbids"
    ]
    assert "issuewild" in finding.fix
    nobody = replace(caa(";"), directory_reports=(replace(SURVEY, identities=()),))
    (finding,) = [
        result.finding
        for result in run_checks(machine(), (nobody,))
        if result.finding.code == "caa-forbids"
    ]
    assert finding.fix == codes.CAA_FORBIDS.fix


def test_client_ca_warning_replaces_the_ok_finding() -> None:
    names = [code for code, _ in found(worried(WarningKind.CLIENT_CA, 7))]
    assert "client-ca-ok" not in names
    assert names.count("client-ca-ends-soon") == 1


def test_silent_listener_is_not_checked_for_client_cas() -> None:
    silent = ProbeFailure(LISTENER, FailureKind.REFUSED, "refuses")
    names = [code for code, _ in found(demanding(by_name=(silent,)))]
    assert not {"client-ca-asked", "client-ca-not-asked"} & set(names)
    assert "client-ca-not-asked" not in [code for code, _ in found(case())]


def test_last_failure_shows_its_url() -> None:
    portal = "visit https://portal.test/unpause?jwt=abc"
    paused = replace(FAILED, code="user-action-required", fix=portal)
    trouble = AuthorityFailure("acme", NOW, 1, NOW + HOUR, "paused", fix=portal)
    for facts, code in (
        (stated(EnrolmentState(failures=1), HostState(outcome=paused)), codes.LAST_ATTEMPT_FAILED),
        (stated(EnrolmentState(failures=1, troubles=(trouble,))), codes.LAST_ATTEMPT_FAILED),
        (troubled(trouble, AuthorityFailure("back", NOW - HOUR)), codes.AUTHORITY_LEFT),
    ):
        fixes = {each.finding.code: each.finding.fix for each in run_checks(machine(), (facts,))}
        assert fixes[code.name] == portal


def test_unreachable_crl_has_a_matching_fix() -> None:
    revocation_state = RevocationState(
        SUMMARY.fingerprint, NOW, problem="HTTP 404", fix="the CA has to publish the list"
    )
    results = run_checks(machine(), (stated(EnrolmentState(revocation=revocation_state)),))
    fixes = {each.finding.code: each.finding.fix for each in results}
    assert fixes["revocation-unknown"] == "the CA has to publish the list"


def test_success_clears_the_last_failure() -> None:
    assert "last-attempt-failed" not in dict(found(stated(host=HostState(outcome=FAILED))))
