"""Hosts join and leave a fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from gatecert.errors import LoginRefusedError
from gatecert.store.postgres.membership import add_cluster, add_host, remove_host

from .conftest import parameters

if TYPE_CHECKING:
    from .conftest import FleetDatabase, OpenDatabase

STRANGE = 'gw "x"; DROP'  # as a name in SQL it must be quoted


def test_a_host_that_has_joined_twice_is_one_host(database: FleetDatabase) -> None:
    with database.server.owner(database.name) as owner:
        add_cluster(owner, "hq")
        add_host(owner, "hq", "gw-a", "hq-gw-a", ring=2)
    assert database.execute(
        "SELECT login, ring FROM host WHERE (cluster, name) = ('hq', 'gw-a')"
    ) == [("hq-gw-a", 2)]


def test_a_role_of_any_name(database: FleetDatabase) -> None:
    with database.server.owner(database.name) as owner:
        add_host(owner, "hq", "strange", STRANGE)
        assert owner.execute(
            "SELECT pg_has_role(%s, 'gatecert_host', 'MEMBER')", [STRANGE]
        ).fetchone() == (True,)
        remove_host(owner, "hq", "strange")
        assert not owner.execute("SELECT FROM pg_roles WHERE rolname = %s", [STRANGE]).fetchall()


def test_one_role_is_one_host(database: FleetDatabase) -> None:
    with (
        database.server.owner(database.name) as owner,
        pytest.raises(psycopg.errors.UniqueViolation),
    ):
        add_host(owner, "lab", "gw-b", "hq-gw-a")


def test_a_host_that_has_left_is_not_let_in_but_what_it_counted_stays(
    database: FleetDatabase, open_database: OpenDatabase
) -> None:
    login = database.server.login("hq-gw-c", database.name)
    with database.server.owner(database.name) as owner:
        add_host(owner, "hq", "gw-c", login.user)
    with psycopg.connect(**parameters(login)) as host:
        host.execute(
            "INSERT INTO gatecert.expense (directory_url, kind, counted_by, value, id) "
            "VALUES ('d', 'order', 'all', '', 'one')"
        )
    with database.server.owner(database.name) as owner:
        remove_host(owner, "hq", "gw-c")
        remove_host(owner, "hq", "gw-c")
    with pytest.raises(LoginRefusedError), open_database(database, login).transaction():
        pass
    assert database.execute("SELECT host FROM expense") == [("gw-c",)]
