"""The owner of a fleet's database: gatecert fleet init and migrate, on real servers."""

from __future__ import annotations

import shutil
import subprocess
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
import pytest
from cryptography.fernet import Fernet
from psycopg import sql

from gatecert.store.postgres.membership import add_cluster, add_host
from harness.gatecert import CommandResult, Gatecert
from harness.postgres import HOST, OWNER, Postgres, make_directory
from harness.waiting import wait_until

from .conftest import FleetDatabase, parameters

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from harness.postgres import DatabaseCertificates, EmptyCluster

FIRST_LINE = "pg_hba.conf of each server needs, in front of other lines"

numbers = count(1)


class OwnersDatabase:
    """A database without a schema, and the commands of its owner.

    Attributes:
        name: Its name, which also begins the names of roles: those belong to the whole server.
        url: The owner's login by the socket.
    """

    def __init__(self, server: Postgres, gatecert: Gatecert) -> None:
        self.server = server
        self.gatecert = gatecert
        self.name = f"owned_{next(numbers)}"
        server.execute(f"CREATE DATABASE {self.name}")
        self.url = self.login(OWNER)

    def login(self, user: str) -> str:
        where = f"host={self.server.sockets}&port={self.server.port}"
        return f"postgresql://{user}@/{self.name}?{where}"

    def init(self, *hosts: str, cluster: str = "hq", url: str = "") -> CommandResult:
        login = ("--database", url or self.url)
        return self.gatecert.run("fleet", "init", *login, "--cluster", cluster, *hosts)

    def migrate(self, url: str = "") -> CommandResult:
        return self.gatecert.run("fleet", "migrate", "--database", url or self.url)

    def execute(self, *statements: str) -> list[tuple[object, ...]]:
        return self.server.execute(*statements, database=self.name)

    def hosts(self) -> list[tuple[object, ...]]:
        return self.execute(
            "SELECT cluster, name, login, ring FROM gatecert.host ORDER BY cluster, name"
        )


@pytest.fixture
def gatecert(tmp_path: Path) -> Gatecert:
    return Gatecert(tmp_path / "host")


@pytest.fixture
def owned(shared_server: Postgres, gatecert: Gatecert) -> OwnersDatabase:
    return OwnersDatabase(shared_server, gatecert)


def failed(result: CommandResult, code: int = 1) -> str:
    """Return the error of a command that changed nothing."""
    assert (result.exit_code, result.output) == (code, "")
    assert result.errors.count("\n") == 1
    return result.errors


def test_a_fleet_begins_with_one_command(owned: OwnersDatabase) -> None:
    a, b = f"{owned.name}-a", f"{owned.name}-b"
    done = owned.init(a, f"gw-b={b}")
    assert (done.exit_code, done.errors) == (0, "")
    assert done.output.splitlines() == [
        f"database {owned.name}: schema 1, new",
        f"host {a} of cluster hq, ring 1: role {a}",
        f"host gw-b of cluster hq, ring 1: role {b}",
        f"{FIRST_LINE}: hostssl {owned.name} +gatecert_host all cert",
    ]
    assert owned.hosts() == [("hq", "gw-b", b, 1), ("hq", a, a, 1)]
    logins = {role: owned.server.login(role, owned.name) for role in (a, b)}
    for role, name in ((a, a), (b, "gw-b")):
        with FleetDatabase(owned.server, owned.name, logins).connect(role) as host:
            assert host.execute("SELECT own_cluster(), own_host()").fetchone() == ("hq", name)


def test_the_line_for_pg_hba_lets_hosts_into_a_database_of_any_name(
    servers: ExitStack,
    certificates: DatabaseCertificates,
    empty_cluster: EmptyCluster,
    gatecert: Gatecert,
) -> None:
    directory = make_directory()
    servers.callback(shutil.rmtree, directory)
    local = "local all all trust\n"
    server = Postgres(directory, certificates, logins=local).copy(empty_cluster)
    servers.enter_context(server)
    names = ("Fleet 2026", "hq-fleet", "2fleet", "all", "replication", 'a"b,c#d', "fleet_2")
    lines = []
    for name in names:
        with server.owner() as owner:
            owner.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        where = f"{quote(name)}?host={server.sockets}&port={server.port}"
        login = ("--database", f"postgresql://{OWNER}@/{where}")
        done = gatecert.run("fleet", "init", *login, "--cluster", "hq", "gw-a")
        assert (done.exit_code, done.errors) == (0, "")
        lines.append(done.output.partition(f"{FIRST_LINE}: ")[2])
    assert lines[0] == 'hostssl "Fleet 2026" +gatecert_host all cert\n'
    assert lines[-1] == "hostssl fleet_2 +gatecert_host all cert\n"

    server.configure(local + "".join(lines))
    server.reload()

    def is_let_in(name: str) -> bool:
        try:
            psycopg.connect(**parameters(server.login("gw-a", name))).close()
        except psycopg.OperationalError:
            return False
        return True

    wait_until(lambda: is_let_in("fleet_2"), "the last line to count")
    assert [name for name in (*names, "postgres") if not is_let_in(name)] == ["postgres"]


def test_hosts_and_clusters_are_added_later(owned: OwnersDatabase) -> None:
    a, b, c = (f"{owned.name}-{letter}" for letter in "abc")
    assert owned.init(a).exit_code == 0
    again = owned.init(b, "--ring", "2")
    assert again.output.startswith(f"database {owned.name}: schema 1 is up to date\n")
    assert owned.init(c, cluster="lab").exit_code == 0
    assert owned.hosts() == [("hq", a, a, 1), ("hq", b, b, 2), ("lab", c, c, 1)]
    assert owned.init(a, "--ring", "3").exit_code == 0
    assert owned.hosts()[0] == ("hq", a, a, 3)


def test_the_configuration_says_which_host_and_which_database(
    owned: OwnersDatabase, tmp_path: Path
) -> None:
    role = f"{owned.name}-a"
    login = owned.server.login(role, owned.name)
    seal = tmp_path / "seal"
    seal.touch(0o600)
    seal.write_bytes(Fernet.generate_key())
    certificate, key = owned.server.certificates.issue(OWNER)
    owners = {"PGUSER": OWNER, "PGSSLCERT": str(certificate), "PGSSLKEY": str(key)}
    gatecert = Gatecert(tmp_path / "configured", environment=owners)
    gatecert.configuration["gateways"]["vpn"] = {"hostname": "vpn.example.com", "mode": "custom"}
    gatecert.configuration["fleet"] = {
        "database": {
            "hosts": [f"{HOST}:{owned.server.port}"],
            "name": owned.name,
            "certificate": str(login.certificate),
            "key": str(login.key),
            "ca_bundle": str(login.ca_bundle),
        },
        "cluster": "hq",
        "host": "gw-a",
        "ring": 2,
        "sealing_keys": [str(seal)],
    }
    gatecert.write()
    done = gatecert.run("fleet", "init")
    assert (done.exit_code, done.errors) == (0, "")
    assert owned.hosts() == [("hq", "gw-a", role, 2)]
    assert (
        gatecert.run("fleet", "migrate").output
        == f"database {owned.name}: schema 1 is up to date\n"
    )


def test_a_role_belongs_to_one_host(owned: OwnersDatabase) -> None:
    role = f"{owned.name}-a"
    assert owned.init(role).exit_code == 0
    refused = owned.init(f"{owned.name}-b", f"other={role}", cluster="lab")
    assert refused.exit_code == 2
    assert f"the role {role} is already host {role} of cluster hq" in refused.errors
    assert owned.hosts() == [("hq", role, role, 1)]


def test_a_host_that_gets_another_role_loses_the_one_that_it_had(owned: OwnersDatabase) -> None:
    first, second = f"{owned.name}-a", f"{owned.name}-b"
    assert owned.init(f"gw-a={first}").exit_code == 0
    again = owned.init(f"gw-a={second}")
    assert f"host gw-a of cluster hq, ring 1: role {second} (was {first})\n" in again.output
    assert owned.hosts() == [("hq", "gw-a", second, 1)]
    roles = f"SELECT rolname FROM pg_roles WHERE starts_with(rolname, '{owned.name}')"
    assert owned.execute(roles) == [(second,)]
    assert owned.init(f"gw-b={first}").output.endswith("cert\n")
    assert owned.hosts() == [("hq", "gw-a", second, 1), ("hq", "gw-b", first, 1)]


@pytest.mark.parametrize("role", ["r" * 64, "ö" * 32, "pg_monitor", "gatecert_observer"])
def test_a_role_that_no_certificate_can_have_alone_is_refused(
    owned: OwnersDatabase, role: str
) -> None:
    refused = owned.init(f"gw-a={role}")
    assert refused.exit_code == 2
    assert f"{role} cannot be the role of a host: use up to 63 bytes, and" in refused.errors
    assert "(give gw-a a certificate with another common name: gw-a=ROLE)" in refused.errors
    assert owned.hosts() == []
    granted = "SELECT FROM pg_auth_members WHERE roleid = 'gatecert_host'::regrole AND member = "
    assert owned.execute(f"{granted}(SELECT oid FROM pg_roles WHERE rolname = '{role}')") == []


@pytest.mark.parametrize("role", ["pg_monitor", "gatecert_observer"])
def test_a_host_of_an_earlier_release_gets_a_role_of_its_own(
    owned: OwnersDatabase, role: str
) -> None:
    assert owned.migrate().exit_code == 0
    with owned.server.owner(owned.name) as session:
        add_cluster(session, "hq")
        add_host(session, "hq", "gw-a", role)
    own = f"{owned.name}-a"
    done = owned.init(f"gw-a={own}")
    assert (done.exit_code, done.errors) == (0, "")
    assert f"role {own} (was {role})\n" in done.output
    assert owned.hosts() == [("hq", "gw-a", own, 1)]
    assert owned.execute(f"SELECT pg_has_role('{role}', 'gatecert_host', 'MEMBER')") == [(False,)]


@pytest.mark.parametrize("right", ["SUPERUSER", "BYPASSRLS"])
def test_a_role_that_sees_everything_is_no_host(owned: OwnersDatabase, right: str) -> None:
    role = f"{owned.name}_mighty"
    owned.execute(f"CREATE ROLE {role} LOGIN {right}")
    refused = owned.init(role)
    assert refused.exit_code == 2
    assert "may do more than a host" in refused.errors
    assert owned.hosts() == []


def test_a_login_without_the_rights_of_the_owner_is_told_so(owned: OwnersDatabase) -> None:
    role = f"{owned.name}_plain"
    owned.execute(f"CREATE ROLE {role} LOGIN")
    error = failed(owned.migrate(owned.login(role)))
    assert f"the role {role} has not the rights of the owner" in error
    assert "sudo -u postgres gatecert fleet" in error
    assert owned.execute("SELECT to_regclass('gatecert.host')") == [(None,)]


def test_a_schema_of_a_later_release_is_left_alone(owned: OwnersDatabase) -> None:
    assert owned.migrate().exit_code == 0
    owned.execute("UPDATE gatecert.alembic_version SET version_num = '99'")
    error = failed(owned.migrate())
    assert "the schema is number 99, and this gatecert knows only 1: nothing was changed" in error


def test_the_printed_sql_makes_the_same_schema(owned: OwnersDatabase) -> None:
    printed = owned.gatecert.run("fleet", "migrate", "--sql")
    assert (printed.exit_code, printed.errors) == (0, "")
    owned.execute(printed.output)
    assert owned.migrate().output == f"database {owned.name}: schema 1 is up to date\n"
    other = OwnersDatabase(owned.server, owned.gatecert)
    assert other.migrate().exit_code == 0
    assert dump(owned) == dump(other)


def dump(database: OwnersDatabase) -> list[tuple[object, ...]]:
    """Return columns, policies and rights of a schema."""
    return database.execute(
        "SELECT 'column', table_name, column_name || data_type FROM information_schema.columns "
        "WHERE table_schema = 'gatecert' UNION ALL "
        "SELECT 'policy', tablename, policyname || cmd FROM pg_policies UNION ALL "
        "SELECT 'right', table_name, grantee || privilege_type "
        "FROM information_schema.role_table_grants WHERE table_schema = 'gatecert' ORDER BY 1, 2, 3"
    )


def test_two_owners_at_once_migrate_once(owned: OwnersDatabase) -> None:
    command = [*owned.gatecert.command, "fleet", "migrate", "--database", owned.url]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = sorted(process.communicate(timeout=60)[0] for process in both)
    assert told == [
        f"database {owned.name}: schema 1{what}\n" for what in (" is up to date", ", new")
    ]


def test_tables_in_use_are_not_waited_for_without_end(owned: OwnersDatabase) -> None:
    with owned.server.owner(owned.name) as other:
        other.execute("SELECT pg_advisory_lock(x'67617465'::bigint)")
        error = failed(owned.migrate(owned.url + "&options=-c%20lock_timeout%3D50ms"))
    assert "others use the tables or migrate them at the moment" in error


def test_a_standby_is_not_migrated(owned: OwnersDatabase) -> None:
    owned.execute(f"ALTER DATABASE {owned.name} SET default_transaction_read_only = on")
    assert "name the primary server: this one is a standby" in failed(owned.migrate())


def test_what_is_not_there_is_named(owned: OwnersDatabase, shared_server: Postgres) -> None:
    absent = owned.url.replace(owned.name, "absent")
    assert "create the database (createdb)" in failed(owned.migrate(absent))
    assert "log in as the owner" in failed(owned.migrate(owned.login("nobody_there")))
    nowhere = owned.url.replace(f"port={shared_server.port}", "port=1")
    assert "the login to the database on" in failed(owned.migrate(nowhere))


def test_a_server_whose_certificate_is_not_trusted_gets_no_login(owned: OwnersDatabase) -> None:
    url = f"postgresql://{OWNER}@{HOST}:{owned.server.port}/{owned.name}"
    assert "?sslrootcert=FILE in --database" in failed(owned.migrate(url))
    trusting = f"{url}?sslrootcert={owned.server.certificates.bundle}"
    assert "add sslcert=FILE and sslkey=FILE" in failed(owned.migrate(trusting))


def test_a_password_is_read_from_its_file_only(
    servers: ExitStack,
    certificates: DatabaseCertificates,
    empty_cluster: EmptyCluster,
    tmp_path: Path,
) -> None:
    directory = make_directory()
    servers.callback(shutil.rmtree, directory)
    server = servers.enter_context(
        Postgres(directory, certificates, logins="local all all trust\n").copy(empty_cluster)
    )
    passwords = tmp_path / "pgpass"
    gatecert = Gatecert(tmp_path / "host", environment={"PGPASSFILE": str(passwords)})
    owned = OwnersDatabase(server, gatecert)
    owned.execute("CREATE ROLE keeper LOGIN SUPERUSER PASSWORD 'S3cr3t'")
    server.configure(f"local all {OWNER} trust\nlocal all all scram-sha-256\n")
    server.reload()
    url = owned.login("keeper")
    assert "write the password to ~/.pgpass" in failed(owned.migrate(url))
    passwords.touch(0o600)
    passwords.write_text("*:*:*:keeper:wrong\n", "utf-8")
    assert "write the password to ~/.pgpass" in failed(owned.migrate(url))
    passwords.write_text("*:*:*:keeper:S3cr3t\n", "utf-8")
    assert owned.migrate(url).output == f"database {owned.name}: schema 1, new\n"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://owner:S3cr3t@db1/gatecert", "can read a password on the command line"),
        ("host=db1 password=S3cr3t", "can read a password on the command line"),
        ("postgresql://db1/gatecert?sslpassword=S3cr3t", "can read a password on the command line"),
        ("S3cr3t", "--database is not a URL of PostgreSQL"),
        ("postgresql://db1/gatecert?secret=S3cr3t", "--database is not a URL of PostgreSQL"),
        ("postgresql://S3cr3t@db1", "--database names no database of the server"),
        ("postgresql://", "--database names no database of the server"),
    ],
)
def test_a_login_is_refused_without_being_repeated(gatecert: Gatecert, url: str, told: str) -> None:
    error = failed(gatecert.run("fleet", "migrate", "--database", url), 2)
    assert told in error
    assert "S3cr3t" not in error


def test_without_a_fleet_the_command_line_says_everything(gatecert: Gatecert) -> None:
    gatecert.add_gateway("vpn", "vpn.example.com", mode="custom").write()
    error = failed(gatecert.run("fleet", "init", "gw-a"), 2)
    assert "the configuration has no fleet" in error
    assert "--database, --cluster and the hosts" in error


@pytest.mark.parametrize("host", ["gw a", "gw-a=", "../gw"])
def test_a_wrong_name_is_refused(owned: OwnersDatabase, host: str) -> None:
    assert host.partition("=")[0] in failed(owned.init(host), 2)
    assert owned.execute("SELECT to_regclass('gatecert.host')") == [(None,)]
