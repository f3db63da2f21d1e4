"""The composition root: builds every part from a configuration."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from gatecert.acme.issuer import ORDER_SECONDS, Issuer
from gatecert.certificate.trust import load_trusted_roots
from gatecert.challenge.solver import Solver
from gatecert.challenge.solvers import build_solvers, longest_propagation
from gatecert.config.schema import Configuration
from gatecert.config.targets import targets
from gatecert.doctor import listener_checks
from gatecert.doctor.preconditions import Preconditions
from gatecert.lifecycle.pipeline import Pipeline
from gatecert.lifecycle.revoke import Revoker
from gatecert.model import Mode, Progress, Target
from gatecert.process import restore_sigchld
from gatecert.resolve.resolver import Resolver
from gatecert.revocation.crl_lookup import CrlLookup
from gatecert.store.file_store import FileStore
from gatecert.store.protocol import Store

if TYPE_CHECKING:
    import threading

    from cryptography.x509 import Certificate

    from gatecert.challenge.socket_activation import SocketActivatedResponder


logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Application:
    """A configuration and every part that is built from it."""

    configuration: Configuration
    targets: Mapping[str, Target]
    store: Store
    pipeline: Pipeline
    solvers: Mapping[str, Solver]
    authorities: Mapping[str, Issuer]
    resolver: Resolver
    revoker: Revoker

    def warn_of_listeners(self) -> None:
        """Log listeners at which another user of this host could answer challenges."""
        enrolled = [
            target
            for target in self.targets.values()
            if target.mode is Mode.AUTOMATIC and not self.pipeline.open(target).excluded_region
        ]
        listener_checks.warn(self.configuration.challenges, enrolled)


def utc_now() -> datetime:
    """Read the wall clock; everything else gets the time passed in."""
    return datetime.now(UTC)


def build(
    configuration: Configuration,
    progress: Progress,
    cancelled: threading.Event,
    responder: SocketActivatedResponder | None = None,
) -> Application:
    """Build every part from a configuration, without network or disk access.

    Call it from the main thread.
    """
    restore_sigchld()
    store = FileStore(configuration.state_directory)
    resolver = Resolver(configuration.resolver.nameservers, configuration.resolver.timeout)
    solvers = build_solvers(
        configuration.challenges, configuration.resolver, store, responder, utc_now
    )
    order_seconds = ORDER_SECONDS + longest_propagation(configuration.challenges)
    authorities = {
        name: Issuer(settings, store, solvers, order_seconds=order_seconds)
        for name, settings in configuration.authorities.items()
    }
    pipeline = Pipeline(
        store=store,
        resolver=resolver,
        authorities=authorities,
        progress=progress,
        now=utc_now,
        look_interval=configuration.resolver.interval,
        excluded_regions=configuration.excluded_regions,
        cancelled=cancelled,
        random=random.SystemRandom(),
        obstacles=Preconditions(authorities, solvers, resolver, cancelled).find,
        lists=CrlLookup(store, utc_now),
        roots=partial(_roots, configuration),
    )
    every = {target.name: target for target in targets(configuration)}
    revoker = Revoker(authorities, cancelled)
    return Application(
        configuration, every, store, pipeline, solvers, authorities, resolver, revoker
    )


def _roots(configuration: Configuration, target: Target) -> tuple[Certificate, ...]:
    """Return the roots trusted for a gateway: this host's and those of its authorities."""
    settings = (configuration.authorities.get(name) for name in target.authorities)
    return load_trusted_roots(
        each.trusted_roots for each in settings if each is not None and each.trusted_roots
    )
