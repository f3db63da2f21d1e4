"""A COMMIT is known to be durable, or said to be unknown: with a primary and its standby."""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from gatecert.errors import CommitUnknownError, DatabaseAwayError
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from gatecert.store.postgres.database import Database

    from .conftest import OpenDatabase, Pair


@pytest.fixture
def database(pair: Pair, open_database: OpenDatabase) -> Database:
    """The database of one host, connected, with a gateway."""
    database = open_database(pair.fleet)
    with database.transaction() as connection:
        connection.execute("INSERT INTO gateway (name) VALUES ('vpn')")
    return database


def set_generation(connection: psycopg.Connection, generation: int) -> None:
    connection.execute("UPDATE gateway SET generation = %s", [generation])


def generation(database: Database) -> int:
    """Read the row as one does after an unknown COMMIT."""
    with database.transaction() as connection:
        row = connection.execute("SELECT generation FROM gateway FOR UPDATE").fetchone()
    assert row is not None
    return int(row[0])


def waiters(pair: Pair) -> list[tuple[object, ...]]:
    return pair.primary.execute("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")


def in_background(action: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=action)
    thread.start()
    return thread


def test_a_commit_is_acknowledged_by_the_standby(pair: Pair, database: Database) -> None:
    with database.transaction() as connection:
        set_generation(connection, 1)
    assert pair.standby.execute("SELECT generation FROM gatecert.gateway", database="migrated") == [
        (1,)
    ]
    assert database.session is not None
    assert database.session.synchronous


def test_a_commit_without_the_standby_is_unknown_after_three_seconds(
    pair: Pair, database: Database
) -> None:
    pair.standby.freeze()
    begin = time.monotonic()
    with (
        pytest.raises(CommitUnknownError, match="has not confirmed a change"),
        database.transaction() as connection,
    ):
        set_generation(connection, 1)
    assert time.monotonic() - begin < 5
    # Reading again does not decide before the server does, although it shows the old row.
    assert pair.fleet.execute("SELECT generation FROM gateway") == [(0,)]
    with pytest.raises(DatabaseAwayError, match="does not answer in time"):
        generation(database)
    pair.standby.thaw()
    assert generation(database) == 1


def test_a_commit_whose_wait_is_cancelled_is_unknown(pair: Pair, database: Database) -> None:
    pair.standby.freeze()
    cancelled = in_background(
        lambda: (
            wait_until(lambda: waiters(pair), "a waiting COMMIT")
            and pair.primary.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            )
        )
    )
    with (
        pytest.raises(CommitUnknownError, match="canceling wait for synchronous replication"),
        database.transaction() as connection,
    ):
        set_generation(connection, 1)
    cancelled.join()
    # The server shows a row that a failover would lose, until a COMMIT that covers it is known.
    assert pair.fleet.execute("SELECT generation FROM gateway") == [(1,)]
    with pytest.raises(CommitUnknownError):
        generation(database)
    pair.standby.thaw()
    assert generation(database) == 1


class InterruptedWaitError(BaseException):
    """A signal has arrived."""


def test_a_signal_ends_the_wait_but_does_not_cancel_the_commit(
    pair: Pair, database: Database
) -> None:
    def interrupt(_number: int, _frame: object) -> None:
        raise InterruptedWaitError

    def send_signal() -> None:
        wait_until(lambda: waiters(pair), "a waiting COMMIT")
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    pair.standby.freeze()
    sent = in_background(send_signal)
    try:
        with pytest.raises(InterruptedWaitError), database.transaction() as connection:
            set_generation(connection, 1)
    finally:
        sent.join()
        signal.signal(signal.SIGUSR1, before)
    assert waiters(pair)  # it is decided by the standby, not by the signal
    pair.standby.thaw()
    assert generation(database) == 1


def test_a_primary_killed_in_the_middle_of_a_commit(pair: Pair, database: Database) -> None:
    pair.standby.freeze()

    def kill() -> None:
        wait_until(lambda: waiters(pair), "a waiting COMMIT")
        pair.primary.crash()

    killed = in_background(kill)
    with pytest.raises(CommitUnknownError), database.transaction() as connection:
        set_generation(connection, 1)
    killed.join()
    with pytest.raises(DatabaseAwayError, match="does not answer"):
        generation(database)
    pair.standby.thaw()
    with pytest.raises(DatabaseAwayError, match="is a standby"):
        generation(database)
    pair.standby.promote()
    assert generation(database) in {0, 1}  # it is known from now on, whatever it is
    with database.transaction() as connection:
        set_generation(connection, 2)
    assert generation(database) == 2


def test_a_frozen_primary_is_away_after_three_seconds(pair: Pair, database: Database) -> None:
    pair.primary.freeze()
    begin = time.monotonic()
    with pytest.raises(DatabaseAwayError, match="does not answer"):
        generation(database)
    assert time.monotonic() - begin < 12
    pair.primary.thaw()
    assert generation(database) == 0


def test_a_restarted_primary_is_found_again(pair: Pair, database: Database) -> None:
    pair.primary.crash()
    pair.primary.start()
    pair.wait_for_standby()
    with database.transaction() as connection:  # nothing was sent before: it is sent again
        set_generation(connection, 3)
    assert generation(database) == 3


def test_many_hosts_come_back_at_once(
    pair: Pair, open_database: OpenDatabase, request: pytest.FixtureRequest
) -> None:
    number_of_hosts = 1000 if request.config.getoption("--all-histories", default=False) else 100
    pair.primary.configure(max_connections="12")  # fewer than hosts
    pair.primary.crash()
    pair.primary.start()
    pair.wait_for_standby()
    returned: list[int] = []
    refusals: list[str] = []

    def come_back(number: int) -> None:
        database = open_database(pair.fleet)

        def attempt() -> bool:
            try:
                with database.transaction() as connection:
                    connection.execute("INSERT INTO gateway (name) VALUES (%s)", [f"vpn-{number}"])
            except DatabaseAwayError as error:
                refusals.append(error.message)
                return False
            return True

        interval = number_of_hosts / 500  # seconds; less than half of what hosts wait
        wait_until(attempt, "a connection", seconds=180, interval=interval)
        database.close()
        returned.append(number)

    hosts = [in_background(partial(come_back, number)) for number in range(number_of_hosts)]
    for host in hosts:
        host.join()
    assert sorted(returned) == list(range(number_of_hosts))
    assert [text for text in refusals if "too many connections" in text]  # it was too many at once
    assert pair.standby.execute("SELECT count(*) FROM gatecert.gateway", database="migrated") == [
        (number_of_hosts,)
    ]


def test_a_primary_killed_before_the_commit_has_changed_nothing(
    pair: Pair, database: Database
) -> None:
    with pytest.raises(DatabaseAwayError), database.transaction() as connection:
        set_generation(connection, 1)
        pair.primary.crash()
        set_generation(connection, 2)
    pair.standby.promote()
    assert generation(database) == 0
