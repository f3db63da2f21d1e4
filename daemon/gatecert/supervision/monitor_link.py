"""The core's side of the monitor: started when it is needed, told everything, replaced when lost.

The monitor shows and tells what the worker describes (``gatecert.monitoring``). Nothing depends on
it: whatever happens to it, the gateways are kept as before. To a monitor that was lost and started
again, every gateway is described once more.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

from gatecert.measurement import Measurement
from gatecert.supervision.kept_process import KeptProcess
from gatecert.supervision.messages import Described, Measured, Ready, Unreadable, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gatecert.supervision.kept_process import LastingProcess
    from gatecert.supervision.messages import Message
    from gatecert.supervision.worker_log import WorkerLog

DESCRIBED_AT_A_TIME: Final = 32  # gateways, so that passes that are due need not wait for them


class MonitorLink(KeptProcess):
    """The monitor as the core knows it; see `KeptProcess`."""

    name = "monitor"

    def __init__(
        self,
        start: Callable[[], LastingProcess],
        log: WorkerLog,
        attach: Callable[[LastingProcess], None],
        detach: Callable[[LastingProcess], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(start, log, attach, detach, monotonic)
        self._gateways: Sequence[str] = ()
        self._undescribed: dict[str, None] = {}
        self._ready = False  # the daemon, from its start on
        self._prepared = False  # every gateway, under the configuration in force

    def keep(self, plan: dict[str, Any], gateways: Sequence[str]) -> None:
        """Have a monitor work by a plan; an empty one needs none."""
        if not plan:  # `Leave` alone may be the end of the daemon
            self._tell(Watch({}, [], os.getpid()))
        self._gateways = gateways if plan else ()
        self._undescribed = dict.fromkeys(self._gateways)
        self._prepared = False
        self._work_by(plan)

    def ready(self) -> None:
        """Tell that every gateway has something to serve."""
        self._ready = self._prepared = True
        self._tell(Ready(ready=True))

    def forward(self, message: Message, *, is_old: bool = False) -> None:
        """Hand on what a worker has described or measured, or the follower has seen.

        Args:
            message: The message.
            is_old: Whether the worker is of the configuration before, whose limits may be off.
        """
        match message:
            case Described() | Unreadable():
                self._undescribed.pop(message.gateway, None)
            case Measured(name=Measurement.BUDGET_REMAINING) if is_old:
                return
        self._tell(message)

    def lost_worker(self) -> None:
        """Measure that a worker was lost."""
        self._tell(Measured(Measurement.WORKER_RESTARTS, {}, 1.0))

    def done(self, gateway: str) -> None:
        """Expect no description of a gateway any more; its next pass makes one."""
        self._undescribed.pop(gateway, None)

    def to_describe(self, busy: Iterable[str]) -> list[str]:
        """Return gateways that a worker should describe now, without a pass.

        Args:
            busy: Gateways that workers have in hand, or soon have.
        """
        if self.process is None or not self._prepared or not self._undescribed:
            return []
        busy = set(busy)
        free = max(0, DESCRIBED_AT_A_TIME - len(busy))
        found = (name for name in self._undescribed if name not in busy)
        return [name for name, _ in zip(found, range(free), strict=False)]

    def _introduction(self) -> tuple[Message, ...]:
        self._undescribed = dict.fromkeys(self._gateways)
        return self._task(), Ready(ready=self._ready)

    def _task(self) -> Watch:
        return Watch(self._plan, list(self._gateways), os.getpid())
