"""The other hosts of a cluster, of which the CA may reach any."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatecert.challenge.solver import Challenge
    from gatecert.deadline import Deadline
    from gatecert.store.protocol import TokenStore

logger = logging.getLogger(__name__)


def wait_for_hosts(
    tokens: TokenStore, challenge: Challenge, token: str, deadline: Deadline
) -> None:
    """Wait until the other hosts answer a challenge as well, and name those that do not.

    Args:
        tokens: Has the response.
        challenge: The challenge.
        token: Its key in ``tokens``.
        deadline: When to stop waiting.

    Raises:
        DatabaseError: It cannot be known, so the CA must not be told.
    """
    missing = tokens.wait_for_hosts(challenge.type, token, deadline)
    if missing:
        logger.warning(
            "hosts that do not answer %s for %s: %s; the CA is told all the same, and the "
            "validation fails if it reaches one of them (look at the log of gatecert there, or use "
            "dns-01)",
            challenge.type,
            challenge.identifier,
            ", ".join(missing),
        )
