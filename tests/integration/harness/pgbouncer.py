"""PgBouncer between a host and its database."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509

from harness.ports import free_port
from harness.postgres import HOST, OWNER, give, unprivileged
from harness.process import BackgroundProcess, program
from harness.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from harness.postgres import Postgres


class PgBouncer(Server):
    """A pooler in front of a server, for logins by certificate.

    Args:
        server: The server; its directory takes the pooler's files.
        roles: Those who may log in.
        mode: ``session`` or ``transaction``.
    """

    def __init__(self, server: Postgres, roles: Sequence[str], *, mode: str) -> None:
        self.port = free_port()
        directory = server.sockets / f"pgbouncer-{self.port}"
        directory.mkdir()
        certificate, key = server.certificates.issue(
            f"pgbouncer-{mode}", names=[x509.IPAddress(ip_address(HOST))]
        )
        files = {
            "server.crt": certificate.read_text("ascii"),
            "server.key": key.read_text("ascii"),
            "ca.crt": server.certificates.bundle.read_text("ascii"),
            "users.txt": "".join(f'"{role}" ""\n' for role in roles),
            "pgbouncer.ini": f"""
[databases]
* = host={server.sockets} port={server.port}
[pgbouncer]
listen_addr = {HOST}
listen_port = {self.port}
unix_socket_dir =
pool_mode = {mode}
auth_type = cert
auth_file = {directory}/users.txt
admin_users = {OWNER}
client_tls_sslmode = verify-full
client_tls_ca_file = {directory}/ca.crt
client_tls_cert_file = {directory}/server.crt
client_tls_key_file = {directory}/server.key
""",
        }
        for name, text in files.items():
            path = directory / name
            path.touch(mode=0o600)
            path.write_text(text, "utf-8")
            give(path)
        give(directory)
        self.process = BackgroundProcess(
            unprivileged([program("pgbouncer"), str(directory / "pgbouncer.ini")]),
            log=directory / "pgbouncer.log",
        )

    def start(self) -> Self:
        """Start it, and wait until it listens."""
        self.process.start()
        self.when_ready(lambda: "process up" in self.process.output, f"PgBouncer at {self.port}")
        return self
