"""The database of a fleet of 100,000 names: what a host waits for, and how large it is.

Its data is in memory: a claim takes as much longer as the disk takes to write durably, once.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack, closing
from datetime import timedelta
from functools import partial
from shutil import rmtree
from typing import TYPE_CHECKING, Final

from bench.figures import Figure
from bench.fleet_rows import CLUSTER, DIRECTORY_URL, HOSTS, FleetRows
from gatecert.model import Limits, RateLimit
from gatecert.model.fleet import FleetHost
from gatecert.store.postgres import lease_rows, overview_rows
from gatecert.store.postgres.database import Database
from gatecert.store.postgres.held_lease import LENGTH
from gatecert.store.postgres.membership import add_cluster, add_host
from gatecert.store.postgres.migration import migrate
from harness.postgres import DatabaseCertificates, EmptyCluster, Postgres, make_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bench.scene import Scene

NAME: Final = "gatecert"
SETTINGS: Final = {"shared_buffers": "128MB"}  # as Debian has it
DUE: Final = 2000  # orders, on the busiest day of a fleet of this size
IN_PROGRESS: Final = 20  # orders at a CA
CLAIMS: Final = 500
LOOKS: Final = 100

LIMITS: Final = {
    DIRECTORY_URL: Limits(
        orders=RateLimit(300, timedelta(hours=3)), certificates=RateLimit(50, timedelta(days=7))
    )
}
DONE: Final = (  # as after a new version
    "UPDATE gateway SET due = NULL, lease = NULL, lease_host = NULL, lease_until = NULL "
    "WHERE name = %s"
)


def database(scene: Scene) -> Iterator[Figure]:
    """Fill a database, and measure what the hosts and their administrator ask of it."""
    count = scene.sizes.names
    scene.say(f"  filling a database with {count} names")
    with ExitStack() as servers:
        server = start_server(servers, scene.directory / "certificates")
        with server.owner(NAME) as owner:
            owner.execute("SET search_path = gatecert")
            owner.execute("SET timezone = 'UTC'")
            FleetRows(count).insert(owner)
            ((size,),) = owner.execute("SELECT pg_database_size(current_database())").fetchall()
            yield Figure(f"database of {count} names", "MB", [size / 1e6], wanted=600)
            yield Figure(
                f"overview of {count} names",
                "ms",
                timed(LOOKS, lambda: overview_rows.read(owner, "", LIMITS)),
                wanted=100,
            )
            host = servers.enter_context(closing(Database(place(server, HOSTS[0]))))
            yield Figure(
                f"nothing due among {count} names",
                "ms",
                timed(LOOKS, partial(claim, host)),
                wanted=20,
            )
            owner.execute(
                "UPDATE gateway SET due = now() - interval '1 minute' WHERE name IN"
                " (SELECT name FROM gateway ORDER BY not_after LIMIT %s)",
                [min(DUE, count)],
            )
            owner.execute("VACUUM ANALYZE gateway")
        claims = timed_claims(host, min(CLAIMS, count // 2))
        yield Figure(f"claim of the most urgent of {count} names", "ms", claims, wanted=2)


def start_server(servers: ExitStack, certificates: Path) -> Postgres:
    """Start a server with an empty database in memory, and hosts who may log in."""
    directory = make_directory()
    servers.callback(rmtree, directory)
    made = Postgres(directory, DatabaseCertificates(certificates), settings=SETTINGS)
    server = servers.enter_context(made.copy(EmptyCluster.make(directory)))
    server.execute(f"CREATE DATABASE {NAME}")
    migrate(lambda: server.owner(NAME, autocommit=False))
    with server.owner(NAME) as owner:
        add_cluster(owner, CLUSTER)
        for host in HOSTS:
            add_host(owner, CLUSTER, host, f"{CLUSTER}-{host}")
    return server


def place(server: Postgres, host: str) -> FleetHost:
    """Return the place of a host of the cluster."""
    login = server.login(f"{CLUSTER}-{host}", NAME)
    return FleetHost(login, CLUSTER, host, ring=1, sealing_keys=(), reserve=0)


def claim(host: Database) -> str:
    """Look for an order as a host does, in a transaction with its COMMIT; return the gateway."""
    with host.transaction() as rows:
        found = lease_rows.claim_most_urgent(rows, LENGTH)
    return found[0] if found else ""


def timed_claims(host: Database, count: int) -> list[float]:
    """Return the milliseconds of each claim, while the last few are in progress."""
    found = []
    in_progress: deque[str] = deque()
    for _ in range(count):
        begin = time.perf_counter()
        in_progress.append(claim(host))
        found.append(1000 * (time.perf_counter() - begin))
        if len(in_progress) > IN_PROGRESS:
            with host.transaction() as rows:
                rows.execute(DONE, [in_progress.popleft()])
    return found


def timed(count: int, action: Callable[[], object]) -> list[float]:
    """Return the milliseconds of each of several actions, after one that connects."""
    action()
    found = []
    for _ in range(count):
        begin = time.perf_counter()
        action()
        found.append(1000 * (time.perf_counter() - begin))
    return found
