"""A host that takes a short lease and is then stopped; run by the tests as a process.

Prints ``held``, and then the errors of what it does when it goes on.
"""

from __future__ import annotations

import pickle
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from gatecert.errors import GatecertError
from gatecert.model import GatewayState
from gatecert.model.state import EnrolmentState
from gatecert.store.postgres.fleet_store import FleetStore

LEASE = 2.0  # seconds
LONGEST = 60.0  # seconds


def main(place: Path, state_directory: Path) -> None:
    fleet_host = pickle.loads(place.read_bytes())  # noqa: S301 - written by the test
    store = FleetStore(state_directory, fleet_host, lease_length=LEASE)
    store.state("vpn")
    with store.lease("vpn") as lease:
        print("held", flush=True)  # noqa: T201 - read by the test
        before = time.monotonic()
        while time.monotonic() - before < LEASE:  # until it was stopped for longer than that
            if time.monotonic() - before > LONGEST:
                raise TimeoutError
            before = time.monotonic()
            time.sleep(0.01)
        for act in (
            lease.check,
            lambda: store.save_state(
                "vpn", GatewayState(EnrolmentState(failed_at=datetime.now(UTC)))
            ),
        ):
            try:
                act()
                print("done", flush=True)  # noqa: T201 - as above
            except GatecertError as error:
                print(type(error).__name__, flush=True)  # noqa: T201 - as above
    store.database.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
