"""PostgreSQL servers from Debian's package, with TLS and logins by client certificate.

PostgreSQL refuses to run as root, so root runs it as user ``postgres`` of the package. The data is
in memory where there is such a file system: a killed server loses nothing, only a machine would.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gatecert.model.fleet import DatabaseLogin
from harness.certificates import certificate_builder, common_name, write_key
from harness.ports import free_port
from harness.process import ENDS_WITH_PARENT, SEARCH_PATH, BackgroundProcess, program
from harness.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

HOST = "127.0.0.1"
OWNER = "owner"  # superuser, by the socket only
ACCOUNT = "postgres"  # of the package
INSTALLED = Path("/usr/lib/postgresql")
IN_MEMORY = Path("/dev/shm")  # noqa: S108 - a directory of its own is made there
SEGMENT = 6  # line of postmaster.pid with the key and id of the shared memory
LOGINS = """
local all all trust
local replication all trust
hostssl all all all cert
"""

SETTINGS = {
    "dynamic_shared_memory_type": "mmap",  # in its data, not left behind by a crash
    "fsync": "on",
    "lc_messages": "C",
    "listen_addresses": HOST,
    "log_line_prefix": "%m %b ",
    "max_connections": "200",
    "max_wal_size": "64MB",
    "min_wal_size": "2MB",
    "shared_buffers": "16MB",
    "ssl": "on",
    "ssl_ca_file": "root.crt",
}


@functools.cache
def postgres_program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs, of its newest installed version."""
    versions = sorted(INSTALLED.glob("*/bin"), key=lambda path: int(path.parent.name))
    if not versions:
        raise RuntimeError("PostgreSQL is not installed: run `make setup`")
    found = shutil.which(name, path=os.pathsep.join([str(versions[-1]), SEARCH_PATH]))
    if found is None:
        raise RuntimeError(f"{name} is not installed: run `make setup`")
    return found


def unprivileged(argv: Sequence[str]) -> list[str]:
    """Return the command that runs a program of PostgreSQL; it ends with this process."""
    if os.geteuid() != 0:
        return list(argv)
    # The kernel forgets that a process ends with its parent when its user changes.
    who = [f"--reuid={ACCOUNT}", f"--regid={ACCOUNT}", "--clear-groups"]
    return [program("setpriv"), *who, *ENDS_WITH_PARENT, *argv]


def _run(name: str, *arguments: str | Path) -> None:
    finished = subprocess.run(
        unprivileged([postgres_program(name), *map(str, arguments)]),
        text=True,
        check=False,
        capture_output=True,
        timeout=60,
        cwd="/",
    )
    if finished.returncode != 0:
        raise RuntimeError(f"{name} failed: {finished.stderr.strip()}")


def make_directory() -> Path:
    """Return a new directory for the data of servers, which belongs to their user."""
    place = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="gatecert-postgres-", dir=place))
    give(directory)
    return directory


def give(path: Path) -> None:
    """Make a file or directory belong to the servers' user."""
    if os.geteuid() == 0:
        shutil.chown(path, ACCOUNT, ACCOUNT)


class DatabaseCertificates:
    """The CA of the servers and logins, and certificates by it.

    Args:
        directory: For the files.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = common_name("Databases of the tests")
        self.bundle = directory / "ca.pem"
        root = (
            certificate_builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.bundle.write_bytes(root.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, names: Sequence[x509.GeneralName] = ()) -> tuple[Path, Path]:
        """Write a certificate and its key.

        Args:
            name: The common name: a login's role, or a server.
            names: Alternative names, of a server.
        """
        file = re.sub(r"\W", "-", name)
        certificate, private_key = (self._directory / f"{file}{end}.pem" for end in ("", "-key"))
        key = ec.generate_private_key(ec.SECP256R1())
        builder = certificate_builder(common_name(name), self._name, key)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        signed = builder.sign(self._key, hashes.SHA256())
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        write_key(private_key, key)
        return certificate, private_key


@dataclass(frozen=True, slots=True)
class EmptyCluster:
    """A data directory made by initdb, of which servers get copies: initdb takes seconds."""

    data: Path

    @classmethod
    def make(cls, directory: Path) -> EmptyCluster:
        """Run initdb."""
        data = directory / "empty"
        _run(
            "initdb",
            *("--pgdata", data, "--username", OWNER, "--auth=trust", "--no-sync"),
            *("--encoding=UTF8", "--locale=C.UTF-8", "--wal-segsize=1", "--no-instructions"),
        )
        return cls(data)


class Postgres(Server):
    """A PostgreSQL server.

    Args:
        directory: For data, socket and log (`make_directory`).
        certificates: Of the server and of those who log in.
        settings: Added to ``postgresql.conf``.
        logins: The contents of ``pg_hba.conf``.
        name: Of its directory.

    Attributes:
        port: On 127.0.0.1, and of the socket.
    """

    def __init__(
        self,
        directory: Path,
        certificates: DatabaseCertificates,
        *,
        settings: Mapping[str, str] | None = None,
        logins: str = LOGINS,
        name: str = "primary",
    ) -> None:
        self.port = free_port()
        self.name = name
        self.certificates = certificates
        self.data = directory / name
        self.sockets = directory
        self._settings = {
            **SETTINGS,
            "port": str(self.port),
            "unix_socket_directories": str(directory),
            "cluster_name": name,
            **(settings or {}),
        }
        self._logins = logins
        self.process = BackgroundProcess(
            unprivileged([postgres_program("postgres"), "-D", str(self.data)]),
            log=directory / f"{name}.log",
        )

    def copy(self, empty: EmptyCluster) -> Self:
        """Take the data of an empty cluster."""
        _run("cp", "--archive", empty.data, self.data)
        return self

    def follow(self, primary: Postgres) -> Self:
        """Take the data of a running server, and become its standby."""
        _run(
            "pg_basebackup",
            *("--pgdata", self.data, "--host", primary.sockets, "--port", str(primary.port)),
            *("--username", OWNER, "--checkpoint=fast", "--no-sync", "--wal-method=stream"),
        )
        (self.data / "standby.signal").touch()
        give(self.data / "standby.signal")
        self._settings["primary_conninfo"] = (
            f"host={primary.sockets} port={primary.port} user={OWNER} application_name={self.name}"
        )
        return self

    def start(self) -> Self:
        """Start it, and wait until it accepts connections."""
        self.configure()
        self.process.start()
        self.when_ready(self._is_ready, f"PostgreSQL at port {self.port}")
        return self

    def configure(self, logins: str | None = None, **settings: str) -> None:
        """Write its configuration; a running server takes it with `reload`."""
        self._settings |= settings
        self._logins = self._logins if logins is None else logins
        certificate, key = self.certificates.issue(
            self.name, names=[x509.IPAddress(ip_address(HOST)), x509.DNSName("localhost")]
        )
        for source, place in (
            (certificate, "server.crt"),
            (key, "server.key"),
            (self.certificates.bundle, "root.crt"),
        ):
            self._write(place, source.read_text("ascii"))
        lines = [f"{key} = '{value}'" for key, value in self._settings.items()]
        self._write("postgresql.conf", "\n".join(lines) + "\n")
        self._write("pg_hba.conf", self._logins)

    def reload(self) -> None:
        """Make it read its configuration again."""
        self.process.signal(signal.SIGHUP)

    def promote(self) -> None:
        """Make a standby the primary, and wait until it can be written to."""
        _run("pg_ctl", "promote", "--pgdata", self.data, "--wait", "--timeout=30")

    def freeze(self) -> None:
        """Stop all of its processes where they are."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def crash(self) -> None:
        """Kill all of its processes at once."""
        self._signal_all(signal.SIGKILL)
        self.process.kill()

    def owner(self, database: str = "postgres", *, autocommit: bool = True) -> psycopg.Connection:
        """Return a new connection of the owner."""
        return psycopg.connect(
            host=str(self.sockets),
            port=self.port,
            user=OWNER,
            dbname=database,
            autocommit=autocommit,
            connect_timeout=5,
        )

    def execute(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run statements as the owner; return the rows of the last one."""
        with self.owner(database) as connection:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def login(self, role: str, database: str) -> DatabaseLogin:
        """Return the login of a role, with a new certificate."""
        certificate, key = self.certificates.issue(role)
        return DatabaseLogin(
            hosts=((HOST, self.port),),
            name=database,
            user=role,
            certificate=certificate,
            key=key,
            ca_bundle=self.certificates.bundle,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.process.alive:
            self.thaw()
            self.process.signal(signal.SIGQUIT)  # at once, clients or not
        super().__exit__(kind, error, traceback)
        self._remove_shared_memory()

    def _remove_shared_memory(self) -> None:
        """Remove the segment by which a server that was killed is known to the next one."""
        lock_file = self.data / "postmaster.pid"
        lines = lock_file.read_text("ascii").splitlines() if lock_file.exists() else []
        if len(lines) > SEGMENT:
            _, identifier = lines[SEGMENT].split()
            subprocess.run([program("ipcrm"), "--shmem-id", identifier], check=False)

    def _signal_all(self, number: signal.Signals) -> None:
        """Send a signal to the server and its children, of which each has a group of its own."""
        server = psutil.Process(self.process.pid)
        for process in (server, *server.children()):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _is_ready(self) -> bool:
        try:
            with self.owner():
                return True
        except psycopg.OperationalError:
            return False

    def _write(self, name: str, text: str) -> None:
        path = self.data / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(text, "utf-8")
        give(path)
