"""The rights of a login: row-level security of the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import FleetDatabase

INSERTIONS = {  # of a host, by table
    "gateway": "INSERT INTO gateway (name) VALUES ('vpn')",
    "account": "INSERT INTO account (authority, directory_url, sealed_key) VALUES ('le', 'd', 'k')",
    "intent": "INSERT INTO intent (gateway, generation, request, directory_url, csr, sealed_key) "
    "VALUES ('vpn', 1, 'r', 'd', 'c', 'k')",
    "version": "INSERT INTO version (gateway, generation, fingerprint, not_after, certificate, "
    "sealed_key) VALUES ('vpn', 1, 'f', now(), 'c', 'k')",
    "expense": "INSERT INTO expense (directory_url, kind, counted_by, value, id) "
    "VALUES ('d', 'order', 'all', '', 'one')",
    "validated_order": "INSERT INTO validated_order (directory_url, order_url) VALUES ('d', 'o')",
    "token": "INSERT INTO token (kind, token, key_authorization, life) "
    "VALUES ('http-01', 't', 't.k', gen_random_uuid())",
    "acknowledgement": "INSERT INTO acknowledgement (kind, token) VALUES ('http-01', 't')",
    "record": "INSERT INTO record (id, name, value, zone, life) "
    "VALUES ('r', 'n', 'v', 'z', gen_random_uuid())",
    "deployment": "INSERT INTO deployment (gateway, generation, outcome) "
    "VALUES ('vpn', 1, 'proven')",
}
OTHERS_NAME = ("intent", "version", "expense", "validated_order", "token", "record", "deployment")


@pytest.fixture
def hosts(database: FleetDatabase) -> Iterator[dict[str, psycopg.Connection]]:
    """Connections of the three hosts; the first has a row in each table."""
    connections = {role: database.connect(role) for role in database.logins}
    for statement in INSERTIONS.values():
        connections["hq-gw-a"].execute(statement)
    yield connections
    for connection in connections.values():
        connection.close()


def rows(connection: psycopg.Connection, table: str) -> int:
    return len(connection.execute(f"SELECT FROM {table}".encode()).fetchall())


@pytest.mark.parametrize("table", INSERTIONS)
def test_a_host_sees_the_rows_of_its_cluster_only(
    hosts: dict[str, psycopg.Connection], table: str
) -> None:
    seen = {role: rows(connection, table) for role, connection in hosts.items()}
    assert seen == {"hq-gw-a": 1, "hq-gw-b": 1, "lab-gw-a": 0}


def test_a_host_sees_the_hosts_of_its_cluster_only(hosts: dict[str, psycopg.Connection]) -> None:
    assert {role: rows(one, "host") for role, one in hosts.items()} == {
        "hq-gw-a": 2,
        "hq-gw-b": 2,
        "lab-gw-a": 1,
    }
    assert rows(hosts["hq-gw-a"], "cluster") == 1


@pytest.mark.parametrize("table", sorted(INSERTIONS.keys() - {"acknowledgement"}))
def test_a_host_cannot_write_into_another_cluster(
    hosts: dict[str, psycopg.Connection], table: str
) -> None:
    beginning, _, rest = INSERTIONS[table].partition("(")
    columns, _, values = rest.partition("VALUES (")
    moved = f"{beginning}(cluster, {columns}VALUES ('hq', {values}"
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        hosts["lab-gw-a"].execute(moved.encode())


@pytest.mark.parametrize("table", OTHERS_NAME)
def test_a_host_cannot_write_in_the_name_of_another(
    hosts: dict[str, psycopg.Connection], table: str
) -> None:
    beginning, _, rest = INSERTIONS[table].partition("(")
    columns, _, values = rest.partition("VALUES (")
    in_other_name = f"{beginning}(host, {columns}VALUES ('gw-a', {values}"
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
        hosts["hq-gw-b"].execute(in_other_name.encode())


@pytest.mark.parametrize("table", ["expense", "validated_order", "issuer", "gateway", "account"])
def test_a_host_deletes_nothing_that_others_rely_on(
    hosts: dict[str, psycopg.Connection], table: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
        hosts["hq-gw-a"].execute(f"DELETE FROM {table}".encode())


@pytest.mark.parametrize("change", ["at = now()", "id = ''", "value = 'other'"])
def test_a_host_changes_no_expense(hosts: dict[str, psycopg.Connection], change: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
        hosts["hq-gw-a"].execute(f"UPDATE expense SET {change}".encode())


@pytest.mark.parametrize("table", ["intent", "version"])
def test_the_newest_cannot_be_deleted(hosts: dict[str, psycopg.Connection], table: str) -> None:
    host, delete = hosts["hq-gw-b"], f"DELETE FROM {table}".encode()
    host.execute("UPDATE gateway SET generation = 1")
    assert host.execute(delete).rowcount == 0
    host.execute("UPDATE gateway SET generation = 2")
    assert host.execute(delete).rowcount == 1


def test_a_chain_cannot_be_forged(hosts: dict[str, psycopg.Connection]) -> None:
    insert = "INSERT INTO issuer (digest, pem) VALUES (sha256('real'), %s)"
    with pytest.raises(psycopg.errors.CheckViolation):
        hosts["lab-gw-a"].execute(insert, ["forged"])
    hosts["lab-gw-a"].execute(insert, ["real"])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        hosts["lab-gw-a"].execute("UPDATE issuer SET pem = 'forged'")


@pytest.mark.parametrize("change", ["certificate = 'c'", "fingerprint = 'f'", "host = 'gw-b'"])
def test_of_a_version_only_its_keys_are_sealed_anew(
    hosts: dict[str, psycopg.Connection], change: str
) -> None:
    assert hosts["hq-gw-b"].execute("UPDATE version SET sealed_key = 'k'").rowcount == 1
    assert hosts["lab-gw-a"].execute("UPDATE version SET sealed_key = 'k'").rowcount == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
        hosts["hq-gw-b"].execute(f"UPDATE version SET {change}".encode())


def test_a_host_reports_itself_only(hosts: dict[str, psycopg.Connection]) -> None:
    assert hosts["hq-gw-a"].execute("UPDATE host SET seen = now()").rowcount == 1
    assert hosts["hq-gw-b"].execute("UPDATE deployment SET generation = 2").rowcount == 0
    for change in ("login = 'lab-gw-a'", "cluster = 'lab'", "name = 'gw-b'"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
            hosts["hq-gw-a"].execute(f"UPDATE host SET {change}".encode())


def test_expenses_of_all_clusters_count_but_their_names_are_not_seen(
    hosts: dict[str, psycopg.Connection],
) -> None:
    counted = hosts["lab-gw-a"].execute("SELECT instants('d', 'order', 'all', '', '-infinity', 9)")
    assert len(counted.fetchall()) == 1


def test_a_host_uses_no_trigger_function_of_the_owner(database: FleetDatabase) -> None:
    """On a table of its own, the casts of its own types would run as the owner."""
    usable = database.execute(
        "SELECT proname FROM pg_proc JOIN pg_namespace n ON n.oid = pronamespace "
        "WHERE nspname = 'gatecert' AND prorettype = 'trigger'::regtype "
        "AND has_function_privilege('gatecert_host', pg_proc.oid, 'EXECUTE')"
    )
    assert usable == []


def test_a_host_validates_no_orders_of_other_clusters(
    hosts: dict[str, psycopg.Connection],
) -> None:
    validated = "INSERT INTO validated_order (directory_url, order_url, at) VALUES ('d', %s, %s)"
    counted = "SELECT instants('d', 'validation', 'all', '', '-infinity', 9)"
    hosts["hq-gw-a"].execute(
        "INSERT INTO expense (directory_url, kind, counted_by, value, id, order_url) "
        "VALUES ('d', 'validation', 'all', '', 'one', 'url')"
    )
    hosts["lab-gw-a"].execute(validated, ["url", "infinity"])
    assert hosts["hq-gw-a"].execute(counted).rowcount == 1
    hosts["hq-gw-b"].execute(validated, ["url", "infinity"])
    assert hosts["hq-gw-a"].execute(counted).rowcount == 0
    with pytest.raises(psycopg.errors.CheckViolation):
        hosts["lab-gw-a"].execute(validated, ["", "infinity"])


def test_a_view_shows_a_function_only_what_it_shows_the_host(database: FleetDatabase) -> None:
    """A function that costs little would else be called with rows of other clusters."""
    views = database.execute(
        "SELECT relname, 'security_barrier=true' = ANY (reloptions) FROM pg_class "
        "JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'gatecert' AND relkind = 'v'"
    )
    assert views == [("overview", True)]


def test_a_host_pauses_a_ca_for_a_day_at_most_and_ends_no_pause(
    hosts: dict[str, psycopg.Connection],
) -> None:
    pause, host = "SELECT pause_authority('d', %s::interval)", hosts["lab-gw-a"]
    host.execute(pause, ["1 year"])
    host.execute(pause, ["-1 year"])
    within = "SELECT not_before - now() BETWEEN '23 hours' AND '25 hours' FROM authority"
    assert host.execute(within).fetchall() == [(True,)]
    for change in ("DELETE FROM authority", "UPDATE authority SET not_before = NULL"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
            host.execute(change.encode())


def test_one_intent_a_generation(hosts: dict[str, psycopg.Connection]) -> None:
    with pytest.raises(psycopg.errors.UniqueViolation, match="intent_pkey"):
        hosts["hq-gw-b"].execute(INSERTIONS["intent"].replace("'r'", "'other'").encode())


def test_an_observer_reads_no_key_and_no_token(
    database: FleetDatabase, hosts: dict[str, psycopg.Connection]
) -> None:
    assert hosts
    database.execute(
        "DROP ROLE IF EXISTS watcher", "CREATE ROLE watcher LOGIN IN ROLE gatecert_observer"
    )
    readable = database.execute(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = 'gatecert' AND has_column_privilege('watcher', "
        "format('gatecert.%I', table_name), column_name, 'SELECT')"
    )
    tables = {table for table, _ in readable}
    assert {"overview", "host", "expense", "deployment"} <= tables
    assert not tables & {"account", "gateway", "intent", "version", "token"}
    assert not [column for _, column in readable if "key" in str(column)]


def test_every_table_has_row_level_security_or_belongs_to_the_whole_fleet(
    database: FleetDatabase,
) -> None:
    unguarded = database.execute(
        "SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE nspname = 'gatecert' AND relkind = 'r' AND NOT relrowsecurity"
    )
    assert {name for (name,) in unguarded} == {"fleet", "authority", "issuer", "alembic_version"}
