"""ocserv, the open server of the AnyConnect protocol, as the gateway.

It serves on loopback with a user and a password, and reads its certificate from the files that
gatecert keeps in ``live``. A client can authenticate, which is enough to test trust. It creates no
tunnel device, so it runs in containers too.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.handshake import served_certificate
from harness.ports import free_port
from harness.process import ENDS_WITH_PARENT, BackgroundProcess, program
from harness.server import Server

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

PASSWORDS = "/etc/ocserv/ocpasswd"  # usual places
PASSWORD_ONLY = f'auth = "plain[passwd={PASSWORDS}]"'

CONFIGURATION = """\
{authentication}
listen-host = 127.0.0.1
tcp-port = {port}
server-cert = {fullchain}
server-key = {private_key}
socket-file = {directory}/socket
occtl-socket-file = {directory}/occtl
use-occtl = true
pid-file = {directory}/pid
isolate-workers = false
max-clients = 16
max-same-clients = 16
auth-timeout = 40
min-reauth-time = 0
max-ban-score = 0
tls-priorities = "NORMAL:-VERS-SSL3.0:-VERS-TLS1.0:-VERS-TLS1.1"
device = vpns
ipv4-network = 192.0.2.0
ipv4-netmask = 255.255.255.0
"""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials of a user."""

    user: str = "alice"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(12), repr=False)


class Ocserv(Server):
    """A gateway on loopback.

    Args:
        directory: Takes its log.
        fullchain: The certificate and its chain, PEM; must exist at the start.
        private_key: Its key, PEM.
        port: A free one unless given.
        authentication: Lines of its configuration for authentication.
    """

    def __init__(
        self,
        directory: Path,
        *,
        fullchain: Path,
        private_key: Path,
        port: int | None = None,
        authentication: str = PASSWORD_ONLY,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.credentials = Credentials()
        self._authentication = authentication
        self._fullchain = fullchain
        self._private_key = private_key
        # For sockets: their paths are limited to about a hundred characters.
        self._runtime = Path(tempfile.mkdtemp(prefix="ocserv-"))
        self._configuration = self._runtime / "ocserv.conf"
        self._ready = self._runtime / "ready"
        self.process = BackgroundProcess(
            [
                *_as_root(),
                program("ocserv"),
                "--foreground",
                "--config",
                str(self._configuration),
            ],
            log=directory / "ocserv.log",
        )

    @property
    def address(self) -> str:
        """``host:port``, as in the configuration's ``verify``."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid_file(self) -> Path:
        """The file with its process ID."""
        return self._runtime / "pid"

    @property
    def reload_command(self) -> list[str]:
        """The command that reloads the certificate without dropping a session (SIGHUP).

        It fails until the server is ready: a signal would end a starting server, because it
        writes its process ID before it handles signals.
        """
        return ["/bin/sh", "-c", f'test -e {self._ready} && kill -HUP "$(cat {self.pid_file})"']

    def start(self) -> Self:
        """Start it and wait until it serves."""
        self._write_configuration()
        self._ready.unlink(missing_ok=True)
        self.process.start()
        self.when_ready(self._is_ready, f"ocserv at {self.address}")
        self._ready.touch()
        return self

    def reload(self) -> None:
        """Run ``reload_command``."""
        self.process.signal(signal.SIGHUP)

    def stop(self) -> None:
        """Stop it."""
        self.process.stop()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        shutil.rmtree(self._runtime, ignore_errors=True)

    def _write_configuration(self) -> None:
        self._configuration.write_text(
            CONFIGURATION.format(
                authentication=self._authentication.replace(
                    PASSWORDS, str(self._runtime / "passwords")
                ),
                directory=self._runtime,
                port=self.port,
                fullchain=self._fullchain,
                private_key=self._private_key,
            ),
            "utf-8",
        )
        subprocess.run(
            [program("ocpasswd"), "-c", str(self._runtime / "passwords"), self.credentials.user],
            input=f"{self.credentials.password}\n{self.credentials.password}\n",
            text=True,
            check=True,
            capture_output=True,
            timeout=10,
        )

    def _is_ready(self) -> bool:
        try:
            return bool(served_certificate("127.0.0.1", self.port, "ready.invalid"))
        except OSError:
            return False


def _as_root() -> list[str]:
    """Return a prefix that lets an ordinary user run a server that insists on root.

    In its own user namespace the server is root, without rights outside. The
    user's subordinate IDs (subuid(5)) are mapped too, because it calls setgroups(2).
    """
    if os.geteuid() == 0:
        return []
    return [
        *(program("unshare"), "--map-root-user", "--map-auto"),
        *(program("setpriv"), *ENDS_WITH_PARENT),
    ]
