"""Look at what changes by itself: names, renewal information, listeners, expiry.

A look that finds something new is logged and saved; ``schedule.due`` decides what follows.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gatecert.acme.protocol import Authority
from gatecert.custom.missing_names import missing_names_warning
from gatecert.model import Deployment, GatewayState, ListenerOutage, Mode, Resolution, Stage
from gatecert.resolve.gateway_addresses import own_addresses
from gatecert.resolve.lookup import AddressResolver
from gatecert.resolve.preflight import (
    describe_change,
    newly_points_here,
    pause_between_lookups,
    preflight,
    unchanged_since,
)
from gatecert.schedule.due import next_watch
from gatecert.schedule.expiry_warnings import due_expiry_warning, expiry_warning
from gatecert.schedule.spread import next_instant
from gatecert.verify.verdict import probe_listeners
from gatecert.verify.watch import WatchResult, WatchState, compare

if TYPE_CHECKING:
    from gatecert.lifecycle.gateway_pass import Pass

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Observer:
    """Looks at what lies outside gatecert.

    Attributes:
        look_interval: How often a name that does not point here is looked up.
        cancelled: Set when gatecert stops.
    """

    resolver: AddressResolver
    authorities: Mapping[str, Authority]
    look_interval: timedelta
    cancelled: threading.Event

    def resolve(self, current: Pass) -> Resolution:
        """Look up where the gateway's names point, log what changed, and save it."""
        target, before = current.target, current.state.host
        current.tell(Stage.RESOLVE, f"looking up {target.display_name}")
        addresses = own_addresses(target.addresses)
        resolution = preflight(target, self.resolver, addresses, now=current.now())
        since = unchanged_since(before.resolution, resolution)
        resolution = replace(resolution, unchanged_since=since)
        change = describe_change(before.resolution, resolution)
        if change:
            logger.info("names changed gateway=%s %s", target.name, change)
        if resolution.warning and (
            before.resolution is None or before.resolution.warning != resolution.warning
        ):
            logger.warning("name gateway=%s %s", target.name, resolution.warning)
        pause = pause_between_lookups(resolution, self.look_interval)
        if resolution.points_here:
            look_at = next_instant(target.name, resolution.at, pause)
        else:
            look_at = resolution.at + pause
        enrolment = current.state.enrolment
        if enrolment.challenge_failures and newly_points_here(before.resolution, resolution):
            logger.info("name points here now, retrying at once gateway=%s", target.name)
            enrolment = replace(enrolment, next_attempt=None)
        next_look = max(look_at, current.now())
        host = replace(before, resolution=resolution, next_look=next_look)
        current.save(GatewayState(enrolment, host))
        current.tell(Stage.RESOLVE, resolution.detail)
        return resolution

    def watch_names(self, current: Pass) -> None:
        """Look the names up now and then, so that a change of address is noticed."""
        host, target, now = current.state.host, current.target, current.now()
        if target.mode is not Mode.AUTOMATIC or current.excluded_region or not target.is_looked_up:
            current.update_host(resolution=None, next_look=None)
            return
        if host.resolution is None:
            return
        due = host.next_look is None or now >= host.next_look
        if due or current.occasion.look_now or host.resolution.at > now:
            resolution = self.resolve(current)
            if not resolution.points_here:
                logger.warning("name gateway=%s %s", target.name, resolution.detail)

    def refresh_renewal_info(self, current: Pass) -> None:
        """Fetch renewal information if it is time to (RFC 9773 section 4.3)."""
        known = current.state.enrolment.renewal
        stored, due = current.wanted, current.renewal_info_due
        if stored is None or due is None:
            current.update_enrolment(renewal=None)
            return
        if not current.occasion.look_now and due > current.now():
            return
        renewal = self.authorities[stored.version.authority].renewal_info(
            stored.summary, previous=known, now=current.now, cancelled=self.cancelled
        )
        if known is None or known.renew_at != renewal.renew_at:
            logger.info(
                "renewal information gateway=%s renew_at=%s next_fetch=%s explanation=%s",
                current.target.name,
                renewal.renew_at and renewal.renew_at.isoformat(timespec="seconds"),
                renewal.next_fetch.isoformat(timespec="seconds"),
                renewal.explanation_url or "none",
            )
        current.update_enrolment(renewal=renewal)

    def watch_listeners(self, current: Pass) -> str:
        """Ask the listeners now and then whether they still serve what was proven.

        Returns:
            What they serve instead; empty if nothing is wrong that a reload could repair.
        """
        due, live = next_watch(current.situation, current.now()), current.live
        before = current.deployer.deployment
        if due is None or live is None or before is None:
            return ""
        if due > current.now() and not current.occasion.look_now:
            return ""
        target = current.target
        algorithms = live.summary.algorithms
        answers = probe_listeners(target.install.verify, target.hostname, algorithms=algorithms)
        command = current.deployer.ask_command(live)
        if self.cancelled.is_set():
            return ""  # an interrupted look proves nothing
        result = compare(answers, live.summary, command)
        if result.state in {WatchState.DRIFTED, WatchState.MIXED}:
            logger.warning("drift gateway=%s %s", target.name, result.detail)
            return result.detail
        current.deployer.record.save(_after_look(current, before, result))
        return ""

    def warn_of_expiry(self, current: Pass) -> None:
        """Warn once at each threshold that an imported certificate expires."""
        target, live, now = current.target, current.live, current.now()
        summary = live.summary if live is not None else None
        notice = due_expiry_warning(target, current.state.host, summary, now)
        if notice is None:
            return
        what, fix = expiry_warning(target, summary, now)
        level = logging.WARNING if notice.days else logging.ERROR
        logger.log(level, "certificate ends gateway=%s %s fix=%s", target.name, what, fix)
        current.update_host(expiry_notice=notice)

    def warn_of_names(self, current: Pass) -> None:
        """Warn of configured names that an imported certificate does not have."""
        live = current.live
        what, fix = missing_names_warning(
            current.target, live.summary if live is not None else None
        )
        if what:
            logger.warning("names gateway=%s %s fix=%s", current.target.name, what, fix)


def _after_look(current: Pass, before: Deployment, result: WatchResult) -> Deployment:
    """Update the record after a look that found the certificate served, or no listener."""
    now, silence = current.now(), before.silence
    if result.state is WatchState.SERVED:
        if silence is not None:
            logger.info(
                "answers again gateway=%s silent_since=%s",
                current.target.name,
                silence.since.isoformat(timespec="seconds"),
            )
        return replace(before, confirmed=now, silence=None)
    if silence is None or silence.listeners != result.listeners:
        logger.warning("silent gateway=%s %s", current.target.name, result.detail)
    since = silence.since if silence is not None else now
    return replace(before, silence=ListenerOutage(since, now, result.listeners, result.detail))
