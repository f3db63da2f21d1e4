"""The core's side of the follower, the process that follows a fleet's database.

Without it, the gateways are kept as before: whatever other hosts do is found at the next pass.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from gatecert.supervision.kept_process import KeptProcess
from gatecert.supervision.messages import FleetSeen, Follow, Look

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.supervision.kept_process import LastingProcess
    from gatecert.supervision.messages import Message
    from gatecert.supervision.worker_log import WorkerLog


class FollowerLink(KeptProcess):
    """The follower as the core knows it; see `KeptProcess`.

    Args:
        look: Is given the names of gateways of which other hosts have news.
        forward: Is given what the monitor should know of the fleet.
    """

    name = "follower"

    def __init__(  # noqa: PLR0913, PLR0917 - those of KeptProcess
        self,
        start: Callable[[], LastingProcess],
        log: WorkerLog,
        attach: Callable[[LastingProcess], None],
        detach: Callable[[LastingProcess], None],
        look: Callable[[list[str]], None],
        forward: Callable[[Message], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(start, log, attach, detach, monotonic)
        self._look = look
        self._forward = forward
        self._life = str(uuid4())  # of the core: the same for each follower
        self._listening = False

    def keep(self, plan: dict[str, Any], *, listening: bool) -> None:
        """Have a follower work by a plan; an empty one needs none.

        Args:
            plan: A `FollowingPlan` in plain values.
            listening: Whether the core answers http-01 on inherited sockets.
        """
        self._listening = listening
        self._work_by(plan)

    def _received(self, message: Message) -> None:
        if isinstance(message, Look):
            self._look(message.gateways)
        elif isinstance(message, FleetSeen):
            self._forward(message)
        else:
            super()._received(message)

    def _task(self) -> Follow:
        return Follow(self._plan, self._life, self._listening)
