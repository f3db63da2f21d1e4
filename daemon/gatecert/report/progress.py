"""The progress of the daemon, as lines of its log."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from gatecert.outcome_kinds import Stage

if TYPE_CHECKING:
    from collections.abc import MutableMapping

logger = logging.getLogger(__name__)

LINES_OF_A_LOOKUP = 2  # the name that is looked up, and the result


class ProgressLog:
    """Logs each step; a DNS lookup with the same result as the last one at DEBUG only."""

    def __init__(self) -> None:
        self._lookups: MutableMapping[str, deque[str]] = {}

    def __call__(self, gateway: str, stage: Stage, message: str) -> None:
        """Log one step of a gateway."""
        repeated = stage is Stage.RESOLVE and self._is_repeated(gateway, message)
        level = logging.DEBUG if repeated else logging.INFO
        logger.log(level, "%s gateway=%s %s", stage, gateway, message)

    def _is_repeated(self, gateway: str, message: str) -> bool:
        last = self._lookups.setdefault(gateway, deque(maxlen=LINES_OF_A_LOOKUP))
        repeated = message in last
        if repeated:
            last.remove(message)
        last.append(message)
        return repeated
