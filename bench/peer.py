"""Measurements of certbot with the same CA in the same run."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING

from harness.pebble import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.pebble import Pebble

CERTBOT = PROJECT / ".cache" / "peer" / "bin" / "certbot"
TIMEOUT = 120.0  # seconds


def certbot_version() -> str:
    """Return the version of certbot."""
    finished = subprocess.run(
        [CERTBOT, "--version"], text=True, check=True, capture_output=True, timeout=TIMEOUT
    )
    return finished.stdout.split()[-1]


def certbot(
    directory: Path, pebble: Pebble, names: ChallengeTestServer, hostnames: list[str]
) -> list[float]:
    """Issue one certificate after the other with certbot's own web server.

    Returns:
        Seconds from start to end of each process, without the first run, which creates the
        account.
    """
    seconds: list[float] = []
    for hostname in hostnames:
        names.point(hostname, "127.0.0.1")
        started = time.monotonic()
        _certonly(directory, pebble, hostname)
        seconds.append(time.monotonic() - started)
    return seconds[1:]


def _certonly(directory: Path, pebble: Pebble, hostname: str) -> None:
    folders = [
        word
        for folder in ("config", "work", "logs")
        for word in (f"--{folder}-dir", str(directory / folder))
    ]
    finished = subprocess.run(
        [
            CERTBOT,
            "certonly",
            "--standalone",
            "--non-interactive",
            "--agree-tos",
            "--no-eff-email",
            f"--email=ops@{hostname}",
            f"--server={pebble.directory_url}",
            f"--http-01-port={pebble.ports.http01}",
            "--http-01-address=127.0.0.1",
            "--key-type=ecdsa",
            f"--domain={hostname}",
            *folders,
        ],
        env={**os.environ, "REQUESTS_CA_BUNDLE": str(pebble.https_certificate)},
        text=True,
        check=False,
        capture_output=True,
        timeout=TIMEOUT,
    )
    if finished.returncode != 0:
        raise RuntimeError(f"certbot failed:\n{finished.stderr}")
