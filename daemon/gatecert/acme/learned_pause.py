"""The pause before a first poll, learned from how soon a CA was ready before.

CAs tell neither when they have fetched all responses that they want nor when a certificate is
issued; some need milliseconds for it, some seconds. A poll that comes too soon costs a request and
a longer pause, so the next pause is twice as long. A poll that finds the CA ready makes it a little
shorter.
"""

from __future__ import annotations

from typing import Final

GROWTH: Final = 2.0
SHRINKAGE: Final = 0.9


class LearnedPause:
    """A pause that adapts to one CA; threads may share it, since any value does.

    Args:
        first: The first pause, in seconds.
        longest: The longest one.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._shortest = first
        self._longest = longest
        self.seconds = first

    def learn(self, *, enough: bool) -> None:
        """Adapt the pause to the outcome of the poll after it."""
        wanted = self.seconds * (SHRINKAGE if enough else GROWTH)
        self.seconds = min(max(wanted, self._shortest), self._longest)
