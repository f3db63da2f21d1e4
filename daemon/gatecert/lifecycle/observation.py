"""What is looked at now and then, whether or not anything is due: names, authority, listeners, end.

A look that finds something new says so in the log and remembers it; what follows from it is
decided in ``schedule.due``, as always.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.acme.protocol import Authority
from gatecert.custom.missing_names import missing_names_warning
from gatecert.lifecycle.gateway_state import GatewayStates
from gatecert.model import Deployment, ListenerOutage, Mode, Progress, Resolution, Stage
from gatecert.resolve.gateway_addresses import own_addresses
from gatecert.resolve.lookup import AddressResolver
from gatecert.resolve.preflight import describe_change, newly_points_here, next_lookup, preflight
from gatecert.schedule.due import next_watch
from gatecert.schedule.expiry_warnings import due_expiry_warning, expiry_warning
from gatecert.verify.verdict import probe_listeners
from gatecert.verify.watch import WatchResult, WatchState, compare

if TYPE_CHECKING:
    from gatecert.deploy.inventory import StoredCertificate
    from gatecert.model import RenewalInfo, Target

logger = logging.getLogger(__name__)

# A name that points here is looked up this many times less often than one that does not.
CALM = 10
LONGEST_FETCH = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Observer:
    """Looks at what lies outside gatecert.

    Attributes:
        look_interval: How often a name that does not point here is looked up.
        cancelled: Set when the process has to leave.
    """

    memory: GatewayStates
    resolver: AddressResolver
    authorities: Mapping[str, Authority]
    progress: Progress
    now: Callable[[], datetime]
    look_interval: timedelta
    cancelled: threading.Event

    def resolve(self, target: Target) -> Resolution:
        """Look up where the gateway's names point, say what has changed, and remember it."""
        self.progress(target.name, Stage.RESOLVE, f"looking up {target.display_name}")
        before = self.memory.state(target)
        addresses = own_addresses(target.addresses)
        resolution = preflight(target, self.resolver, addresses, now=self.now())
        change = describe_change(before.resolution, resolution)
        if change:
            logger.info("names changed gateway=%s %s", target.name, change)
        if resolution.warning and (
            before.resolution is None or before.resolution.warning != resolution.warning
        ):
            logger.warning("name gateway=%s %s", target.name, resolution.warning)
        interval = self.look_interval * (CALM if resolution.points_here else 1)
        look = next_lookup(resolution, interval, now=self.now())
        state = replace(before, resolution=resolution, next_look=look)
        if before.challenge_failures and newly_points_here(before.resolution, resolution):
            logger.info("a name points here now, tried again at once gateway=%s", target.name)
            state = replace(state, next_attempt=None)
        self.memory.save(target, state)
        self.progress(target.name, Stage.RESOLVE, resolution.detail)
        return resolution

    def watch_names(self, target: Target, *, at_once: bool) -> None:
        """Look the names up now and then, so that a change of address is noticed."""
        state = self.memory.state(target)
        if target.mode is not Mode.AUTOMATIC or self.memory.excluded_region(target):
            if state.resolution is not None or state.next_look is not None:
                self.memory.save(target, replace(state, resolution=None, next_look=None))
            return
        if state.resolution is None:
            return
        due = state.next_look is None or self.now() >= state.next_look
        if due or at_once or state.resolution.at > self.now():
            resolution = self.resolve(target)
            if not resolution.points_here:
                logger.warning("name gateway=%s %s", target.name, resolution.detail)

    def refresh_renewal_info(self, target: Target, *, at_once: bool) -> None:
        """Ask the authority when to renew, if it is time to ask (RFC 9773 section 4.3)."""
        held = self.memory.deployer.inventory(target).wanted(self.now())
        state = self.memory.state(target)
        known = state.renewal
        if held is None or not self._has_renewal_info(target, held):
            if known is not None:  # nobody asks any more, so it must not say when to ask next
                self.memory.save(target, replace(state, renewal=None))
            return
        if not at_once and known is not None and self._is_fresh(known, held):
            return
        authority = self.authorities[held.version.authority]
        renewal = authority.renewal_info(
            held.summary, previous=known, now=self.now, cancelled=self.cancelled
        )
        if known is None or known.renew_at != renewal.renew_at:
            logger.info(
                "renewal information gateway=%s renew_at=%s next_fetch=%s explanation=%s",
                target.name,
                renewal.renew_at and renewal.renew_at.isoformat(timespec="seconds"),
                renewal.next_fetch.isoformat(timespec="seconds"),
                renewal.explanation_url or "none",
            )
        self.memory.save(target, replace(state, renewal=renewal))

    def watch_listeners(self, target: Target, *, at_once: bool) -> str:
        """Ask now and then whether what was proven to be served still is.

        Returns:
            What is served in its place; empty where nothing is wrong that a reload could put right.
        """
        situation = self.memory.situation(target)
        next_check = next_watch(situation, self.now())
        if next_check is None or situation.live is None or situation.deployment is None:
            return ""
        if next_check > self.now() and not at_once:
            return ""
        algorithms = situation.live.algorithms
        answers = probe_listeners(target.install.verify, target.hostname, algorithms=algorithms)
        live = self.memory.deployer.inventory(target).live
        command = self.memory.deployer.ask_command(target, live) if live is not None else None
        if self.cancelled.is_set():
            return ""  # a look that was cut short tells nothing
        sight = compare(answers, situation.live, command)
        if sight.state in {WatchState.DRIFTED, WatchState.MIXED}:
            logger.warning("drift gateway=%s %s", target.name, sight.detail)
            return sight.detail
        before = situation.deployment
        after = self._after_look(target, before, sight)
        self.memory.deployer.live(target).save_deployment(after)
        return ""

    def _after_look(self, target: Target, before: Deployment, sight: WatchResult) -> Deployment:
        """What is known of a deployment after a look that found it served, or nobody there."""
        now, silence = self.now(), before.silence
        if sight.state is WatchState.SERVED:
            if silence is not None:
                logger.info(
                    "answers again gateway=%s silent_since=%s",
                    target.name,
                    silence.since.isoformat(timespec="seconds"),
                )
            return replace(before, confirmed=now, silence=None)
        if silence is None or silence.listeners != sight.listeners:
            logger.warning("silent gateway=%s %s", target.name, sight.detail)
        since = silence.since if silence is not None else now
        return replace(before, silence=ListenerOutage(since, now, sight.listeners, sight.detail))

    def warn_of_end(self, target: Target) -> None:
        """Say once at each threshold that an imported certificate ends."""
        live = self.memory.deployer.inventory(target).live
        summary = live.summary if live is not None else None
        now = self.now()
        state = self.memory.state(target)
        notice = due_expiry_warning(target, state, summary, now)
        if notice is None:
            return
        what, fix = expiry_warning(target, summary, now)
        level = logging.WARNING if notice.days else logging.ERROR
        logger.log(level, "certificate ends gateway=%s %s fix=%s", target.name, what, fix)
        self.memory.save(target, replace(state, expiry_notice=notice))

    def warn_of_names(self, target: Target) -> None:
        """Say that an imported certificate is not for all the names that are configured."""
        live = self.memory.deployer.inventory(target).live
        what, fix = missing_names_warning(target, live.summary if live is not None else None)
        if what:
            logger.warning("names gateway=%s %s fix=%s", target.name, what, fix)

    def _has_renewal_info(self, target: Target, held: StoredCertificate) -> bool:
        return (
            target.mode is Mode.AUTOMATIC
            and target.renewal.renewal_info
            and bool(held.summary.certificate_id)
            and held.version.authority in self.authorities
            and not self.memory.excluded_region(target)
        )

    def _is_fresh(self, known: RenewalInfo, held: StoredCertificate) -> bool:
        return (
            known.certificate_id == held.summary.certificate_id
            and self.now() < known.next_fetch <= self.now() + LONGEST_FETCH
        )
