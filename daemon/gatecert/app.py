"""The composition root, and the daemon's main loop: signals, service manager, scheduler.

The main thread waits for signals on a wakeup descriptor and does nothing else but say now and then
that it is alive; gateways are looked after by the scheduler's threads.

- SIGHUP reads the configuration again; a bad one is reported and the old one stays in force.
- SIGTERM and SIGINT end within ten seconds; an order under way is kept and resumed next time.
- SIGUSR1 looks at every gateway again at once, names and renewal information included.
"""

from __future__ import annotations

import logging
import os
import random
import select
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Self

from gatecert.acme.issuer import ORDER_SECONDS, Issuer
from gatecert.certificate.trust import expected_roots
from gatecert.challenge.cleanup_thread import Tidying
from gatecert.challenge.socket_activation import StandingResponder
from gatecert.challenge.solver import Solver
from gatecert.challenge.solvers import build_solvers, longest_wait
from gatecert.config.schema import Configuration
from gatecert.config.targets import targets
from gatecert.deploy.deployer import Deployer
from gatecert.doctor import listener_checks
from gatecert.doctor.preconditions import Obstacles
from gatecert.errors import ConfigurationError, GatecertError, LockTimeoutError
from gatecert.lifecycle.pipeline import Occasion, Pipeline
from gatecert.lifecycle.revoke import Revoker
from gatecert.model import Mode, Outcome, OutcomeKind, Progress, Target
from gatecert.process import heed_children
from gatecert.report.progress import ProgressLog
from gatecert.resolve.dns import Resolver
from gatecert.revocation.crl_lookup import RevocationLists
from gatecert.schedule.timers import HEARTBEAT, Jobs
from gatecert.store.file_store import FileStore
from gatecert.store.protocol import Store

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from cryptography.x509 import Certificate

    from gatecert.report.service_manager import ServiceManager

logger = logging.getLogger(__name__)

LONGEST_SILENCE = 6 * HEARTBEAT
TIME_TO_LEAVE = 8.0
BUSY_PAUSE = timedelta(seconds=1)
SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


@dataclass(frozen=True, slots=True)
class House:
    """One configuration, with everything built for it."""

    configuration: Configuration
    targets: Mapping[str, Target]
    store: Store
    pipeline: Pipeline
    solvers: Mapping[str, Solver]
    authorities: Mapping[str, Issuer]
    resolver: Resolver
    revoker: Revoker

    def warn_of_listeners(self) -> None:
        """Log where another user of this machine could answer challenges."""
        excluded = self.pipeline.memory.excluded_region
        every = [target for target in self.targets.values() if target.mode is Mode.AUTOMATIC]
        enrolled = [target for target in every if not excluded(target)]
        listener_checks.warn(self.configuration.challenges, enrolled)


def utc_now() -> datetime:
    """The wall clock; everything else gets the time handed in."""
    return datetime.now(UTC)


def build(
    configuration: Configuration,
    progress: Progress,
    cancelled: threading.Event,
    standing: StandingResponder | None = None,
) -> House:
    """Build every part for a configuration; touches neither network nor disk.

    Call it from the main thread.
    """
    heed_children()
    store = FileStore(configuration.state_directory)
    resolver = Resolver(configuration.resolver.nameservers, configuration.resolver.timeout)
    solvers = build_solvers(
        configuration.challenges, configuration.resolver, store, standing, utc_now
    )
    order_seconds = ORDER_SECONDS + longest_wait(configuration.challenges)
    authorities = {
        name: Issuer(settings, store, solvers, order_seconds=order_seconds)
        for name, settings in configuration.authorities.items()
    }
    pipeline = Pipeline(
        store=store,
        deployer=Deployer(store, progress, utc_now, cancelled, partial(_roots, configuration)),
        resolver=resolver,
        authorities=authorities,
        progress=progress,
        now=utc_now,
        look_interval=configuration.resolver.interval,
        excluded_regions=configuration.excluded_regions,
        cancelled=cancelled,
        random=random.SystemRandom(),
        obstacles=Obstacles(authorities, solvers, resolver, cancelled).find,
        lists=RevocationLists(store, utc_now),
    )
    every = {target.name: target for target in targets(configuration)}
    revoker = Revoker(store, pipeline.memory, authorities, utc_now, cancelled)
    return House(configuration, every, store, pipeline, solvers, authorities, resolver, revoker)


def _roots(configuration: Configuration, target: Target) -> tuple[Certificate, ...]:
    """What is trusted for a gateway: this machine's roots and those that its authorities use."""
    settings = (configuration.authorities.get(name) for name in target.authorities)
    return expected_roots(
        each.trusted_roots for each in settings if each is not None and each.trusted_roots
    )


class Daemon:
    """Looks after every gateway until it is told to leave.

    Args:
        configuration: The one to begin with.
        load: Reads the configuration again.
        service_manager: Who is told how it goes.
        listeners: Sockets for http-01 that the service manager has opened.
    """

    def __init__(
        self,
        configuration: Configuration,
        load: Callable[[], Configuration],
        service_manager: ServiceManager,
        listeners: Sequence[socket.socket] = (),
    ) -> None:
        self._load = load
        self._service_manager = service_manager
        self._cancelled = threading.Event()
        tokens = FileStore(configuration.state_directory)
        self._standing = StandingResponder(listeners, tokens) if listeners else None
        self._progress = ProgressLog()
        self._house = build(configuration, self._progress, self._cancelled, self._standing)
        self._jobs = Jobs(self._attend)
        self._tidying = Tidying()
        self._outcomes: dict[str, Outcome] = {}
        self._reporting = threading.Lock()
        self._look_now: set[str] = set()
        self._unprepared: set[str] = set()

    def run(self) -> None:
        """Stay until SIGTERM or SIGINT.

        Raises:
            StateHeldError: Another daemon holds the state directory.
            StorageError: The state directory cannot be used.
        """
        with self._house.store.hold():
            with _SignalPipe() as signals:
                self._prepare()
                self._service_manager.ready()
                logger.info("ready gateways=%d", len(self._house.targets))
                self._jobs.start(self._house.targets)
                self._tidying.look(self._house.solvers)
                self._wait(signals)
            self._leave()

    def _prepare(self) -> None:
        self._house.warn_of_listeners()
        for target in self._house.targets.values():
            try:
                self._prepare_gateway(self._house, target)
            except LockTimeoutError as error:
                self._unprepared.add(target.name)
                logger.info("prepared by its next pass gateway=%s %s", target.name, error.message)

    def _prepare_gateway(self, house: House, target: Target) -> None:
        """Prepare a gateway, or say why not.

        Raises:
            LockTimeoutError: Somebody else is changing it.
        """
        try:
            outcome = house.pipeline.prepare(target)
        except LockTimeoutError:
            raise
        except GatecertError as error:
            logger.error("gateway=%s cannot be prepared: %s", target.name, error)  # noqa: TRY400
        else:
            if outcome is not None:
                self._report(outcome)
        self._unprepared.discard(target.name)

    def _wait(self, signals: _SignalPipe) -> None:
        watchdog = self._service_manager.watchdog
        patience = min(HEARTBEAT, watchdog / 3) if watchdog else HEARTBEAT
        while True:
            for number in signals.wait(patience):
                match number:
                    case signal.SIGHUP:
                        self._reload()
                    case signal.SIGUSR1:
                        logger.info("told to look at everything again")
                        self._look_now.update(self._house.targets)
                        self._jobs.wake()
                    case _:
                        logger.info("told to leave signal=%s", signal.Signals(number).name)
                        return
            self._jobs.look_at_clock()
            self._tidying.look(self._house.solvers)
            if self._jobs.seconds_since_heartbeat < LONGEST_SILENCE:
                self._service_manager.alive()

    def _reload(self) -> None:
        self._service_manager.reloading()
        try:
            configuration = self._load()
            if configuration.state_directory != self._house.configuration.state_directory:
                logger.error(
                    "state_directory cannot be changed by a reload, the old configuration stays "
                    "in force: restart gatecert"
                )
                return
            house = build(configuration, self._progress, self._cancelled, self._standing)
            house.pipeline.memory.inherit(self._house.pipeline.memory)
            self._house = house
            self._prepare()
            self._jobs.replace(self._house.targets)
            logger.info("configuration read again gateways=%d", len(self._house.targets))
        except ConfigurationError as error:
            for problem in error.problems:
                logger.error("%s", problem)  # noqa: TRY400
            logger.error("configuration is not good, the old one stays in force")  # noqa: TRY400
        finally:
            self._service_manager.ready()

    def _attend(self, name: str) -> datetime | None:
        house = self._house
        target = house.targets.get(name)
        if target is None:
            return None
        occasion = Occasion(look_now=name in self._look_now)
        self._look_now.discard(name)
        try:
            if name in self._unprepared:
                self._prepare_gateway(house, target)
            outcome = house.pipeline.attend(target, occasion)
        except LockTimeoutError as error:
            logger.debug("busy gateway=%s %s", name, error)
            return utc_now() + BUSY_PAUSE
        except GatecertError as error:
            logger.error("gateway=%s cannot be looked after: %s", name, error)  # noqa: TRY400
            return None
        finally:
            if house is not self._house:  # what was put in place is not what is asked for now
                self._unprepared.add(name)
        self._report(outcome)
        return outcome.wake_at

    def _report(self, outcome: Outcome) -> None:
        """Log an outcome: failures always, anything else when it is news."""
        with self._reporting:
            before = self._outcomes.get(outcome.gateway)
            self._outcomes[outcome.gateway] = outcome
            known = [
                one for name, one in sorted(self._outcomes.items()) if name in self._house.targets
            ]
        news = before is None or (before.kind, before.detail) != (outcome.kind, outcome.detail)
        level = logging.INFO if news and outcome.kind is not OutcomeKind.IDLE else logging.DEBUG
        logger.log(
            logging.ERROR if outcome.failed else level,
            "%s gateway=%s %s%s seconds=%.3f next=%s",
            outcome.kind,
            outcome.gateway,
            outcome.detail,
            f" fix={outcome.fix}" if outcome.fix else "",
            outcome.seconds,
            outcome.next_at.isoformat(timespec="seconds") if outcome.next_at else "on an event",
            extra={"fields": {"outcome": outcome.kind, "code": outcome.code, "fix": outcome.fix}},
        )
        self._service_manager.status(
            "; ".join(f"{one.gateway}: {one.kind}, {one.detail}" for one in known)
        )

    def _leave(self) -> None:
        self._service_manager.stopping()
        self._cancelled.set()
        if not self._jobs.stop(TIME_TO_LEAVE):
            logger.warning("left in the middle of a pass; it is taken up again at the next start")
            logging.shutdown()
            os._exit(0)
        logger.info("left")


class _SignalPipe:
    """Signals as numbers read from a pipe, so that no handler interrupts anything."""

    def __enter__(self) -> Self:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._descriptor_before = signal.set_wakeup_fd(self._write)
        self._before = {number: signal.signal(number, _ignore) for number in SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._descriptor_before)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float) -> list[int]:
        """The signals that came within that time."""
        ready, _, _ = select.select([self._read], [], [], seconds)
        return list(os.read(self._read, 4096)) if ready else []


def _ignore(number: int, frame: object) -> None:
    """Python needs a handler before it writes to the wakeup descriptor."""
