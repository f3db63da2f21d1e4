"""An enrolment that is only tried: the whole path at staging directories, and nothing is installed.

    the names point here → nothing is in the way → ordered at the staging directory → checked

Every authority that the gateway may use is tried, for any of them may have to take over one day.
What is left behind is an account at the staging directory, and what was spent of its limits;
neither the gateway's state nor its files are touched.
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
    from gatecert.model import Target


@dataclass(frozen=True, slots=True)
class DryRun:
    """Tries enrolments."""

    ordering: Ordering
    resolver: AddressResolver

    def run(self, target: Target, *, wait: float) -> Outcome:
        """Try to enrol a gateway, and say how it went.

        Args:
            target: What for.
            wait: Seconds to wait for somebody else who is changing the gateway.

        Raises:
            LockTimeoutError: Somebody else is changing this gateway.
        """
        started = time.monotonic()
        with self.ordering.memory.store.lock_gateway(target.name, "a dry run", wait=wait):
            try:
                outcome = self._try(target)
            except (RateLimitBudgetError, InterruptedOrderError) as error:
                outcome = self._outcome(target, OutcomeKind.WAITING, error)
            except GatecertError as error:
                outcome = self._outcome(target, OutcomeKind.FAILED, error)
        return replace(outcome, seconds=round(time.monotonic() - started, 3))

    def _try(self, target: Target) -> Outcome:
        memory = self.ordering.memory
        if target.mode is Mode.CUSTOM:
            detail = "nothing to try: the certificate is yours to bring (mode custom)"
            return memory.outcome(target, OutcomeKind.IDLE, detail)
        region = memory.excluded_region(target)
        if region:
            return memory.outcome(target, OutcomeKind.SKIPPED, exclusion_reason(region, target))
        self._tell(target, Stage.RESOLVE, f"looking up {target.display_name}")
        here = own_addresses(target.addresses)
        resolution = preflight(target, self.resolver, here, now=memory.now())
        if not resolution.allows_order(renewing=is_renewal(memory.situation(target))):
            code = BY_RESOLUTION[resolution.kind]
            return memory.outcome(
                target, OutcomeKind.WAITING, resolution.detail, code=code.name, fix=code.fix
            )
        return self._try_authorities(target)

    def _try_authorities(self, target: Target) -> Outcome:
        memory, issued, untried = self.ordering.memory, [], []
        for authority in self.ordering.known(target):
            obstacle = self.ordering.obstacle(target, authority)
            if obstacle is not None:
                found = obstacle.finding
                detail = f"{authority.name}: {found.seen}; {found.meaning}"
                return memory.outcome(
                    target, OutcomeKind.FAILED, detail, code=found.code, fix=found.fix
                )
            staging = authority.staging
            if staging is None:
                untried.append(authority.name)
                continue
            self._order(target, authority, staging)
            issued.append(staging.name)
        if not issued:
            raise AuthorityError(
                f"no staging directory is known for {', '.join(untried)}, so nothing was ordered",
                fix=f"set authorities.{untried[0]}.staging_directory_url if there is one",
            )
        detail = f"dry run: {', '.join(issued)} issued a certificate, and nothing was installed"
        if untried:
            detail += f"; not tried, for want of a staging directory: {', '.join(untried)}"
        return memory.outcome(target, OutcomeKind.IDLE, detail)

    def _order(self, target: Target, authority: Authority, staging: Authority) -> None:
        self._tell(target, Stage.ORDER, f"ordering from {staging.name}")
        try:
            issued = self.ordering.dry_run(staging, target)
        except GatecertError as error:
            # The staging directory has no settings of its own.
            error.fix = error.fix.replace(
                f"authorities.{staging.name}.directory_url",
                f"authorities.{authority.name}.staging_directory_url",
            ).replace(f"authorities.{staging.name}.", f"authorities.{authority.name}.")
            raise
        for note in issued.notes:
            self._tell(target, Stage.ORDER, f"note: {note}")

    def _outcome(self, target: Target, kind: OutcomeKind, error: GatecertError) -> Outcome:
        detail = f"dry run: {error.message}; nothing was installed"
        return self.ordering.memory.outcome(target, kind, detail, code=error.code, fix=error.fix)

    def _tell(self, target: Target, stage: Stage, message: str) -> None:
        self.ordering.progress(target.name, stage, message)
