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
    """The address of a gateway."""

    @property
    def port(self) -> int: ...
    @property
    def credentials(self) -> Credentials: ...


@dataclass(frozen=True, slots=True)
class Authentication:
    """Result of a log-in.

    Attributes:
        exit_code: 0 if the user would be connected.
        cookie: The session's cookie, empty if the client stopped before.
        output: Its output without the cookie.
    """

    exit_code: int
    cookie: str
    output: str

    @property
    def trusted(self) -> bool:
        """True if it accepted the certificate and logged in."""
        return self.exit_code == 0 and bool(self.cookie)

    @property
    def asked_for_password(self) -> bool:
        """True if the gateway asked for the password."""
        return "enter your password" in self.output

    @property
    def refusal(self) -> str:
        """The client's reason for refusing the certificate; empty otherwise."""
        for line in self.output.splitlines():
            _, found, reason = line.partition("Reason: ")
            if found:
                return reason.strip()
        return ""


def authenticate(
    gateway: Door, name: str, root: Path, *options: str, server: str = ""
) -> Authentication:
    """Log in at a gateway as a user who trusts one root only.

    Args:
        gateway: The gateway to connect to, without a DNS query for the name.
        name: The host name that the user types.
        root: PEM; the system's own roots are not trusted.
        options: Further ones: the user's certificate, a profile.
        server: Used instead of the URL.
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
