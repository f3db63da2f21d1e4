"""nginx as a gateway, and as the server that loses no connection while it reloads."""

from __future__ import annotations

import signal
import ssl
from typing import TYPE_CHECKING

from harness.handshake import served_certificate
from harness.ports import free_port
from harness.process import BackgroundProcess, program
from harness.server import Server

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

CONFIGURATION = """\
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {directory}/client;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {sites}
}}
"""
SITE = """\
server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {fullchain};
    ssl_certificate_key {private_key};
    {more}
    return 204;
}}
"""


def nginx_process(directory: Path, sites: str) -> BackgroundProcess:
    """Configure nginx with these sites; return its process, which is not started yet.

    Args:
        directory: Takes its configuration, its log and its temporary files.
        sites: What stands in ``http``.
    """
    configuration = directory / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(directory=directory, sites=sites), "utf-8")
    # -e: nginx opens the compiled-in error log, which belongs to root, first.
    return BackgroundProcess(
        [program("nginx"), "-e", "stderr", "-c", str(configuration)], log=directory / "nginx.log"
    )


class Nginx(Server):
    """One gateway on loopback.

    Args:
        directory: Takes its configuration, its log and its temporary files.
        fullchain: The certificate and its chain, PEM; has to exist when it starts.
        private_key: Its key, PEM.
        port: A free one unless given.
        more: Further lines of its configuration.
    """

    def __init__(
        self,
        directory: Path,
        *,
        fullchain: Path,
        private_key: Path,
        port: int | None = None,
        more: str = "",
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.pid_file = directory / "nginx.pid"
        site = SITE.format(port=self.port, fullchain=fullchain, private_key=private_key, more=more)
        self.process = nginx_process(directory, site)

    @property
    def address(self) -> str:
        """``host:port``, as in the configuration's ``verify``."""
        return f"127.0.0.1:{self.port}"

    @property
    def reload_command(self) -> list[str]:
        """The command that reloads the certificate without losing a connection (SIGHUP)."""
        return ["/bin/sh", "-c", f'kill -HUP "$(cat {self.pid_file})"']

    def start(self) -> Self:
        """Start it and wait until it serves."""
        self.process.start()
        self.when_ready(self._is_ready, f"nginx at {self.address}")
        return self

    def reload(self) -> None:
        """Run ``reload_command``."""
        self.process.signal(signal.SIGHUP)

    def _is_ready(self) -> bool:
        try:
            return bool(served_certificate("127.0.0.1", self.port, "ready.invalid"))
        except ssl.SSLError:
            raise
        except OSError:
            return False
