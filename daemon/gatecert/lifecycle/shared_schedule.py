"""Tell the other hosts of a fleet when the next order of a gateway is due, and how urgent it is.

The most urgent of all due orders goes first. With files alone, nobody is told.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gatecert.errors import GatecertError
from gatecert.model import Mode
from gatecert.schedule.due import next_order
from gatecert.schedule.urgency import urgency

if TYPE_CHECKING:
    from gatecert.lifecycle.gateway_pass import Pass

logger = logging.getLogger(__name__)


def tell(current: Pass) -> None:
    """Tell it, before an order and at the end of a pass; never fail."""
    if current.target.mode is not Mode.AUTOMATIC:
        return
    try:
        situation, now = current.situation, current.now()
        due = next_order(situation, now)
        current.store.schedule(current.target.name, urgency(situation, now), due)
    except GatecertError as error:
        logger.info("schedule not told gateway=%s error=%s", current.target.name, error)
