"""A dry run: an enrolment at staging directories, of which nothing is installed.

    names point here → checks pass → order at the staging directory → chain checked

Every authority that the gateway may use is tried, since any of them may have to take over. What
remains is an account at the staging directory and the use of its rate limits; the gateway's state
and files do not change.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatecert.doctor.codes import BY_RESOLUTION
from gatecert.errors import (
    AuthorityError,
    GatecertError,
    InterruptedOrderError,
    RateLimitBudgetError,
)
from gatecert.lifecycle.ordering import Ordering
from gatecert.model import Mode, Outcome, OutcomeKind, Stage
from gatecert.resolve.gateway_addresses import own_addresses
from gatecert.resolve.lookup import AddressResolver
from gatecert.resolve.preflight import preflight
from gatecert.resolve.region import exclusion_reason
from gatecert.schedule.due import is_renewal

if TYPE_CHECKING:
    from gatecert.acme.protocol import Authority
    from gatecert.lifecycle.gateway_pass import Pass


@dataclass(frozen=True, slots=True)
class DryRun:
    """Tries enrolments."""

    ordering: Ordering
    resolver: AddressResolver

    def run(self, current: Pass) -> Outcome:
        """Try to enrol a gateway.

        Raises:
            LockTimeoutError: Another process is changing this gateway.
        """
        started = time.monotonic()
        with current.lock("a dry run"):
            try:
                outcome = self._try(current)
            except (RateLimitBudgetError, InterruptedOrderError) as error:
                outcome = _failed(current, OutcomeKind.WAITING, error)
            except GatecertError as error:
                outcome = _failed(current, OutcomeKind.FAILED, error)
        return replace(outcome, seconds=round(time.monotonic() - started, 3))

    def _try(self, current: Pass) -> Outcome:
        target, region = current.target, current.excluded_region
        if target.mode is Mode.CUSTOM:
            detail = "nothing to try: an administrator brings the certificate (mode: custom)"
            return current.outcome(OutcomeKind.IDLE, detail)
        if region:
            return current.outcome(OutcomeKind.SKIPPED, exclusion_reason(region, target))
        waiting = self._look_up(current) if target.is_looked_up else None
        return waiting or self._try_authorities(current)

    def _look_up(self, current: Pass) -> Outcome | None:
        """Look the names up; return why an order would wait, or None."""
        target = current.target
        current.tell(Stage.RESOLVE, f"looking up {target.display_name}")
        addresses = own_addresses(target.addresses)
        resolution = preflight(target, self.resolver, addresses, now=current.now())
        if resolution.allows_order(renewing=is_renewal(current.situation)):
            return None
        code = BY_RESOLUTION[resolution.kind]
        return current.outcome(OutcomeKind.WAITING, resolution.detail, code=code.name, fix=code.fix)

    def _try_authorities(self, current: Pass) -> Outcome:
        issued, untried = [], []
        for authority in self.ordering.known(current):
            obstacle = self.ordering.obstacle(current, authority)
            if obstacle is not None:
                found = obstacle.finding
                detail = f"{authority.name}: {found.seen}; {found.meaning}"
                return current.outcome(OutcomeKind.FAILED, detail, code=found.code, fix=found.fix)
            staging = authority.staging
            if staging is None:
                untried.append(authority.name)
                continue
            self._order(current, authority, staging)
            issued.append(staging.name)
        if not issued:
            raise AuthorityError(
                f"no staging directory is known for {', '.join(untried)}, so nothing was ordered",
                fix=f"set authorities.{untried[0]}.staging_directory_url if the CA has one",
            )
        detail = f"dry run: {', '.join(issued)} issued a certificate, and nothing was installed"
        if untried:
            detail += f"; not tried, no staging directory is known: {', '.join(untried)}"
        return current.outcome(OutcomeKind.IDLE, detail)

    def _order(self, current: Pass, authority: Authority, staging: Authority) -> None:
        current.tell(Stage.ORDER, f"ordering from {staging.name}")
        try:
            issued = self.ordering.dry_run(current, staging)
        except GatecertError as error:
            # The staging directory has no settings of its own.
            error.fix = error.fix.replace(
                f"authorities.{staging.name}.directory_url",
                f"authorities.{authority.name}.staging_directory_url",
            ).replace(f"authorities.{staging.name}.", f"authorities.{authority.name}.")
            raise
        for note in issued.notes:
            current.tell(Stage.ORDER, f"note: {note}")


def _failed(current: Pass, kind: OutcomeKind, error: GatecertError) -> Outcome:
    detail = f"dry run: {error.message}; nothing was installed"
    return current.outcome(kind, detail, code=error.code, fix=error.fix)
