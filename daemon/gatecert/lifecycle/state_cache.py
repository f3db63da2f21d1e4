"""The state of gateways, also while the disk cannot be written.

State that cannot be saved stays in this process and counts until it can be saved. Meanwhile the
gateway is held back: no order is placed whose result could not be stored. Either part of the cached
state gives way to what a command or another host has written since. State that exists but cannot be
read is not taken for an empty one: nothing is done and nothing is written until it can be read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from gatecert.errors import StorageError
from gatecert.model import EnrolmentState, GatewayState, HostState
from gatecert.store.codec import decode, encode
from gatecert.store.protocol import Store

logger = logging.getLogger(__name__)

Part = TypeVar("Part", EnrolmentState, HostState)

STORAGE_PAUSE = timedelta(seconds=30)


@dataclass(slots=True)
class StateCache:
    """The state of every gateway of this process.

    Attributes:
        now: Reads the clock.
        known: State by gateway, as last read or written.
        unsaved: What the disk held of gateways whose ``known`` state could not be saved.
        held_back: Instants before which nothing is tried for a gateway.
    """

    store: Store
    now: Callable[[], datetime]
    known: dict[str, GatewayState] = field(default_factory=dict)
    unsaved: dict[str, GatewayState] = field(default_factory=dict)
    held_back: dict[str, datetime] = field(default_factory=dict)

    def load(self, gateway: str) -> GatewayState:
        """Return the state of a gateway, from the disk unless it could not be saved.

        Raises:
            StorageError: It exists but cannot be read.
        """
        self._give_way(gateway)
        if gateway not in self.unsaved:
            self.known[gateway] = self.store.state(gateway)
        return self.known[gateway]

    def last_known(self, gateway: str) -> GatewayState:
        """Return the state as last read or written; empty if it never was."""
        return self.known.get(gateway, GatewayState())

    def save(self, gateway: str, state: GatewayState, *, durably: bool = False) -> None:
        """Save state on the disk or, while that is impossible, in this process.

        Raises:
            StorageError: It is saved in this process only, and ``durably`` is asked for.
        """
        before = self.last_known(gateway)
        self.known[gateway] = state
        try:
            self.store.save_state(gateway, state)
        except StorageError as error:
            self.unsaved.setdefault(gateway, before)
            logger.error("state not saved gateway=%s error=%s", gateway, error)  # noqa: TRY400
            if durably:
                raise
        else:
            self.unsaved.pop(gateway, None)

    def is_unsaved(self, gateway: str) -> bool:
        """Tell whether the state is in this process only, and has yet to be saved."""
        return gateway in self.unsaved

    def retry(self, gateway: str) -> None:
        """Save what could not be saved before."""
        self._give_way(gateway)
        if gateway in self.unsaved:
            self.save(gateway, self.known[gateway])

    def hold_back(self, gateway: str) -> None:
        """Try nothing for a while, since no result could be stored."""
        self.held_back[gateway] = self.now() + STORAGE_PAUSE

    def held_back_until(self, gateway: str) -> datetime | None:
        """Return the instant before which nothing is tried; None if there is none."""
        until, now = self.held_back.get(gateway), self.now()
        return until if until is not None and now < until <= now + STORAGE_PAUSE else None

    def unsaved_states(self) -> dict[str, list[str]]:
        """Return what could not be saved, for another process: the state, and the one on disk."""
        return {
            gateway: [encode(self.known[gateway]).decode(), encode(before).decode()]
            for gateway, before in self.unsaved.items()
        }

    def take_over(self, unsaved: Mapping[str, Sequence[str]]) -> None:
        """Continue with what another process could not save, unless it is known better here."""
        for gateway, (state, before) in unsaved.items():
            if gateway not in self.known:
                self.known[gateway] = decode(GatewayState, state.encode())
                self.unsaved[gateway] = decode(GatewayState, before.encode())

    def _give_way(self, gateway: str) -> None:
        """Discard either part of an unsaved state that somebody else has written since."""
        if gateway not in self.unsaved:
            return
        try:
            found = self.store.state(gateway)
        except StorageError:
            return
        before, known = self.unsaved[gateway], self.known[gateway]
        latest = GatewayState(
            _latest(found.enrolment, before.enrolment, known.enrolment),
            _latest(found.host, before.host, known.host),
        )
        if latest == known:
            return
        logger.warning("another process changed the state gateway=%s", gateway)
        self.known[gateway], self.unsaved[gateway] = latest, found
        if latest == found:
            del self.unsaved[gateway]


def _latest(found: Part, before: Part, known: Part) -> Part:
    """Return what this process knows, unless the store holds what it neither read nor wrote."""
    return known if found in (before, known) else found
