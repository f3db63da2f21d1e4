"""certbot with the same CA."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.usage import Usage, used_by
from harness.pebble import PROJECT, Pebble

CERTBOT = PROJECT / ".cache" / "peer" / "bin" / "certbot"
TIMEOUT = 60.0  # seconds


def certbot_version() -> str:
    """Return the version of certbot."""
    finished = subprocess.run(
        [CERTBOT, "--version"], text=True, check=True, capture_output=True, timeout=TIMEOUT
    )
    return finished.stdout.split()[-1]


@dataclass(frozen=True, slots=True)
class Certbot:
    """certbot with directories of its own.

    Attributes:
        directory: For everything that it writes.
        pebble: The CA; certbot's own web server answers its challenges.
    """

    directory: Path
    pebble: Pebble

    def certonly(self, hostname: str) -> Usage:
        """Issue a certificate.

        Raises:
            RuntimeError: That failed.
        """
        return self._run(
            "certonly",
            "--standalone",
            "--agree-tos",
            "--no-eff-email",
            f"--email=ops@{hostname}",
            f"--server={self.pebble.directory_url}",
            f"--http-01-port={self.pebble.ports.http01}",
            "--http-01-address=127.0.0.1",
            "--key-type=ecdsa",
            f"--domain={hostname}",
        )

    def certificates(self) -> Usage:
        """List the certificates.

        Raises:
            RuntimeError: That failed.
        """
        return self._run("certificates")

    def _run(self, command: str, *options: str) -> Usage:
        folders = [
            word
            for folder in ("config", "work", "logs")
            for word in (f"--{folder}-dir", str(self.directory / folder))
        ]
        trusted = {"REQUESTS_CA_BUNDLE": str(self.pebble.https_certificate)}
        usage = used_by([str(CERTBOT), command, "--non-interactive", *options, *folders], trusted)
        if usage.exit_code:
            raise RuntimeError(f"certbot {command} failed:\n{usage.output}")
        return usage
