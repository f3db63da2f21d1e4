"""Histories: an order, a fault at one of its points, and what has to be true at the end.

`make cluster` runs some of them, `make cluster-histories` all.
"""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from harness.waiting import wait_until

from .conftest import TALLY, TEMPLATE
from .cut_link import Link
from .history import violations
from .history_scene import ROLES, Host, Scene, set_scene

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from .conftest import FleetDatabase, Pair

    Fault = Callable[[Scene, Host, Host], None]

ALL = ("intent", "order", "certificate")
AWAY = re.compile(r"database cannot be used|does not answer|not confirmed")
END_SESSIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def killed(scene: Scene, orderer: Host, other: Host) -> None:
    orderer.process.kill()
    scene.wait_served(other)
    orderer.process.start()


def frozen(scene: Scene, orderer: Host, other: Host) -> None:
    """For longer than its lease, since another host has finished its work."""
    orderer.process.signal(signal.SIGSTOP)
    scene.wait_served(other)
    orderer.process.signal(signal.SIGCONT)


def cut_off(scene: Scene, orderer: Host, other: Host) -> None:
    link = scene.links[orderer.name]
    link.cut()
    scene.wait_served(other)
    wait_until(lambda: link.lost, "packets that vanish")
    wait_until(partial(says_away, orderer), "a host without its database", seconds=30)
    assert not says_away(other)
    link.heal()


def all_away(scene: Scene, orderer: Host, other: Host) -> None:
    scene.fleet.execute(f"ALTER DATABASE {scene.fleet.name} CONNECTION LIMIT 0", END_SESSIONS)
    for host in (orderer, other):
        wait_until(partial(says_away, host), "a host without its database", seconds=30)
    scene.fleet.execute(f"ALTER DATABASE {scene.fleet.name} CONNECTION LIMIT -1")


def restored(scene: Scene, _orderer: Host, _other: Host) -> None:
    """The database becomes as it was before the first order."""
    scene.fleet.server.execute(
        f"DROP DATABASE {scene.fleet.name} WITH (FORCE)",
        f"CREATE DATABASE {scene.fleet.name} TEMPLATE {TEMPLATE}",
    )


def says_away(host: Host) -> bool:
    return AWAY.search(host.process.output) is not None


HISTORIES = [
    (fault, point) for fault in (killed, frozen, cut_off, all_away, restored) for point in ALL
]
SOME = [(frozen, "intent"), (killed, "order"), (cut_off, "order")]
NAIVE = {
    (frozen, "intent"): "2 certificates issued, but 1 due",
    (killed, "order"): "2 orders, but 1 counted",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.function is test_an_order_with_a_fault:
        chosen = HISTORIES if metafunc.config.getoption("--all-histories", default=False) else SOME
        names = [f"{fault.__name__}-{point}" for fault, point in chosen]
        metafunc.parametrize(("fault", "point"), chosen, ids=names)


@pytest.fixture
def links(servers: ExitStack, database: FleetDatabase) -> dict[str, Link]:
    """The way of each host to its database, by its role."""
    return {role: servers.enter_context(Link(database.server.port)) for role in ROLES}


def test_an_order_with_a_fault(
    servers: ExitStack,
    database: FleetDatabase,
    links: dict[str, Link],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    fault: Fault,
    point: str,
) -> None:
    scene = set_scene(servers, database, tmp_path, links=links)
    orderer, other = scene.wait_reached(point)
    fault(scene, orderer, other)
    scene.wait_served(orderer, other)
    history = scene.history()
    assert violations(history) == []
    record_property(TALLY, history.summary)


def test_a_backup_from_before_the_order(
    servers: ExitStack,
    database: FleetDatabase,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """The hosts, which have a certificate, tell the database of it."""
    scene = set_scene(servers, database, tmp_path)
    orderer, other = scene.wait_reached("order")
    scene.wait_served(orderer, other)
    before = scene.history()
    restored(scene, orderer, other)
    wait_until(lambda: scene.fleet.execute("SELECT generation FROM version"), "its row", seconds=30)
    wait_until(
        lambda: scene.fleet.execute("SELECT id FROM expense WHERE kind = 'order'"),
        "its requests",
        seconds=30,
        explain=scene.tail,
    )
    scene.wait_served(orderer, other)
    history = scene.history()
    assert violations(history) == []
    assert (history.newest, history.orders, history.journals) == (before.newest, 1, before.journals)
    assert len(history.journals) == 1
    record_property(TALLY, history.summary)


def test_hosts_whose_clocks_differ_by_a_day(
    servers: ExitStack,
    database: FleetDatabase,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Almost: certificates of the tests are valid for a day. By TSIG, only one host can order."""
    scene = set_scene(servers, database, tmp_path, clock_of_first="+20h")
    orderer, other = scene.wait_reached("certificate")
    assert orderer.name == "gw-b"
    scene.wait_served(orderer, other)
    history = scene.history()
    assert violations(history) == []
    record_property(TALLY, history.summary)


def test_a_primary_that_is_killed_in_the_middle_of_a_commit(
    servers: ExitStack, pair: Pair, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """The order is placed, and it is unknown whether the database knows."""
    scene = set_scene(servers, pair.fleet, tmp_path)
    orderer, other = scene.wait_reached("order")
    pair.standby.freeze()
    waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    wait_until(lambda: pair.primary.execute(waiting), "a waiting COMMIT", seconds=30)
    pair.primary.crash()
    pair.standby.thaw()
    pair.standby.promote()
    pair.standby.execute(
        "ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()"
    )
    after = replace(scene, fleet=replace(scene.fleet, server=pair.standby))
    after.wait_served(orderer, other)
    history = after.history()
    assert violations(history) == []
    record_property(TALLY, history.summary)


@pytest.mark.parametrize(
    ("fault", "point", "found"), [(*history, found) for history, found in NAIVE.items()]
)
def test_hosts_without_the_rules_are_found_guilty(
    servers: ExitStack,
    database: FleetDatabase,
    tmp_path: Path,
    fault: Fault,
    point: str,
    found: str,
) -> None:
    """They go through the same histories, and the same checker sees what they have done."""
    scene = set_scene(servers, database, tmp_path, kind="naive")
    orderer, other = scene.wait_reached(point)
    fault(scene, orderer, other)
    scene.wait_served(orderer, other)
    assert found in violations(scene.history())
