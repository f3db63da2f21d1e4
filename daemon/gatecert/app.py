"""The composition root: builds every part from a configuration.

A part is built, and its modules are imported, when it is first used: a command that only reads
needs neither ACME nor DNS, and bootstrap certificates are in place before their libraries load.
Apart from large libraries, only this module imports late; all others import what they name.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

from gatecert import __version__
from gatecert.config.targets import targets
from gatecert.deploy.deployer import DeployTools
from gatecert.deploy.reload_unit import read_reload_unit
from gatecert.lifecycle.gateway_pass import ROUTINE, Pass, PassContext
from gatecert.lifecycle.state_cache import StateCache
from gatecert.lifecycle.stored_stamp import stored_stamp
from gatecert.measurement import Measure, no_measure
from gatecert.model import Mode
from gatecert.process import restore_sigchld
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from cryptography.x509 import Certificate

    from gatecert.acme.issuer import Issuer
    from gatecert.challenge.socket_activation import FetchNotices
    from gatecert.challenge.solver import Solver
    from gatecert.config.schema import Configuration
    from gatecert.ddns.record_keeper import RecordKeeper
    from gatecert.deploy.parsed_versions import StoredCertificate
    from gatecert.doctor.finding import Finding
    from gatecert.doctor.preconditions import Preconditions
    from gatecert.lifecycle.client_cas import ClientCAs
    from gatecert.lifecycle.field_issuer import FieldIssuer
    from gatecert.lifecycle.gateway_pass import Occasion
    from gatecert.lifecycle.pipeline import Pipeline
    from gatecert.lifecycle.revoke import Revoker
    from gatecert.model import DatabaseProblem, Progress, Target
    from gatecert.model.cluster_view import ClusterView
    from gatecert.report.gateway_status import GatewayStatus
    from gatecert.resolve.resolver import Resolver

Value = TypeVar("Value", covariant=True)  # noqa: PLC0105 - as that of cached_property

_building = threading.RLock()


class part(cached_property[Value]):  # noqa: N801 - used like a property
    """A part that is built at its first use, once, whichever thread uses it first."""

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Value: ...
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        with _building:
            return super().__get__(instance, owner)


@dataclass(frozen=True, slots=True)
class Watching:
    """Recipients of measurements and of passes.

    Attributes:
        measure: Gets measurements, from any thread.
        seen: Is given each pass that has ended, while its gateway is still locked.
    """

    measure: Measure = no_measure
    seen: Callable[[Pass], None] | None = None


class Application:
    """A configuration and every part that is built from it.

    Args:
        configuration: The configuration.
        progress: Receives progress messages.
        cancelled: Set when gatecert is stopping.
        responder: Answers http-01 on sockets from systemd; None opens listeners.
        watching: Gets what is measured and seen.

    Attributes:
        targets: By gateway name.
    """

    def __init__(
        self,
        configuration: Configuration,
        progress: Progress,
        cancelled: threading.Event,
        responder: FetchNotices | None = None,
        watching: Watching | None = None,
    ) -> None:
        self.configuration = configuration
        self.targets: Mapping[str, Target] = {each.name: each for each in targets(configuration)}
        self.store = open_store(configuration)
        self._progress = progress
        self._cancelled = cancelled
        self._responder = responder
        watching = watching or Watching()
        self._measure, self._seen = watching.measure, watching.seen
        self._keepers: dict[str, RecordKeeper] = {}

    def open(self, target: Target, occasion: Occasion = ROUTINE) -> Pass:
        """Open a pass over a gateway without the pipeline, to read what is known of it."""
        return self._passes.open(target, occasion)

    def describe(
        self, current: Pass, cluster: ClusterView | DatabaseProblem | None
    ) -> GatewayStatus:
        """Return the status of the gateway of a pass.

        Args:
            current: The pass.
            cluster: What `store.cluster_view` returned, for one gateway or many.

        Raises:
            StorageError: Its state or its certificates cannot be read.
        """
        from gatecert.lifecycle.description import describe

        return describe(current, self.client_cas, utc_now(), cluster)

    def roots(self, target: Target) -> tuple[Certificate, ...]:
        """Return the roots trusted for a gateway: this host's and those of its authorities."""
        from gatecert.certificate.trust import load_trusted_roots

        settings = (self.configuration.authorities.get(name) for name in target.authorities)
        return load_trusted_roots(
            each.trusted_roots for each in settings if each is not None and each.trusted_roots
        )

    def stamp(self, name: str) -> str:
        """Return a stamp of what stands on the disk for a gateway (``stored_stamp``)."""
        settings = self.configuration.gateways[name].model_dump_json()
        directory = self.store.gateway_directory(name)
        return stored_stamp(directory, self.targets[name], self._shared_settings + settings)

    def warn_of_listeners(self) -> None:
        """Log listeners at which another user of this host could answer challenges."""
        from gatecert.doctor import listener_checks
        from gatecert.model import Mode

        enrolled = [
            target
            for target in self.targets.values()
            if target.mode is Mode.AUTOMATIC and not self.open(target).excluded_region
        ]
        listener_checks.warn(self.configuration, enrolled)

    def measure_budgets(self) -> None:
        """Measure what is left of the rate limits of all CAs; never fail."""
        if self._measure is no_measure:
            return
        for authority in self.authorities.values():
            authority.measure_budget(utc_now())

    def _lifetime_of(self, names: Sequence[str]) -> timedelta | None:
        """Return the lifetime of the certificate for exactly these names; None if unknown."""
        target = self._targets_by_names.get(frozenset(names))
        live = self.open(target).live if target is not None else None
        return live.summary.lifetime if live is not None else None

    @part
    def _targets_by_names(self) -> Mapping[frozenset[str], Target]:
        return {
            frozenset(each.value for each in target.identifiers): target
            for target in self.targets.values()
        }

    @part
    def pipeline(self) -> Pipeline:
        """Runs passes over gateways."""
        from gatecert.lifecycle.pipeline import Pipeline
        from gatecert.revocation.crl_lookup import CrlLookup

        return Pipeline(
            store=self.store,
            resolver=self.resolver,
            authorities=self.authorities,
            progress=self._progress,
            now=utc_now,
            look_interval=self.configuration.resolver.interval,
            excluded_regions=self.configuration.excluded_regions,
            cancelled=self._cancelled,
            random=random.SystemRandom(),
            obstacles=self._find_obstacle,
            lists=CrlLookup(self.store, utc_now),
            roots=self.roots,
            reload_unit=read_reload_unit,
            keeper=self._keeper,
            measure=self._measure,
            seen=self._seen,
        )

    @part
    def field_issuer(self) -> FieldIssuer:
        """Orders for gateways in the field; only with ``fleet.issue``."""
        from gatecert.lifecycle.field_issuer import FieldIssuer
        from gatecert.store.postgres.field_store import FieldStore
        from gatecert.store.postgres.fleet_store import FleetStore

        fleet, store = self.configuration.fleet, self.store
        if fleet is None or fleet.issue is None or not isinstance(store, FleetStore):
            raise RuntimeError("no orders for gateways in the field are configured")
        return FieldIssuer(
            FieldStore(store, utc_now),
            self.authorities[fleet.issue.authority or next(iter(self.authorities))],
            fleet.issue.domains,
            self.configuration.excluded_regions,
            self._progress,
            utc_now,
            random.SystemRandom(),
            self._cancelled,
        )

    def _keeper(self, target: Target) -> RecordKeeper:
        """Return what keeps the records of a gateway; built once."""
        from gatecert.ddns.assembly import build_keeper
        from gatecert.schedule.spread import next_instant

        with _building:
            if target.name not in self._keepers:
                gateway = self.configuration.gateways[target.name]
                # At the same instants as the gateway's listeners, so that the worker starts once.
                after = partial(next_instant, target.name)
                built = build_keeper(gateway, self.configuration, self.resolver, after)
                self._keepers[target.name] = built
            return self._keepers[target.name]

    @part
    def client_cas(self) -> ClientCAs:
        """Changes and checks the CAs of client certificates."""
        from gatecert.lifecycle.client_cas import ClientCAs

        return ClientCAs()

    @part
    def revoker(self) -> Revoker:
        """Revokes certificates."""
        from gatecert.lifecycle.revoke import Revoker

        return Revoker(self.authorities, self._cancelled)

    @part
    def authorities(self) -> Mapping[str, Issuer]:
        """The CAs, by their name in the configuration."""
        from gatecert.acme.issuer import ORDER_SECONDS, Issuer
        from gatecert.challenge.solvers import longest_propagation

        order_seconds = ORDER_SECONDS + longest_propagation(self.configuration.challenges)
        return {
            name: Issuer(
                settings,
                self.store,
                self.solvers,
                order_seconds=order_seconds,
                measure=self._measure,
                lifetime_of=self._lifetime_of,
            )
            for name, settings in self.configuration.authorities.items()
        }

    @part
    def solvers(self) -> Mapping[str, Solver]:
        """The solvers, by challenge type."""
        from gatecert.challenge.solvers import build_solvers

        return build_solvers(
            self.configuration.challenges,
            self.configuration.resolver,
            self.store,
            self._responder,
            utc_now,
        )

    @part
    def resolver(self) -> Resolver:
        """Looks names up."""
        from gatecert.resolve.resolver import Resolver

        settings = self.configuration.resolver
        return Resolver(settings.nameservers, settings.timeout)

    @part
    def _shared_settings(self) -> str:
        return __version__ + self.configuration.model_dump_json(exclude={"gateways"})

    @part
    def _passes(self) -> PassContext:
        tools = DeployTools(
            self.store,
            self._progress,
            utc_now,
            self._cancelled,
            self.roots,
            reload_unit=read_reload_unit,
        )
        return PassContext(
            tools,
            StateCache(self.store, utc_now),
            self.configuration.excluded_regions,
            authorities=self.configuration.authorities,
        )

    @part
    def _preconditions(self) -> Preconditions:
        from gatecert.doctor.preconditions import Preconditions

        return Preconditions(self.authorities, self.solvers, self.resolver, self._cancelled)

    def _find_obstacle(
        self, target: Target, authority: str, live: StoredCertificate | None
    ) -> Finding | None:
        return self._preconditions.find(target, authority, live)


def open_store(configuration: Configuration) -> FileStore:
    """Return where state is kept: in files, and with a fleet also in its database.

    Raises:
        ConfigurationError: The certificate of this host cannot be used.
        SealingKeyMissingError: A sealing key cannot be read.
    """
    directory, fleet = configuration.state_directory, configuration.fleet
    if fleet is None:
        return FileStore(directory)
    from gatecert.config.fleet_host import fleet_host
    from gatecert.store.postgres.fleet_store import FleetStore

    custom = {each.name for each in configuration.gateways.values() if each.mode is Mode.CUSTOM}
    store = FleetStore(directory, fleet_host(fleet), unshared=custom)
    store.shared = configuration.gateways.keys() - custom
    return store


def build(
    configuration: Configuration,
    progress: Progress,
    cancelled: threading.Event,
    responder: FetchNotices | None = None,
    watching: Watching | None = None,
) -> Application:
    """Build an application, without network access; of the disk, only sealing keys are read.

    Call it from the main thread.

    Raises:
        GatecertError: The login or the keys of a fleet cannot be read.
    """
    restore_sigchld()
    return Application(configuration, progress, cancelled, responder, watching)


def utc_now() -> datetime:
    """Read the wall clock; everything else gets the time passed in."""
    return datetime.now(UTC)
