"""A host logs in, or says in words for the operator why it cannot: everything wrong, one by one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from gatecert.errors import (
    DatabaseAwayError,
    DatabaseError,
    LoginRefusedError,
    PoolerUnfitError,
    SchemaUnknownError,
)
from gatecert.store.postgres.database import Database
from harness.pgbouncer import PgBouncer
from harness.ports import free_port
from harness.postgres import HOST, LOGINS, DatabaseCertificates, Postgres, make_directory

from .configured_host import configured_host
from .conftest import TEMPLATE, FleetDatabase, fill

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from gatecert.model.fleet import DatabaseLogin
    from harness.postgres import EmptyCluster

    from .conftest import OpenDatabase

ROLE = "hq-gw-a"


class Refused(Protocol):
    """A function that returns why the host cannot use the database."""

    def __call__(
        self, fleet: FleetDatabase, login: DatabaseLogin | None = None
    ) -> DatabaseError: ...


@pytest.fixture
def refused(open_database: OpenDatabase) -> Refused:
    def fail(fleet: FleetDatabase, login: DatabaseLogin | None = None) -> DatabaseError:
        with pytest.raises(DatabaseError) as caught, open_database(fleet, login).transaction():
            pass
        assert "\n" not in str(caught.value)
        assert "nothing is ordered" in caught.value.message
        assert caught.value.fix
        return caught.value

    return fail


def test_a_host_logs_in_by_its_certificate(
    database: FleetDatabase, open_database: OpenDatabase
) -> None:
    opened = open_database(database)
    with opened.transaction() as connection:
        row = connection.execute("SELECT current_user, own_cluster(), own_host()").fetchone()
        shown = connection.execute(
            "SELECT ssl, application_name FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) "
            "WHERE pid = pg_backend_pid()"
        ).fetchone()
    assert row == (ROLE, "hq", "gw-a")
    assert shown == (True, "gatecert hq/gw-a")
    assert opened.session is not None
    assert (opened.session.schema, opened.session.excess) == (1, ())
    assert not opened.session.synchronous


def test_what_is_committed_stays_and_what_fails_does_not(
    database: FleetDatabase, open_database: OpenDatabase
) -> None:
    opened = open_database(database)
    with opened.transaction() as connection:
        connection.execute("INSERT INTO gateway (name) VALUES ('kept')")
    with pytest.raises(ZeroDivisionError), opened.transaction() as connection:
        connection.execute("INSERT INTO gateway (name) VALUES ('failed')")
        raise ZeroDivisionError
    with pytest.raises(psycopg.IntegrityError), opened.transaction() as connection:
        connection.execute("INSERT INTO gateway (name) VALUES ('kept')")
    assert database.execute("SELECT name FROM gateway") == [("kept",)]


def test_a_statement_that_failed_is_not_forgotten(
    database: FleetDatabase, open_database: OpenDatabase
) -> None:
    opened = open_database(database)
    with (
        pytest.raises(DatabaseError, match="rolled a change back"),
        opened.transaction() as connection,
        pytest.raises(psycopg.IntegrityError),
    ):
        connection.execute("INSERT INTO gateway (name) VALUES ('')")
    with opened.transaction() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_no_password(own_server: Callable[[str], FleetDatabase], refused: Refused) -> None:
    fleet = own_server("hostssl all all all scram-sha-256\n")
    error = refused(fleet)
    assert isinstance(error, LoginRefusedError)
    assert "asks the role hq-gw-a for a password" in error.message
    assert "pg_hba.conf" in error.fix


def test_the_environment_does_not_log_in(
    own_server: Callable[[str], FleetDatabase],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: Refused,
) -> None:
    fleet = own_server("hostssl all all all scram-sha-256\n")
    fleet.execute(f"ALTER ROLE \"{ROLE}\" PASSWORD 'known'")
    passwords = tmp_path / "passwords"
    passwords.write_text("*:*:*:*:known\n", "ascii")
    passwords.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    assert isinstance(refused(fleet), LoginRefusedError)


@pytest.mark.parametrize(
    ("logins", "what"),
    [
        ("hostssl all nobody all cert\n", "for the role hq-gw-a and the database "),
        ("host all all all reject\n", "for the role hq-gw-a and the database "),
    ],
)
def test_no_line_for_the_host(
    own_server: Callable[[str], FleetDatabase], logins: str, what: str, refused: Refused
) -> None:
    error = refused(own_server(logins))
    assert isinstance(error, LoginRefusedError)
    assert what in error.message
    assert error.fix.startswith("correct fleet.database.name, or add this host")


def test_a_certificate_of_another_role(database: FleetDatabase, refused: Refused) -> None:
    other = database.logins["hq-gw-b"]
    error = refused(database, replace(other, user=ROLE))
    assert isinstance(error, LoginRefusedError)
    assert "rejects the certificate for the role hq-gw-a" in error.message
    assert "common name hq-gw-a" in error.fix


def test_a_certificate_of_an_unknown_authority(
    database: FleetDatabase, tmp_path: Path, refused: Refused
) -> None:
    certificate, key = DatabaseCertificates(tmp_path / "strangers").issue(ROLE)
    login = replace(database.logins[ROLE], certificate=certificate, key=key)
    error = refused(database, login)
    assert isinstance(error, LoginRefusedError)
    assert "rejects the client certificate" in error.message


@pytest.mark.parametrize("file", ["certificate", "key", "ca_bundle"])
def test_a_missing_file(
    database: FleetDatabase, tmp_path: Path, file: str, refused: Refused
) -> None:
    missing: dict[str, Any] = {file: tmp_path / "none.pem"}
    login = replace(database.logins[ROLE], **missing)
    error = refused(database, login)
    assert isinstance(error, LoginRefusedError)
    assert "none.pem" in error.message
    assert f"fleet.database.{file}" in error.fix or "files of fleet.database" in error.fix


def test_the_key_of_another_certificate(database: FleetDatabase, refused: Refused) -> None:
    login = replace(database.logins[ROLE], key=database.logins["hq-gw-b"].key)
    error = refused(database, login)
    assert isinstance(error, LoginRefusedError)
    assert "cannot be used" in error.message


def test_an_encrypted_key_is_refused_without_a_question(
    database: FleetDatabase, tmp_path: Path
) -> None:
    """OpenSSL asks the terminal, or standard input if there is none."""
    login = database.logins[ROLE]
    key = load_pem_private_key(login.key.read_bytes(), None)
    encryption = BestAvailableEncryption(b"known")
    login.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    host = configured_host(database, ROLE, tmp_path)
    told = subprocess.run(
        [*host.command, "fleet", "status"],
        input="known\n",
        start_new_session=True,
        text=True,
        check=False,
        capture_output=True,
    )
    assert told.returncode == 1
    assert "certificate, key or ca_bundle of fleet.database cannot be used" in told.stderr
    assert "pass phrase" not in told.stderr


def test_a_key_that_others_can_read(database: FleetDatabase, refused: Refused) -> None:
    login = database.logins[ROLE]
    login.key.chmod(0o644)
    error = refused(database)
    assert isinstance(error, LoginRefusedError)
    assert "only the daemon's user may read the key" in error.fix


def test_a_server_with_an_untrusted_certificate(
    database: FleetDatabase, tmp_path: Path, refused: Refused
) -> None:
    strangers = DatabaseCertificates(tmp_path / "strangers")
    error = refused(database, replace(database.logins[ROLE], ca_bundle=strangers.bundle))
    assert isinstance(error, LoginRefusedError)
    assert "has a TLS certificate that is not trusted" in error.message


def test_a_server_of_another_name(database: FleetDatabase, refused: Refused) -> None:
    login = replace(database.logins[ROLE], hosts=(("127.0.0.2", database.server.port),))
    error = refused(database, login)
    assert "127.0.0.2" in error.message


def test_no_tls(own_server: Callable[..., FleetDatabase], refused: Refused) -> None:
    error = refused(own_server("host all all all trust\n", ssl="off"))
    assert isinstance(error, LoginRefusedError)
    assert "has no TLS" in error.message


@pytest.mark.parametrize("method", ["trust", "cert"])
def test_a_server_that_asks_for_no_certificate(
    own_server: Callable[..., FleetDatabase], refused: Refused, method: str
) -> None:
    error = refused(own_server(f"hostssl all all all {method}\n", ssl_ca_file=""))
    assert isinstance(error, LoginRefusedError)
    assert "asks for no client certificate" in error.message
    assert "set ssl_ca_file on the server" in error.fix


def test_a_wrong_database(database: FleetDatabase, refused: Refused) -> None:
    error = refused(database, replace(database.logins[ROLE], name="nothing"))
    assert isinstance(error, LoginRefusedError)
    assert "has no database nothing" in error.message


def test_a_database_that_the_role_may_not_use(database: FleetDatabase, refused: Refused) -> None:
    database.execute(f"REVOKE CONNECT ON DATABASE {database.name} FROM PUBLIC")
    error = refused(database)
    assert isinstance(error, LoginRefusedError)
    assert "not use the database" in error.message


def test_a_role_that_does_not_exist(database: FleetDatabase, refused: Refused) -> None:
    error = refused(database, database.server.login("nobody", database.name))
    assert isinstance(error, LoginRefusedError)
    assert "nobody" in error.message


def test_a_role_that_is_no_host(database: FleetDatabase, refused: Refused) -> None:
    database.execute("DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN")
    error = refused(database, database.server.login("guest", database.name))
    assert isinstance(error, LoginRefusedError)
    assert "guest is no host of the fleet" in error.message


def test_a_member_of_no_cluster(database: FleetDatabase, refused: Refused) -> None:
    database.execute(
        "DROP ROLE IF EXISTS removed", "CREATE ROLE removed LOGIN IN ROLE gatecert_host"
    )
    error = refused(database, database.server.login("removed", database.name))
    assert isinstance(error, LoginRefusedError)
    assert "removed is no host of the fleet" in error.message


def test_the_login_of_another_host(database: FleetDatabase, refused: Refused) -> None:
    error = refused(database, database.logins["hq-gw-b"])
    assert isinstance(error, LoginRefusedError)
    assert "is host gw-b of cluster hq, not gw-a of hq" in error.message


def test_no_schema(database: FleetDatabase, refused: Refused) -> None:
    error = refused(database, replace(database.logins[ROLE], name="template1"))
    assert isinstance(error, SchemaUnknownError)
    assert "has no schema gatecert" in error.message


def test_a_schema_that_is_too_old(database: FleetDatabase, refused: Refused) -> None:
    database.execute("UPDATE alembic_version SET version_num = '0'")
    error = refused(database)
    assert isinstance(error, SchemaUnknownError)
    assert "fleet migrate" in error.fix


def test_a_schema_that_is_too_new(database: FleetDatabase, refused: Refused) -> None:
    database.execute(
        "UPDATE alembic_version SET version_num = '9'", "UPDATE fleet SET oldest_schema = 8"
    )
    error = refused(database)
    assert isinstance(error, SchemaUnknownError)
    assert "upgrade gatecert" in error.fix


def test_a_newer_schema_that_serves_this_release(
    database: FleetDatabase, open_database: OpenDatabase
) -> None:
    database.execute("UPDATE alembic_version SET version_num = '9'")
    opened = open_database(database)
    with opened.transaction():
        pass
    assert opened.session is not None
    assert opened.session.schema == 9


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ("ALTER ROLE {} SUPERUSER", "is a superuser"),
        ("ALTER ROLE {} BYPASSRLS", "bypasses row-level security"),
        ("ALTER TABLE expense OWNER TO {}", "owns the tables"),
    ],
)
def test_too_many_rights_are_said(
    database: FleetDatabase,
    right: str,
    said: str,
    caplog: pytest.LogCaptureFixture,
    open_database: OpenDatabase,
) -> None:
    database.execute(right.format(f'"{ROLE}"'))
    try:
        opened = open_database(database)
        with opened.transaction():
            pass
    finally:
        database.execute(
            f'ALTER ROLE "{ROLE}" NOSUPERUSER NOBYPASSRLS',
            "ALTER TABLE expense OWNER TO CURRENT_USER",  # other databases have this role, too
        )
    assert opened.session is not None
    assert said in opened.session.excess
    assert f"the role hq-gw-a {said}" in caplog.text


def test_no_server_answers(database: FleetDatabase, refused: Refused) -> None:
    closed = free_port()
    login = replace(database.logins[ROLE], hosts=((HOST, closed), ("nowhere.invalid", 5432)))
    error = refused(database, login)
    assert isinstance(error, DatabaseAwayError)
    assert f"{HOST}:{closed} refuses connections; nowhere.invalid:5432 has a name" in error.message


def test_a_server_with_too_many_connections(
    own_server: Callable[..., FleetDatabase], refused: Refused
) -> None:
    fleet = own_server(
        "hostssl all all all cert\n", max_connections="4", superuser_reserved_connections="3"
    )
    with fleet.connect(ROLE):
        error = refused(fleet)
    assert isinstance(error, DatabaseAwayError)
    assert "has too many connections" in error.message


def test_transactions_of_a_thread_do_not_nest(
    database: FleetDatabase, open_database: OpenDatabase
) -> None:
    opened = open_database(database)
    with (
        opened.transaction(),
        pytest.raises(RuntimeError, match="nest"),
        opened.transaction(),
    ):
        pass
    with opened.transaction() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_dead_server_is_passed_over(database: FleetDatabase, open_database: OpenDatabase) -> None:
    alive = database.logins[ROLE].hosts
    login = replace(database.logins[ROLE], hosts=((HOST, free_port()), *alive))
    with open_database(database, login).transaction() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_failed_connection_is_not_tried_again_at_once(database: FleetDatabase) -> None:
    port = free_port()
    login = replace(database.logins[ROLE], hosts=((HOST, port),))
    opened = Database(database.place(ROLE, login))
    with pytest.raises(DatabaseAwayError), opened.transaction():
        pass
    with socket.create_server((HOST, port)) as server:
        with pytest.raises(DatabaseAwayError, match="refuses connections"), opened.transaction():
            pass
        server.setblocking(False)  # noqa: FBT003 - its only parameter
        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_lost_connection_is_replaced(
    database: FleetDatabase, open_database: OpenDatabase
) -> None:
    sent: list[object] = []
    opened = open_database(database, after_connect=sent.append)
    for _ in range(2):
        with opened.transaction() as connection:
            connection.execute("SELECT 1")
    assert len(sent) == 1
    database.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'"
    )
    with opened.transaction() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert len(sent) == 2


def test_a_commit_that_fails_has_changed_nothing(
    database: FleetDatabase, open_database: OpenDatabase
) -> None:
    database.execute(
        "ALTER TABLE intent ALTER CONSTRAINT intent_cluster_gateway_fkey "
        "DEFERRABLE INITIALLY DEFERRED"
    )
    opened = open_database(database)
    with pytest.raises(psycopg.errors.ForeignKeyViolation), opened.transaction() as connection:
        connection.execute(
            "INSERT INTO intent (gateway, generation, request, directory_url, csr, sealed_key) "
            "VALUES ('none', 1, 'r', 'd', 'c', 'k')"
        )
    assert database.execute("SELECT count(*) FROM intent") == [(0,)]
    with opened.transaction() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_statement_that_is_not_permitted(
    database: FleetDatabase, open_database: OpenDatabase
) -> None:
    with (
        pytest.raises(DatabaseError, match="permission denied") as caught,
        open_database(database).transaction() as connection,
    ):
        connection.execute("DELETE FROM expense")
    assert "member of gatecert_host" in caught.value.fix


def test_a_refusal_that_is_not_known_is_shown(database: FleetDatabase, refused: Refused) -> None:
    database.server.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS false")
    assert "is not currently accepting connections" in refused(database).message


def test_a_connection_lost_in_a_transaction_is_said(
    database: FleetDatabase, open_database: OpenDatabase
) -> None:
    opened = open_database(database)
    with pytest.raises(DatabaseAwayError, match="was lost"), opened.transaction() as connection:
        database.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'"
        )
        connection.execute("SELECT 1")


def test_what_is_sent_again_comes_first_and_is_committed(
    database: FleetDatabase, open_database: OpenDatabase
) -> None:
    def send(connection: psycopg.Connection) -> None:
        connection.execute("INSERT INTO gateway (name) VALUES ('sent')")

    opened = open_database(database, after_connect=send)
    with pytest.raises(ZeroDivisionError), opened.transaction():
        raise ZeroDivisionError
    assert database.execute("SELECT name FROM gateway") == [("sent",)]


def test_a_locked_row_is_not_waited_for_for_ever(
    database: FleetDatabase, open_database: OpenDatabase
) -> None:
    database.execute("INSERT INTO gateway (cluster, name) VALUES ('hq', 'vpn')")
    opened = open_database(database)
    with database.server.owner(database.name, autocommit=False) as holder:
        holder.execute("SELECT FROM gatecert.gateway FOR UPDATE")
        with (
            pytest.raises(DatabaseAwayError, match="does not answer in time"),
            opened.transaction() as connection,
        ):
            connection.execute("SELECT FROM gateway FOR UPDATE")
    with opened.transaction() as connection:
        connection.execute("SELECT FROM gateway FOR UPDATE")


def test_a_frozen_host_keeps_no_row_locked(
    database: FleetDatabase, open_database: OpenDatabase
) -> None:
    database.execute("INSERT INTO gateway (cluster, name) VALUES ('hq', 'vpn')")
    frozen = database.connect("hq-gw-b")
    opened = open_database(database)
    with pytest.raises(DatabaseAwayError, match="was lost"), opened.transaction() as connection:
        connection.execute("SELECT FROM gateway FOR UPDATE")
        begin = time.monotonic()
        frozen.execute("SELECT FROM gateway FOR UPDATE")
        assert time.monotonic() - begin < 8
        connection.execute("SELECT 1")
    frozen.close()


def test_no_plan_is_kept_for_another_time(
    database: FleetDatabase, open_database: OpenDatabase
) -> None:
    host = open_database(database)
    with host.transaction() as connection:
        for _ in range(20):
            connection.execute("SELECT FROM gateway WHERE due <= now() AND name <> %s", ["vpn"])
        counted = connection.execute(
            "SELECT sum(custom_plans) > 0, sum(generic_plans) FROM pg_prepared_statements"
        )
        assert counted.fetchone() == (True, 0)


def test_threads_take_turns(database: FleetDatabase, open_database: OpenDatabase) -> None:
    opened = open_database(database)

    def add(number: int) -> None:
        with opened.transaction() as connection:
            connection.execute("INSERT INTO gateway (name) VALUES (%s)", [f"vpn-{number}"])

    threads = [threading.Thread(target=add, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.execute("SELECT count(*) FROM gateway") == [(8,)]
    assert database.execute(
        f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{ROLE}' "
        f"AND datname = '{database.name}'"
    ) == [(1,)]


@pytest.fixture
def pooled(database: FleetDatabase, servers: ExitStack) -> Callable[[str], DatabaseLogin]:
    def start(mode: str) -> DatabaseLogin:
        pooler = servers.enter_context(PgBouncer(database.server, [ROLE], mode=mode))
        return replace(database.logins[ROLE], hosts=((HOST, pooler.port),))

    return start


def test_a_pooler_without_sessions_is_unfit(
    database: FleetDatabase, pooled: Callable[[str], DatabaseLogin], refused: Refused
) -> None:
    error = refused(database, pooled("transaction"))
    assert isinstance(error, PoolerUnfitError)
    assert "pool_mode = session" in error.fix


def test_a_pooler_with_sessions_will_do(
    database: FleetDatabase, pooled: Callable[[str], DatabaseLogin], open_database: OpenDatabase
) -> None:
    with open_database(database, pooled("session")).transaction() as connection:
        assert connection.execute("SELECT own_host()").fetchone() == ("gw-a",)


@pytest.fixture
def own_server(
    servers: ExitStack, certificates: DatabaseCertificates, empty_cluster: EmptyCluster
) -> Callable[..., FleetDatabase]:
    """Start a server with other logins over the network, and other settings."""

    def start(logins: str, **settings: str) -> FleetDatabase:
        directory = make_directory()
        servers.callback(shutil.rmtree, directory)
        local = "".join(line for line in LOGINS.splitlines(keepends=True) if "local" in line)
        server = Postgres(directory, certificates, settings=settings, logins=local + logins).copy(
            empty_cluster
        )
        servers.enter_context(server)
        fill(server, TEMPLATE)
        return FleetDatabase(server, TEMPLATE, {ROLE: server.login(ROLE, TEMPLATE)})

    return start


def test_without_the_extra_the_operator_is_told(tmp_path: Path) -> None:
    (tmp_path / "psycopg.py").write_text("raise ImportError('none')\n", "ascii")
    script = (
        "from gatecert.errors import ConfigurationError\n"
        "try:\n"
        "    import gatecert.store.postgres.database\n"
        "except ConfigurationError as error:\n"
        "    print(error)\n"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    finished = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        text=True,
        capture_output=True,
    )
    assert "install gatecert[fleet]" in finished.stdout
