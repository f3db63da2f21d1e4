"""openconnect, the open AnyConnect client, as the user."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.process import program

if TYPE_CHECKING:
    from pathlib import Path

    from harness.ocserv import Credentials

TIMEOUT = 20.0  # seconds


class Door(Protocol):
    """Where a user knocks."""

    @property
    def port(self) -> int: ...
    @property
    def credentials(self) -> Credentials: ...


@dataclass(frozen=True, slots=True)
class Authentication:
    """What the client made of the gateway.

    Attributes:
        exit_code: 0 when the user would be connected now.
        cookie: The session's cookie, empty where the client gave up before.
        output: Everything it printed but the cookie.
    """

    exit_code: int
    cookie: str
    output: str

    @property
    def trusted(self) -> bool:
        """Whether it accepted the certificate and logged in."""
        return self.exit_code == 0 and bool(self.cookie)

    @property
    def asked_for_password(self) -> bool:
        """Whether the gateway let it come as far as the password."""
        return "enter your password" in self.output

    @property
    def refusal(self) -> str:
        """Why it did not accept the certificate, in its own words; empty otherwise."""
        for line in self.output.splitlines():
            _, found, reason = line.partition("Reason: ")
            if found:
                return reason.strip()
        return ""


def authenticate(
    gateway: Door, name: str, root: Path, *options: str, server: str = ""
) -> Authentication:
    """Log in at a gateway as a user would, trusting one root only.

    Args:
        gateway: Where to connect; the name is resolved to it without any DNS.
        name: The host name that the user types.
        root: PEM; the system's own roots are not trusted.
        options: Further ones: the user's certificate, a profile.
        server: What the user types instead of the URL.
    """
    finished = subprocess.run(
        [
            program("openconnect"),
            "--protocol=anyconnect",
            "--authenticate",
            "--non-inter",
            "--passwd-on-stdin",
            "--no-system-trust",
            "--no-dtls",
            f"--cafile={root}",
            f"--user={gateway.credentials.user}",
            f"--resolve={name}:127.0.0.1",
            *options,
            server or f"https://{name}:{gateway.port}",
        ],
        input=f"{gateway.credentials.password}\n",
        text=True,
        errors="replace",
        check=False,
        capture_output=True,
        timeout=TIMEOUT,
    )
    lines = finished.stdout.splitlines()
    cookies = [
        line.removeprefix("COOKIE=").strip("'\"") for line in lines if line.startswith("COOKIE=")
    ]
    rest = [line for line in lines if not line.startswith("COOKIE=")]
    return Authentication(
        exit_code=finished.returncode,
        cookie=cookies[0] if cookies else "",
        output="\n".join([*finished.stderr.splitlines(), *rest]),
    )
