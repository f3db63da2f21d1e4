"""A host whose passes follow each other at once, with a short lease; run by the tests as a process.

It stays for a second where a fault does most harm: after the intent is committed and before the
order is placed, and after the order is placed and before anything is known of it. With the word
``naive`` it relies on time alone, as a lock that only ends does: nothing is compared before or
after it sends, and an order is counted once it was placed. Prints the outcome of each pass.
"""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from gatecert.app import build
from gatecert.config.fleet_host import fleet_host
from gatecert.config.load import load
from gatecert.errors import GatecertError
from gatecert.lifecycle.gateway_pass import Occasion
from gatecert.store.postgres.fleet_store import FleetStore
from gatecert.store.postgres.held_lease import HeldLease

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from psycopg import Connection

    from gatecert.model import Expenses, GatewayState, KeyRequest, LimitReached, Limits, OrderHeld
    from gatecert.store.protocol import Lease

LEASE = 4.0  # seconds
STAY = 1.0  # seconds
PAUSE = 0.3  # seconds between passes
TAKE = """
UPDATE gateway SET lease = %s, lease_host = own_host(), lease_until = clock_timestamp() + %s
WHERE name = %s
"""


def stay(seconds: float) -> None:
    """Wait; ``time.sleep`` fails under libfaketime."""
    threading.Event().wait(seconds)


class SlowStore(FleetStore):
    """The store of a host that is slow at the wrong moments."""

    def open_order(
        self,
        gateway: str,
        intent: KeyRequest,
        directory_url: str,
        expenses: Expenses,
        within: Limits,
        *,
        lease: Lease,
    ) -> LimitReached | OrderHeld | None:
        reached = super().open_order(gateway, intent, directory_url, expenses, within, lease=lease)
        stay(STAY)
        return reached

    def save_state(self, gateway: str, state: GatewayState) -> None:
        if state.enrolment.order is not None and self.state(gateway).enrolment.order is None:
            stay(STAY)
        super().save_state(gateway, state)


class BelievedLease(HeldLease):
    """A lock that is believed in for as long as the process runs."""

    def check(self) -> None:
        """Look at nothing."""


class NaiveStore(SlowStore):
    """The store of a host without the rules: a lock that times out, and counting afterwards."""

    _placed: tuple[str, Expenses, Limits] | None = None

    @contextmanager
    def lease(self, gateway: str) -> Iterator[HeldLease]:
        with super().lease(gateway) as held:
            yield BelievedLease(gateway, held.token, 0.0, lambda _: True)

    @contextmanager
    def _fenced(self, gateway: str) -> Iterator[tuple[Connection, UUID]]:
        token = uuid4()
        with self.database.transaction() as rows:
            rows.execute(TAKE, (token, timedelta(seconds=LEASE), gateway))
            yield rows, token

    def open_order(
        self,
        gateway: str,
        intent: KeyRequest,
        directory_url: str,
        expenses: Expenses,
        within: Limits,
        *,
        lease: Lease,
    ) -> LimitReached | OrderHeld | None:
        self._placed = directory_url, expenses, within
        nothing = replace(expenses, counted=(), following=())
        return super().open_order(gateway, intent, directory_url, nothing, within, lease=lease)

    def save_state(self, gateway: str, state: GatewayState) -> None:
        super().save_state(gateway, state)
        if self._placed is not None and state.enrolment.order is not None:
            self.count_requests(*self._placed)
            self._placed = None


def main(configuration_file: Path, kind: str) -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stdout)
    configuration = load(configuration_file)
    assert configuration.fleet is not None
    application = build(configuration, lambda *_: None, threading.Event())
    made = NaiveStore if kind == "naive" else SlowStore
    place = fleet_host(configuration.fleet)
    application.store = made(configuration.state_directory, place, lease_length=LEASE, pause=PAUSE)
    (target,) = application.targets.values()
    while True:
        try:
            outcome = application.pipeline.attend(target, Occasion(look_now=True, deploy_now=True))
            print(outcome.kind, outcome.detail, flush=True)  # noqa: T201 - read by people
        except GatecertError as error:
            print(error, flush=True)  # noqa: T201 - as above
        stay(PAUSE)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
