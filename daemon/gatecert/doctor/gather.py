"""Looking at the world, once, before anything is judged.

Nothing here changes anything that lasts: a trial file is written and removed, a challenge response
of our own is presented and taken away. Gateways are looked at side by side, and every look has a
deadline, so that a diagnosis ends even where nobody answers.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cryptography.x509 import Certificate

from gatecert.acme.directory_check import DirectoryReport, DirectorySource, RateLimitedAuthority
from gatecert.acme.order_journal import PREFIX
from gatecert.certificate.pem import find_readable
from gatecert.certificate.trust import system_roots
from gatecert.challenge.solver import RecordTester, SelfTest, SelfTestingSolver, Solver
from gatecert.client_ca import bundle_warnings
from gatecert.client_ca.bundle_files import BundleFiles
from gatecert.deploy.inventory import StoredCertificate
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
from gatecert.resolve.caa import CaaResolver
from gatecert.resolve.gateway_addresses import own_addresses
from gatecert.resolve.lookup import AddressResolver
from gatecert.resolve.preflight import preflight
from gatecert.store.protocol import Store
from gatecert.verify.verdict import probe_listeners

if TYPE_CHECKING:
    from gatecert.acme.rate_limits import RemainingAllowance
    from gatecert.client_ca.bundle import Bundle
    from gatecert.model import KeyRequest
    from gatecert.schedule.due import Situation

logger = logging.getLogger(__name__)

BOUND_TO_ACCOUNT = {"dns-account-01", "dns-persist-01"}
NO_SERVER_NAME = "127.0.0.1"  # an address is never sent as a server name


class DnsResolver(AddressResolver, CaaResolver, Protocol):
    """Looks up addresses and CAA records."""


@dataclass(frozen=True, slots=True)
class FactSources:
    """The ways to look.

    Attributes:
        state_directory: Where the store is.
        authorities: By their name in the configuration.
        solvers: By challenge type.
        roots: What this machine trusts.
        ask_command: Runs a gateway's ``install.verify_command`` once; None where there is none.
    """

    store: Store
    state_directory: Path
    authorities: Mapping[str, RateLimitedAuthority]
    solvers: Mapping[str, Solver]
    resolver: DnsResolver
    now: Callable[[], datetime]
    roots: Callable[[], Sequence[Certificate]] = system_roots
    ask_command: Callable[[Target, StoredCertificate], Probe | None] = lambda _, __: None


# --------------------------------------------------------------------- the machine


def gather_machine_facts(
    sources: FactSources,
    configuration: Path,
    gateways: Collection[Target],
    targets: Iterable[Target],
) -> MachineFacts:
    """What is common to all gateways.

    Args:
        sources: The ways to look.
        configuration: The file.
        gateways: All that are in it; keys of any of them may lie in the state directory.
        targets: Those whose authorities are asked; none is asked for one that is never enrolled.
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
        exposures=exposures(configuration.absolute(), sources.state_directory, shared),
        directory_reports={name: directory_report(sources.authorities[name]) for name in used},
    )


def directory_report(authority: DirectorySource) -> DirectoryReport | AuthorityError:
    """What an authority presents itself as, or why it does not."""
    try:
        return authority.check_directory()
    except AuthorityError as error:
        return error


def _holder(store: Store) -> int | None:
    try:
        return store.daemon_pid()
    except StateError:
        return None  # what is wrong there is told as the storage's trouble


def _storage(store: Store) -> StateError | None:
    try:
        store.check_writable()
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
    """One gateway.

    Args:
        sources: The ways to look.
        situation: What is known of it.
        live: The version that ``live`` leads to.
        machine: What its authorities were found to be.
    """
    target = situation.target
    enrols = target.mode is Mode.AUTOMATIC and not situation.excluded_region
    directory_reports = (
        tuple(machine.directory_reports[name] for name in target.authorities) if enrols else ()
    )
    listeners = target.install.verify
    algorithms = live.summary.algorithms if live is not None else ("",)
    bundle = _client_ca(sources.store.gateway_directory(target.name))
    return GatewayFacts(
        now=sources.now(),
        target=target,
        situation=situation,
        live=live,
        requests=_requests(sources.store, target.name),
        directory_reports=directory_reports,
        limits=tuple(_limits(sources, target, live)) if enrols else (),
        resolution=_resolution(sources, target),
        behind_nat=bool(target.members) and _is_behind_nat(),
        policies=sources.resolver.look_up_caa(domain_names(target)) if enrols else (),
        self_tests=self_test_challenges(sources.solvers, target, directory_reports, thorough=True)
        if enrols
        else (),
        by_name=probe_listeners(listeners, target.hostname, algorithms=algorithms),
        # Clients send the name that is asked for instead, so what is shown without it is nothing.
        by_address=probe_listeners(
            [each for each in listeners if not each.server_name], NO_SERVER_NAME
        ),
        by_command=sources.ask_command(target, live) if live is not None else None,
        root=_root(live, sources.roots) if live is not None else None,
        client_ca=bundle,
        client_ca_warnings=()
        if isinstance(bundle, StateError)
        else bundle_warnings.look(target, bundle, now=sources.now()),
    )


def _limits(
    sources: FactSources, target: Target, live: StoredCertificate | None
) -> Iterator[tuple[str, RemainingAllowance]]:
    """What is left for an order, at each authority."""
    names = [each.value for each in target.identifiers]
    for authority in target.authorities:
        issued = live is not None and live.version.authority == authority
        lifetime = live.summary.lifetime if live is not None and issued else None
        try:
            found = sources.authorities[authority].remaining_limits(names, sources.now, lifetime)
        except StateError:
            continue  # what is wrong there is told as the storage's trouble
        for left in found:
            yield authority, left


def domain_names(target: Target) -> tuple[str, ...]:
    """The names that CAA records can be about: no addresses."""
    return tuple(each.value for each in target.identifiers if each.type is IdentifierType.DNS)


def self_test_challenges(
    solvers: Mapping[str, Solver],
    target: Target,
    directory_reports: Iterable[DirectoryReport | AuthorityError] = (),
    *,
    thorough: bool = False,
) -> tuple[ChallengeSelfTest, ...]:
    """Try to answer every kind of challenge that the gateway may use.

    Args:
        solvers: By challenge type.
        target: The gateway.
        directory_reports: What was found of the authorities that would ask.
        thorough: Whether to look for responses as well, as an authority would.
    """
    names = domain_names(target)
    fetchable = [name for name in names if thorough and not name.startswith("*.")]
    found: list[ChallengeSelfTest] = []
    for kind in target.challenges:
        solver = solvers.get(kind)
        if isinstance(solver, RecordTester):
            trial = SelfTest(kind, target.name, names, check_propagation=thorough)
            found += _test_records(solver, trial, directory_reports)
        elif isinstance(solver, SelfTestingSolver):
            found.append(_self_test(kind, partial(solver.self_test, fetchable)))
        elif solver is not None:
            found.append(ChallengeSelfTest(kind, tried=False))
    return tuple(found)


def _test_records(
    solver: RecordTester,
    trial: SelfTest,
    directory_reports: Iterable[DirectoryReport | AuthorityError],
) -> Iterator[ChallengeSelfTest]:
    """Try records out, once for each account where they are bound to it."""
    if not trial.names:
        return
    if trial.type not in BOUND_TO_ACCOUNT:
        yield _self_test(trial.type, partial(solver.test_records, trial))
        return
    for report in directory_reports:
        if isinstance(report, DirectoryReport):
            bound = replace(
                trial,
                account_url=report.account_url,
                issuers=report.identities,
            )
            kind = f"{trial.type} ({report.label})"
            yield _self_test(kind, partial(solver.test_records, bound))


def _self_test(kind: str, attempt: Callable[[], tuple[str, ...]]) -> ChallengeSelfTest:
    try:
        return ChallengeSelfTest(kind, complaints=attempt())
    except (ChallengeError, StateError) as error:
        return ChallengeSelfTest(kind, error=error)
    except InterruptedOrderError:
        raise
    except Exception as error:
        # What else was found is told all the same.
        logger.debug("unexpected error kind=%s", kind, exc_info=True)
        unexpected = ChallengeError(f"unexpected {type(error).__name__}: {clean(str(error))}")
        return ChallengeSelfTest(kind, error=unexpected)


def _requests(store: Store, gateway: str) -> tuple[KeyRequest, ...]:
    """Requests that somebody else has to sign; those of orders are none of them."""
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
        return False  # what is recommended does not hang on it


def _root(live: StoredCertificate, roots: Callable[[], Sequence[Certificate]]) -> Root | None:
    if live.summary.is_bootstrap:
        return None
    kept = live.version.directory / "root.pem"
    try:
        texts = [kept.read_bytes()]
    except OSError:  # not every authority sends it
        texts = []
    chain = find_readable([live.version.certificate, live.version.chain])
    return find_root(chain, find_readable(texts), roots())


def _client_ca(directory: Path) -> Bundle | StateError:
    try:
        return BundleFiles(directory).read()
    except StateError as error:
        return error
