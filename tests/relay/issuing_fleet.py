"""The fleet that orders for a relay, as docs/relay.md sets it up: its database and one host."""

from __future__ import annotations

import re
import shlex
import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg
import yaml
from cryptography.fernet import Fernet

from gatecert.store.postgres.membership import add_cluster, add_host
from gatecert.store.postgres.migration import migrate
from harness.gatecert import Gatecert
from harness.named import Named, TsigKey, Zone
from harness.pebble import PROJECT, Pebble, PebbleOptions
from harness.postgres import DatabaseCertificates, EmptyCluster, Postgres, make_directory
from harness.process import BackgroundProcess
from harness.waiting import wait_until

from .relay_network import FILES, PAGE, GatewayCredentials, Relay, unit_settings

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

SHIPPED = PROJECT / "packaging" / "relay"
DATABASE, RELAY_ROLE, CLUSTER, HOST = "gatecert", "relay", "issuers", "issuer-a"
DOMAIN = "ddns.example"


class IssuingFleet:
    """A PostgreSQL server, a nameserver, Pebble, and a host that orders.

    Attributes:
        issuer: The host.
        pebble: The CA.
        database: The server.
    """

    def __init__(self, directory: Path, options: PebbleOptions) -> None:
        self._servers = ExitStack()
        data = make_directory()
        self._servers.callback(shutil.rmtree, data)
        certificates = DatabaseCertificates(directory / "certificates")
        self.database = Postgres(data, certificates).copy(EmptyCluster.make(data))
        self._key = TsigKey()
        self.named = Named(directory / "named", zones=[Zone(DOMAIN)], keys=[self._key])
        self.pebble = Pebble(directory / "pebble", dns_server=self.named.address, options=options)
        self.issuer = Gatecert(directory / "issuer")
        self._directory = directory

    def __enter__(self) -> Self:
        """Start everything."""
        try:
            for server in (self.database, self.named, self.pebble):
                self._servers.enter_context(server)
            self._prepare_database()
            self._write_configuration()
            self._servers.push(self.issuer.__exit__)
            self.issuer.start()
        except BaseException:
            self._servers.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop everything."""
        self._servers.close()

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        """Return the rows of a query of the owner."""
        return self.database.execute("SET search_path = gatecert", statement, database=DATABASE)

    def change(self, statement: str) -> None:
        """Run a statement of the owner."""
        with self.database.owner(DATABASE) as owner:
            owner.execute("SET search_path = gatecert")
            owner.execute(statement.encode())

    def _prepare_database(self) -> None:
        """Do what gatecert fleet init does, and run the page's statements."""
        self.database.execute(f"CREATE DATABASE {DATABASE}")
        migrate(lambda: self.database.owner(DATABASE, autocommit=False))
        (statements,) = re.findall(r"```sql\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
        with self.database.owner(DATABASE) as owner:
            add_cluster(owner, CLUSTER)
            add_host(owner, CLUSTER, HOST, HOST)
            owner.execute(statements.encode())

    def _write_configuration(self) -> None:
        etc = self._directory / "issuer-etc"
        (etc / "fleet").mkdir(parents=True)
        login = self.database.login(HOST, DATABASE)
        shutil.copy(login.certificate, etc / "fleet" / "issuer-a.pem")
        shutil.copy(login.key, etc / "fleet" / "issuer-a-key.pem")
        shutil.copy(login.ca_bundle, etc / "fleet" / "ca.pem")
        seal = etc / "fleet" / "seal-2026"
        seal.touch(0o600)
        seal.write_bytes(Fernet.generate_key())
        self._key.write_secret(etc / "tsig.secret")
        text = (FILES / "issuer.yaml").read_text("utf-8").replace("/etc/gatecert", str(etc))
        configuration = yaml.safe_load(text)
        self.issuer.use(self.pebble, self.named)
        configuration["authorities"] = self.issuer.configuration["authorities"]
        # A tenth is kept for the urgent, rounded up: one first certificate.
        configuration["authorities"]["pebble"]["limits"] = {"certificates": "2/7d"}
        dns_01 = configuration["challenges"]["dns-01"]
        dns_01 |= {"server": self.named.address, "authoritative": [self.named.address], "ttl": "1s"}
        configuration["fleet"]["database"]["hosts"] = [f"127.0.0.1:{self.database.port}"]
        self.issuer.configuration |= configuration
        self.issuer.write()


class FleetRelay(Relay):
    """acme2certifier with the handler that gatecert ships, and its poll.

    Attributes:
        poll: Runs what the timer runs, each second.
    """

    def __init__(
        self, directory: Path, credentials: GatewayCredentials, fleet: IssuingFleet
    ) -> None:
        self._database = fleet.database
        super().__init__(directory, credentials, SHIPPED / "acme_srv.cfg")
        self.root = fleet.pebble.root
        login = fleet.database.login(RELAY_ROLE, DATABASE)
        shutil.copy(login.certificate, self.etc / "database.pem")
        shutil.copy(login.key, self.etc / "database.key")
        shutil.copy(login.ca_bundle, self.etc / "database-ca.pem")
        unit = unit_settings(SHIPPED / "relay-poll.service")
        command = shlex.join(self.command(unit))
        self.poll = BackgroundProcess(
            ["/bin/sh", "-c", f"while :; do {command}; sleep 1; done"],
            log=directory / "poll.log",
            environment=self.environment(unit),
        )

    def start(self) -> Self:
        """Start all of it."""
        super().start()
        self.poll.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop all of it."""
        self.poll.__exit__(kind, error, traceback)
        super().__exit__(kind, error, traceback)

    def wait_for_poll(self, text: str) -> None:
        """Wait until the log of the poll says something."""
        wait_until(lambda: text in self.poll.output, text, seconds=60.0)

    def here(self, text: str) -> str:
        """Return text with this machine's paths and the database's port."""
        here = super().here(text).replace("/usr/share/gatecert", str(PROJECT / "packaging"))
        return here.replace("host=db1.example.net", f"host=127.0.0.1 port={self._database.port}")

    def log_in(self) -> psycopg.Connection:
        """Log in to the database as the relay does."""
        (parameters,) = re.findall(
            r"^database: (.*)$", (self.etc / "acme_srv.cfg").read_text("utf-8"), re.MULTILINE
        )
        return psycopg.connect(parameters, sslmode="verify-full", autocommit=True)
