"""Turns at orders for gateways in the field, which the core hands to workers beside gateways.

A turn has a name like a gateway, which no gateway can have, and is always due again: at once if it
has ordered, since there may be more, else after a pause. As many run side by side as there are. The
core spreads them over the pause, so that one of them looks every ten seconds while there is nothing
to order.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

TURNS: Final = tuple(f"field orders {number}" for number in range(1, 9))
PAUSE: Final = timedelta(seconds=10) * len(TURNS)  # until one looks again that found nothing
