"""A daemon's progress, as lines of its log."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from gatecert.model import Stage

if TYPE_CHECKING:
    from collections.abc import MutableMapping

logger = logging.getLogger(__name__)

LINES_OF_A_LOOK = 2  # whose name is looked up, and what was found


class ProgressLog:
    """Logs each step; a look at a name that finds what the last one found is no news (DEBUG)."""

    def __init__(self) -> None:
        self._looks: MutableMapping[str, deque[str]] = {}

    def __call__(self, gateway: str, stage: Stage, message: str) -> None:
        """Log one step of a gateway."""
        told = stage is Stage.RESOLVE and self._is_known(gateway, message)
        level = logging.DEBUG if told else logging.INFO
        logger.log(level, "%s gateway=%s %s", stage, gateway, message)

    def _is_known(self, gateway: str, message: str) -> bool:
        last = self._looks.setdefault(gateway, deque(maxlen=LINES_OF_A_LOOK))
        known = message in last
        if known:
            last.remove(message)
        last.append(message)
        return known
