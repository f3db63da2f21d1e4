"""Keeps the address records of gateways with dynamic DNS.

Dynamic DNS is beside the certificate: whatever happens to it is kept in the state of the gateway,
shown by ``status`` and ``doctor``, and never an outcome, so it stops no enrolment or renewal of a
gateway whose name already points here. It comes before the look-up of the names, and after a change
they are looked up at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from gatecert.errors import DdnsError
from gatecert.model import DdnsProblem, DdnsState, Stage, Target

if TYPE_CHECKING:
    from datetime import datetime

    from gatecert.lifecycle.gateway_pass import Pass

logger = logging.getLogger(__name__)

UNEXPECTED_PAUSE = timedelta(hours=1)


class Keeper(Protocol):
    """Keeps the records of one gateway; implemented by ``ddns.record_keeper.RecordKeeper``."""

    def keep(self, before: DdnsState | None, *, now: datetime, asked: bool) -> DdnsState:
        """Publish the addresses if that is due, and return what is known."""
        ...


@dataclass(frozen=True, slots=True)
class RecordKeeping:
    """The dynamic DNS of all gateways.

    Attributes:
        keeper: Returns what keeps the records of a gateway that has them kept.
    """

    keeper: Callable[[Target], Keeper]

    def tend(self, current: Pass) -> None:
        """Publish the addresses of a gateway if that is due."""
        before = current.state.host.ddns
        if not current.target.keeps_records:
            current.update_host(ddns=None)
            return
        occasion = current.occasion
        after = self._keep(current, before, asked=occasion.look_now or occasion.force)
        _report(current, before, after)
        if after.published_at != (before.published_at if before is not None else None):
            current.update_host(ddns=after, next_look=None)
        else:
            current.update_host(ddns=after)

    def _keep(self, current: Pass, before: DdnsState | None, *, asked: bool) -> DdnsState:
        now = current.now()
        try:
            return self.keeper(current.target).keep(before, now=now, asked=asked)
        except Exception as error:
            logger.exception("unexpected error in dynamic DNS gateway=%s", current.target.name)
            problem = DdnsProblem(DdnsError.code, f"unexpected error: {error!r}", "", now)
            return DdnsState(looked_at=now, next_look=now + UNEXPECTED_PAUSE, problem=problem)


def _report(current: Pass, before: DdnsState | None, after: DdnsState) -> None:
    """Log and show what has changed."""
    name, known = current.target.name, before or DdnsState()
    if after.published_at != known.published_at:
        records = ", ".join(map(str, after.published))
        logger.info("records published gateway=%s records=%s", name, records)
        current.tell(Stage.RESOLVE, f"dynamic DNS: {current.target.hostname} is now {records}")
    problem = after.problem
    if problem is None:
        if known.problem is not None:
            logger.info("dynamic DNS works again gateway=%s", name)
        return
    if known.problem is None or known.problem.detail != problem.detail:
        logger.warning(
            "dynamic DNS gateway=%s code=%s %s fix=%s",
            name, problem.code, problem.detail, problem.fix,
        )  # fmt: skip
    if current.occasion.look_now or known.problem is None:
        current.tell(Stage.RESOLVE, f"dynamic DNS: {problem.detail}")
