"""Other ACME clients, whose directories gatecert adopts: certbot, acme.sh, lego and Caddy."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from harness.pebble import PROJECT, Pebble
from harness.ports import free_port
from harness.process import BackgroundProcess
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


CACHE = PROJECT / ".cache"
TIMEOUT = 60.0  # seconds
MAIL = "ops@example.com"


class OtherClient(Protocol):
    """A client with a directory of its own.

    Attributes:
        name: As gatecert calls it.
    """

    name: ClassVar[str]

    @property
    def home(self) -> Path:
        """The directory to adopt."""
        ...

    def issue(self, *hostnames: str) -> None:
        """Issue one certificate for these names, the first of which names it."""
        ...

    def fullchain(self, hostname: str) -> Path:
        """Return the file that servers read."""
        ...

    def private_key(self, hostname: str) -> Path:
        """Return the key that servers read."""
        ...


def run(command: Sequence[object], environment: Mapping[str, str]) -> None:
    """Run a command of a client.

    Raises:
        AssertionError: It failed; shows its output.
    """
    finished = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        capture_output=True,
        timeout=TIMEOUT,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr


@dataclass(frozen=True, slots=True)
class Certbot:
    """certbot 5.

    Attributes:
        directory: For everything that it writes.
        pebble: The CA; certbot's own web server answers its challenges.
    """

    name: ClassVar[str] = "certbot"
    directory: Path
    pebble: Pebble

    @property
    def home(self) -> Path:
        return self.directory / "letsencrypt"

    def issue(self, *hostnames: str) -> None:
        self.certonly(
            *hostnames,
            options=(
                "--standalone",
                f"--http-01-port={self.pebble.ports.http01}",
                "--http-01-address=127.0.0.1",
            ),
        )

    def certonly(self, *hostnames: str, options: Sequence[str]) -> None:
        """Issue a certificate with these options."""
        run(
            [
                CACHE / "peer" / "bin" / "certbot",
                "certonly",
                "--non-interactive",
                "--agree-tos",
                "--no-eff-email",
                f"--email={MAIL}",
                f"--server={self.pebble.directory_url}",
                *(f"--domain={name}" for name in hostnames),
                *("--config-dir", self.home, "--work-dir", self.directory / "work"),
                *("--logs-dir", self.directory / "logs"),
                *options,
            ],
            {"REQUESTS_CA_BUNDLE": str(self.pebble.https_certificate)},
        )

    def fullchain(self, hostname: str) -> Path:
        return self.home / "live" / hostname / "fullchain.pem"

    def private_key(self, hostname: str) -> Path:
        return self.home / "live" / hostname / "privkey.pem"


@dataclass(frozen=True, slots=True)
class AcmeSh:
    """acme.sh 3, with its own web server.

    Attributes:
        directory: For everything that it writes.
        pebble: The CA.
    """

    name: ClassVar[str] = "acme.sh"
    directory: Path
    pebble: Pebble

    @property
    def home(self) -> Path:
        return self.directory / ".acme.sh"

    def issue(self, *hostnames: str) -> None:
        # Debian 12 has no socat, which its web server needs: the webroot is that of Python's.
        webroot = self.directory / "webroot"
        webroot.mkdir(parents=True, exist_ok=True)
        server = BackgroundProcess(
            [
                "/usr/bin/python3",
                *("-m", "http.server", "--bind", "127.0.0.1", "--directory", str(webroot)),
                str(self.pebble.ports.http01),
            ],
            log=self.directory / "webroot.log",
        )
        with server:
            time.sleep(0.5)
            self.run("--register-account", "-m", MAIL)
            names = [word for name in hostnames for word in ("-d", name)]
            self.run("--issue", *names, "--webroot", str(webroot), "--keylength", "ec-256")

    def run(self, *options: object) -> None:
        """Run a command of acme.sh."""
        self.home.mkdir(parents=True, exist_ok=True)
        run(
            [
                *("bash", CACHE / "acme.sh" / "acme.sh", "--home", self.home),
                *("--server", self.pebble.directory_url),
                *("--ca-bundle", self.pebble.https_certificate),
                *options,
            ],
            {"HOME": str(self.directory)},
        )

    def fullchain(self, hostname: str) -> Path:
        return self.home / f"{hostname}_ecc" / "fullchain.cer"

    def private_key(self, hostname: str) -> Path:
        return self.home / f"{hostname}_ecc" / f"{hostname}.key"


@dataclass(frozen=True, slots=True)
class Lego:
    """lego 4, with its own web server.

    Attributes:
        directory: For everything that it writes.
        pebble: The CA.
    """

    name: ClassVar[str] = "lego"
    directory: Path
    pebble: Pebble

    @property
    def home(self) -> Path:
        return self.directory / ".lego"

    def issue(self, *hostnames: str) -> None:
        run(
            [
                CACHE / "lego" / "lego",
                f"--server={self.pebble.directory_url}",
                "--accept-tos",
                f"--email={MAIL}",
                f"--path={self.home}",
                "--http",
                f"--http.port=127.0.0.1:{self.pebble.ports.http01}",
                *(f"--domains={name}" for name in hostnames),
                "run",
            ],
            {"LEGO_CA_CERTIFICATES": str(self.pebble.https_certificate)},
        )

    def fullchain(self, hostname: str) -> Path:
        return self.home / "certificates" / f"{hostname}.crt"

    def private_key(self, hostname: str) -> Path:
        return self.home / "certificates" / f"{hostname}.key"


@dataclass(frozen=True, slots=True)
class CaddyServer:
    """Caddy 2, which obtains certificates as a web server and is stopped then.

    Attributes:
        directory: For everything that it writes.
        pebble: The CA.
    """

    name: ClassVar[str] = "Caddy"
    directory: Path
    pebble: Pebble

    @property
    def home(self) -> Path:
        return self.directory / "data"

    def issue(self, *hostnames: str) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        configuration = self.directory / "caddy.json"
        configuration.write_text(json.dumps(self._settings(hostnames)), "utf-8")
        homes = ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
        process = BackgroundProcess(
            [str(CACHE / "caddy" / "caddy"), "run", "--config", str(configuration)],
            log=self.directory / "caddy.log",
            environment={name: str(self.directory) for name in homes},
        )
        with process:
            wait_until(
                lambda: all(self._record(name).is_file() for name in hostnames),
                "the certificates of Caddy",
                seconds=30,
                explain=process.tail,
            )

    def fullchain(self, hostname: str) -> Path:
        return self._record(hostname).with_suffix(".crt")

    def private_key(self, hostname: str) -> Path:
        return self._record(hostname).with_suffix(".key")

    def _record(self, hostname: str) -> Path:
        """Return the file that Caddy writes last."""
        authority = f"127.0.0.1-{self.pebble.ports.acme}-dir"
        return self.home / "certificates" / authority / hostname / f"{hostname}.json"

    def _settings(self, hostnames: Sequence[str]) -> dict[str, object]:
        issuer = {
            "module": "acme",
            "ca": self.pebble.directory_url,
            "email": MAIL,
            "trusted_roots_pem_files": [str(self.pebble.https_certificate)],
            "challenges": {
                "http": {"alternate_port": self.pebble.ports.http01},
                "tls-alpn": {"disabled": True},
                "bind_host": "127.0.0.1",
            },
        }
        port = free_port()
        server = {
            "listen": [f"127.0.0.1:{port}"],
            "automatic_https": {"disable_redirects": True},
            "routes": [{"match": [{"host": list(hostnames)}]}],
        }
        return {
            "admin": {"disabled": True, "config": {"persist": False}},
            "storage": {"module": "file_system", "root": str(self.home)},
            "apps": {
                "http": {
                    "http_port": self.pebble.ports.http01,
                    "https_port": port,
                    "servers": {"gateway": server},
                },
                "tls": {"automation": {"policies": [{"issuers": [issuer]}]}},
            },
        }
