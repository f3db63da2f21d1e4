"""The gateways as the core knows them: how the last pass ended, and the stamp of the files."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from gatecert.outcome_kinds import FAILURES, OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatecert.report.service_manager import ServiceManager
    from gatecert.supervision.messages import Done

logger = logging.getLogger(__name__)

IN_ORDER: Final = {
    OutcomeKind.IDLE,
    OutcomeKind.DEPLOYED,
    OutcomeKind.ENROLLED,
    OutcomeKind.RENEWED,
    OutcomeKind.IMPORTED,
    OutcomeKind.SKIPPED,
}


class Gateways:
    """The gateways of the configuration in force.

    Args:
        service_manager: Is told how they are, in one line.

    Attributes:
        names: Their names.
        stamps: What stood on the disk for each after its last pass, if it is in order.
    """

    def __init__(self, service_manager: ServiceManager) -> None:
        self._service_manager = service_manager
        self.names: frozenset[str] = frozenset()
        self.stamps: dict[str, str] = {}
        self._kinds: dict[str, OutcomeKind] = {}
        self._numbers: Counter[OutcomeKind] = Counter()
        self._reported: dict[str, int] = {}

    def keep(self, names: Iterable[str]) -> None:
        """Know these gateways, and forget every other."""
        self.names = frozenset(names)
        for name in self._kinds.keys() - self.names:
            self._numbers[self._kinds.pop(name)] -= 1
            self._reported.pop(name, None)
        for name in self.stamps.keys() - self.names:
            del self.stamps[name]

    def take_over(self, name: str, stamp: str) -> None:
        """Know that a gateway is as its last pass, before a restart or a reload, has left it."""
        self.stamps[name] = stamp
        if name not in self._kinds:
            self._kinds[name] = OutcomeKind.IDLE
            self._numbers[OutcomeKind.IDLE] += 1

    def announce(self) -> None:
        """Tell the service manager how the gateways are, before any pass has ended."""
        if len(self.names) == 1 and self.stamps:
            (name,) = self.names
            self._service_manager.status(f"{name}: {self._kinds[name]}, in order")
        elif self._kinds:
            self._service_manager.status(self._count())

    def report(self, done: Done) -> None:
        """Log how a pass has ended: a failure always, anything else when it changes."""
        name, kind = done.gateway, OutcomeKind(done.outcome)
        news = hash((kind, done.detail))
        level = logging.DEBUG
        if kind in FAILURES:
            level = logging.ERROR
        elif kind is not OutcomeKind.IDLE and self._reported.get(name) != news:
            level = logging.INFO
        self._reported[name] = news
        logger.log(
            level,
            "%s gateway=%s %s%s seconds=%.3f next=%s",
            kind,
            name,
            done.detail,
            f" fix={done.fix}" if done.fix else "",
            done.seconds,
            done.next_at or "on an event",
            extra={"fields": {"outcome": kind, "code": done.code, "fix": done.fix}},
        )
        before = self._kinds.get(name)
        if before is not None:
            self._numbers[before] -= 1
        self._kinds[name] = kind
        self._numbers[kind] += 1
        if kind in IN_ORDER and done.stamp:
            self.stamps[name] = done.stamp
        else:
            self.stamps.pop(name, None)
        self._service_manager.status(self._status(done))

    def _status(self, last: Done) -> str:
        """Return one line for the service manager; its length does not grow with the gateways."""
        if len(self.names) == 1:
            return f"{last.gateway}: {last.outcome}, {last.detail}"
        words = self._count()
        return f"{words}; {last.gateway}: {last.detail}" if last.outcome in FAILURES else words

    def _count(self) -> str:
        numbers = ((self._numbers[kind], kind) for kind in OutcomeKind)
        found = ", ".join(f"{number} {kind}" for number, kind in numbers if number)
        return f"{len(self.names)} gateways: {found}"
