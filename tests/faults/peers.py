"""The peers: certbot and lego, run as their manuals say, at the same authority and proxy.

They are commands that a timer starts, and no daemons. So ``issue`` is what an administrator runs
first, and ``renew`` is what the timer runs.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import psutil
from cryptography import x509
from tests.faults.scene import HOSTNAME

from harness.pebble import PROJECT
from harness.process import ENDS_WITH_PARENT, end_group, program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.faults.scene import Scene

CERTBOT = PROJECT / ".cache" / "peer" / "bin" / "certbot"
LEGO = PROJECT / ".cache" / "lego" / "lego"
TIMEOUT = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Run:
    """Result of a peer's command.

    Attributes:
        exit_code: Negative for a signal; None where it had to be killed because it did not end.
        megabytes: The most memory that it was seen to use.
    """

    exit_code: int | None
    output: str
    seconds: float
    megabytes: float

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0


class Peer(Protocol):
    """An ACME client that is run by a timer."""

    name: str

    def __init__(self, scene: Scene, *, directory: Path | None = None) -> None: ...

    directory: Path

    def command(self, *more: str, server: str = "", webroot: Path | None = None) -> Sequence[str]:
        """Return the command that issues the first certificate."""
        ...

    def renewal(self, *more: str, force: bool = False) -> Sequence[str]:
        """Return the command of a timer, or of an administrator who forces a renewal."""
        ...

    @property
    def environment(self) -> Mapping[str, str]:
        """Lets it trust the proxy."""
        ...

    @property
    def fullchain(self) -> Path: ...

    @property
    def private_key(self) -> Path: ...

    def hook(self, command: str) -> Sequence[str]:
        """Arguments that make it run a command after it has got a certificate."""
        ...


class Certbot:
    """certbot with its own web server."""

    name = "certbot"

    def __init__(self, scene: Scene, *, directory: Path | None = None) -> None:
        self._scene = scene
        self.directory = directory or scene.directory / "certbot"

    def command(self, *more: str, server: str = "", webroot: Path | None = None) -> Sequence[str]:
        how = (
            ["--webroot", "--webroot-path", str(webroot)]
            if webroot
            else [
                "--standalone",
                f"--http-01-port={self._scene.pebble.ports.http01}",
                "--http-01-address=127.0.0.1",
            ]
        )
        return [
            str(CERTBOT),
            "certonly",
            *how,
            "--agree-tos",
            "--no-eff-email",
            "--email=ops@example.com",
            f"--server={server or self._scene.proxy.directory_url}",
            "--key-type=ecdsa",
            f"--domain={HOSTNAME}",
            *self._everywhere,
            *more,
        ]

    def renewal(self, *more: str, force: bool = False) -> Sequence[str]:
        forced = ["--force-renewal"] if force else []
        return [
            str(CERTBOT),
            "renew",
            "--no-random-sleep-on-renew",
            *forced,
            *self._everywhere,
            *more,
        ]

    @property
    def _everywhere(self) -> list[str]:
        folders = [
            word
            for folder in ("config", "work", "logs")
            for word in (f"--{folder}-dir", str(self.directory / folder))
        ]
        return ["--non-interactive", *folders]

    @property
    def environment(self) -> Mapping[str, str]:
        return {"REQUESTS_CA_BUNDLE": str(self._scene.proxy.https_certificate)}

    @property
    def fullchain(self) -> Path:
        return self.directory / "config" / "live" / HOSTNAME / "fullchain.pem"

    @property
    def private_key(self) -> Path:
        return self.directory / "config" / "live" / HOSTNAME / "privkey.pem"

    def hook(self, command: str) -> Sequence[str]:
        return ["--deploy-hook", command]


class Lego:
    """lego with its own web server."""

    name = "lego"

    def __init__(self, scene: Scene, *, directory: Path | None = None) -> None:
        self._scene = scene
        self.directory = directory or scene.directory / "lego"
        self._server = ""

    def command(self, *more: str, server: str = "", webroot: Path | None = None) -> Sequence[str]:
        return [*self._everywhere(server, webroot), "run", *more]

    def renewal(self, *more: str, force: bool = False) -> Sequence[str]:
        forced = ["--days=36500", "--ari-disable"] if force else []
        more = tuple("--renew-hook" if word == "--run-hook" else word for word in more)
        return [*self._everywhere("", None), "renew", "--no-random-sleep", *forced, *more]

    def _everywhere(self, server: str, webroot: Path | None) -> list[str]:
        how = (
            f"--http.webroot={webroot}"
            if webroot
            else f"--http.port=127.0.0.1:{self._scene.pebble.ports.http01}"
        )
        return [
            str(LEGO),
            f"--server={server or self._scene.proxy.directory_url}",
            "--accept-tos",
            "--email=ops@example.com",
            f"--path={self.directory}",
            "--http",
            how,
            f"--domains={HOSTNAME}",
        ]

    @property
    def environment(self) -> Mapping[str, str]:
        return {"LEGO_CA_CERTIFICATES": str(self._scene.proxy.https_certificate)}

    @property
    def fullchain(self) -> Path:
        return self.directory / "certificates" / f"{HOSTNAME}.crt"

    @property
    def private_key(self) -> Path:
        return self.directory / "certificates" / f"{HOSTNAME}.key"

    def hook(self, command: str) -> Sequence[str]:
        return ["--run-hook", command]


PEERS: Mapping[str, type[Certbot | Lego]] = {"certbot": Certbot, "lego": Lego}


def run(
    peer: Peer,
    argv: Sequence[str],
    *,
    timeout: float = TIMEOUT,
    most_megabytes: float = 2000.0,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run a peer's command to its end or its timeout."""
    peer.directory.mkdir(parents=True, exist_ok=True)
    return watched(
        argv,
        peer.directory.with_suffix(".log"),
        timeout=timeout,
        most_megabytes=most_megabytes,
        environment={**peer.environment, **(environment or {})},
    )


def watched(
    argv: Sequence[str],
    log: Path,
    *,
    timeout: float = TIMEOUT,
    most_megabytes: float = 2000.0,
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run a command and watch how long it takes and how large it grows; killed where too much."""
    process = start(argv, log, environment=environment)
    started, peak, ended_by_itself = time.monotonic(), 0.0, True
    while process.poll() is None:
        with suppress(psutil.Error):
            peak = max(peak, psutil.Process(process.pid).memory_info().rss / 1e6)
        if time.monotonic() - started > timeout or peak > most_megabytes:
            ended_by_itself = False
            break
        time.sleep(0.02)
    seconds = time.monotonic() - started
    end_group(process)
    output = log.read_text("utf-8", "replace")
    return Run(process.returncode if ended_by_itself else None, output, seconds, peak)


def start(
    argv: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a command in a process group of its own; its output goes to a file."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [program("setpriv"), *ENDS_WITH_PARENT, *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )


def issue(peer: Peer, *more: str) -> Run:
    """Issue the first certificate, for a row that begins with one.

    Raises:
        RuntimeError: It could not, so nothing can be measured.
    """
    result = run(peer, peer.command(*more))
    if not result.succeeded:
        raise RuntimeError(f"{peer.name} cannot even issue a certificate:\n{result.output}")
    return result


def leaf(peer: Peer) -> x509.Certificate | None:
    """The certificate that a server would read; None while there is none."""
    try:
        return x509.load_pem_x509_certificates(peer.fullchain.read_bytes())[0]
    except FileNotFoundError:
        return None
