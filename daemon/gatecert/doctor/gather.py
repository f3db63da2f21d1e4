"""Gather the facts for a diagnosis, once.

Nothing changes permanently: a test file is written and removed, a test response to a challenge is
presented and removed. Gateways are examined in parallel, and every step has a deadline, so that a
diagnosis ends even if nothing answers.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cryptography.x509 import Certificate

from gatecert.acme.directory_check import DirectoryReport, DirectorySource, RateLimitedAuthority
from gatecert.acme.order_journal import PREFIX
from gatecert.certificate.pem import find_readable
from gatecert.certificate.trust import load_trusted_roots
from gatecert.challenge.solver import RecordTester, SelfTest, SelfTestingSolver, Solver
from gatecert.client_ca import bundle_warnings
from gatecert.client_ca.bundle_files import BundleFiles
from gatecert.deploy.parsed_versions import StoredCertificate
from gatecert.deploy.reload_unit import ReloadUnit, reload_problem
from gatecert.doctor.exposure import exposures
from gatecert.doctor.facts import ChallengeSelfTest, GatewayFacts, MachineFacts, Root
from gatecert.doctor.roots import find_root
from gatecert.errors import (
    AuthorityError,
    ChallengeError,
    InterruptedOrderError,
    ResolutionError,
    StateError,
    clean,
)
from gatecert.model import IdentifierType, Mode, Probe, Resolution, Target
from gatecert.model.cluster_view import ClusterView
from gatecert.resolve.caa import CaaResolver
from gatecert.resolve.gateway_addresses import own_addresses
from gatecert.resolve.lookup import AddressResolver
from gatecert.resolve.preflight import preflight
from gatecert.store.protocol import HostFiles, HostStore, Store
from gatecert.verify.verdict import probe_listeners

if TYPE_CHECKING:
    from gatecert.acme.rate_limits import RemainingAllowance
    from gatecert.client_ca.bundle import Bundle
    from gatecert.model import KeyRequest
    from gatecert.schedule.due import Situation

logger = logging.getLogger(__name__)

BOUND_TO_ACCOUNT = {"dns-account-01", "dns-persist-01"}
NO_SERVER_NAME = "127.0.0.1"  # an IP address is never sent as a server name (SNI)


class DnsResolver(AddressResolver, CaaResolver, Protocol):
    """Looks up addresses and CAA records."""


@dataclass(frozen=True, slots=True)
class FactSources:
    """The sources of facts.

    Attributes:
        state_directory: The directory of the store.
        authorities: By their name in the configuration.
        solvers: By challenge type.
        roots: Returns the roots that this machine trusts.
        ask_command: Runs a gateway's ``install.verify_command`` once; None if there is none.
        reload_units: The systemd units that reload servers, by the gateway's name; without those
            that ``install.reload`` replaces, and empty if systemd does not run here.
    """

    store: HostStore
    state_directory: Path
    authorities: Mapping[str, RateLimitedAuthority]
    solvers: Mapping[str, Solver]
    resolver: DnsResolver
    now: Callable[[], datetime]
    roots: Callable[[], Sequence[Certificate]] = load_trusted_roots
    ask_command: Callable[[Target, StoredCertificate], Probe | None] = lambda _, __: None
    reload_units: Mapping[str, ReloadUnit] = field(default_factory=dict)


# --------------------------------------------------------------------- the machine


def gather_machine_facts(
    sources: FactSources,
    configuration: Path,
    gateways: Collection[Target],
    targets: Iterable[Target],
) -> MachineFacts:
    """Gather the facts that are common to all gateways.

    Args:
        sources: The sources of facts.
        configuration: The configuration file.
        gateways: All gateways in it; the state directory may hold keys of any of them.
        targets: The gateways that are enrolled; only their authorities are contacted.
    """
    used = dict.fromkeys(name for target in targets for name in target.authorities)
    shared = {target.name for target in gateways if target.install.key_group is not None}
    return MachineFacts(
        now=sources.now(),
        configuration=configuration.absolute(),
        gateways=len(gateways),
        state_directory=sources.state_directory,
        daemon=_holder(sources.store),
        storage=_storage(sources.store),
        free=_free(sources.state_directory),
        exposures=exposures(sources.state_directory, shared),
        directory_reports={name: directory_report(sources.authorities[name]) for name in used},
    )


def directory_report(authority: DirectorySource) -> DirectoryReport | AuthorityError | StateError:
    """Return the directory of an authority, or why it cannot be used."""
    try:
        return authority.check_directory()
    except (AuthorityError, StateError) as error:  # the account is read as well
        return error


def _holder(files: HostFiles) -> int | None:
    try:
        return files.daemon_pid()
    except StateError:
        return None  # reported as the error of the storage


def _storage(files: HostFiles) -> StateError | None:
    try:
        files.check_writable()
    except StateError as error:
        return error
    return None


def _free(directory: Path) -> int | None:
    try:
        return shutil.disk_usage(directory).free
    except OSError:
        return None


# --------------------------------------------------------------------- a gateway


def gather_gateway_facts(
    sources: FactSources,
    situation: Situation,
    live: StoredCertificate | None,
    machine: MachineFacts,
) -> GatewayFacts:
    """Gather the facts about one gateway.

    Args:
        sources: The sources of facts.
        situation: Its state.
        live: The version that ``live`` points to.
        machine: The facts about the machine, with the directories of its authorities.
    """
    target = situation.target
    enrols = target.mode is Mode.AUTOMATIC and not situation.excluded_region
    directory_reports = (
        tuple(machine.directory_reports[name] for name in target.authorities) if enrols else ()
    )
    listeners = target.install.verify
    algorithms = live.summary.algorithms if live is not None else ("",)
    directory = sources.store.gateway_directory(target.name)
    bundle, reload_unit = _client_ca(directory), sources.reload_units.get(target.name)
    return GatewayFacts(
        now=sources.now(),
        target=target,
        situation=situation,
        live=live,
        requests=_requests(sources.store, target.name),
        directory_reports=directory_reports,
        limits=tuple(_limits(sources, target, live)) if enrols else (),
        resolution=_resolution(sources, target) if target.is_looked_up else None,
        behind_nat=bool(target.members) and _is_behind_nat(),
        policies=sources.resolver.look_up_caa(domain_names(target))
        if enrols and target.is_looked_up
        else (),
        self_tests=self_test_challenges(sources.solvers, target, directory_reports, thorough=True)
        if enrols
        else (),
        by_name=probe_listeners(listeners, target.hostname, algorithms=algorithms),
        # A listener with server_name is not checked without one: its clients always send that name.
        by_address=probe_listeners(
            [each for each in listeners if not each.server_name], NO_SERVER_NAME
        ),
        by_command=sources.ask_command(target, live) if live is not None else None,
        root=_root(sources.store, live, sources.roots) if live is not None else None,
        reload_unit=reload_unit,
        reload_problem=reload_problem(reload_unit, directory) if reload_unit is not None else None,
        client_ca=bundle,
        client_ca_warnings=()
        if isinstance(bundle, StateError)
        else bundle_warnings.read_warnings(target, bundle, now=sources.now()),
        cluster=machine.cluster if enrols and isinstance(machine.cluster, ClusterView) else None,
    )


def _limits(
    sources: FactSources, target: Target, live: StoredCertificate | None
) -> Iterator[tuple[str, RemainingAllowance]]:
    """Return what is left of the rate limits for an order, at each authority."""
    names = [each.value for each in target.identifiers]
    for authority in target.authorities:
        issued = live is not None and live.version.authority == authority
        lifetime = live.summary.lifetime if live is not None and issued else None
        try:
            found = sources.authorities[authority].remaining_limits(names, sources.now, lifetime)
        except StateError:
            continue  # reported as the error of the storage
        for left in found:
            yield authority, left


def domain_names(target: Target) -> tuple[str, ...]:
    """Return the DNS names of a gateway, without IP addresses."""
    return tuple(each.value for each in target.identifiers if each.type is IdentifierType.DNS)


def self_test_challenges(
    solvers: Mapping[str, Solver],
    target: Target,
    directory_reports: Iterable[DirectoryReport | AuthorityError | StateError] = (),
    *,
    thorough: bool = False,
) -> tuple[ChallengeSelfTest, ...]:
    """Test every kind of challenge that the gateway may use.

    Args:
        solvers: By challenge type.
        target: The gateway.
        directory_reports: The directories of its authorities.
        thorough: Whether to fetch the responses as well, as a CA would.
    """
    names = domain_names(target)
    fetchable = [name for name in names if thorough and not name.startswith("*.")]
    found: list[ChallengeSelfTest] = []
    for kind in target.challenges:
        solver = solvers.get(kind)
        if isinstance(solver, RecordTester):
            test = SelfTest(kind, target.name, names, check_propagation=thorough)
            found += _test_records(solver, test, directory_reports)
        elif isinstance(solver, SelfTestingSolver):
            found.append(_self_test(kind, partial(solver.self_test, fetchable)))
        elif solver is not None:
            found.append(ChallengeSelfTest(kind, tried=False))
    return tuple(found)


def _test_records(
    solver: RecordTester,
    test: SelfTest,
    directory_reports: Iterable[DirectoryReport | AuthorityError | StateError],
) -> Iterator[ChallengeSelfTest]:
    """Test records, once for each account if they depend on the account."""
    if not test.names:
        return
    if test.type not in BOUND_TO_ACCOUNT:
        yield _self_test(test.type, partial(solver.test_records, test))
        return
    for report in directory_reports:
        if isinstance(report, DirectoryReport):
            bound = replace(
                test,
                account_url=report.account_url,
                issuers=report.identities,
            )
            kind = f"{test.type} ({report.label})"
            yield _self_test(kind, partial(solver.test_records, bound))


def _self_test(kind: str, run: Callable[[], tuple[str, ...]]) -> ChallengeSelfTest:
    try:
        return ChallengeSelfTest(kind, complaints=run())
    except (ChallengeError, StateError) as error:
        return ChallengeSelfTest(kind, error=error)
    except InterruptedOrderError:
        raise
    except Exception as error:
        # The other facts are reported all the same.
        logger.debug("unexpected error kind=%s", kind, exc_info=True)
        unexpected = ChallengeError(f"unexpected {type(error).__name__}: {clean(str(error))}")
        return ChallengeSelfTest(kind, error=unexpected)


def _requests(store: Store, gateway: str) -> tuple[KeyRequest, ...]:
    """Return CSRs to be signed elsewhere, without those of ACME orders."""
    return tuple(each for each in store.requests(gateway) if not each.id.startswith(PREFIX))


def _resolution(sources: FactSources, target: Target) -> Resolution | ResolutionError:
    try:
        addresses = own_addresses(target.addresses)
    except ResolutionError as error:
        return error
    return preflight(target, sources.resolver, addresses, now=sources.now())


def _is_behind_nat() -> bool:
    try:
        return own_addresses(()).behind_nat
    except ResolutionError:
        return False  # the advice does not depend on it


def _root(
    store: Store, live: StoredCertificate, roots: Callable[[], Sequence[Certificate]]
) -> Root | None:
    if live.summary.is_bootstrap:
        return None
    stored = find_readable([store.stored_root(live.version)])  # not every CA sends it
    chain = find_readable([live.version.certificate, live.version.chain])
    return find_root(chain, stored, roots())


def _client_ca(directory: Path) -> Bundle | StateError:
    try:
        return BundleFiles(directory).read()
    except StateError as error:
        return error
