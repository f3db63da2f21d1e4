"""Pebble, the ACME CA for tests.

Its root, accounts and orders are in memory only: every start is a new CA. Its log
records all requests, so a test can check that there were none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from harness.certificates import write_self_signed
from harness.ports import free_port
from harness.process import BackgroundProcess
from harness.server import Server

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Self

PROJECT = Path(__file__).resolve().parents[3]
BINARIES = PROJECT / ".cache" / "pebble"
CONFIGURATION = PROJECT / "pebble" / "config.json"

HTTP_TIMEOUT = 5.0  # seconds
ACCOUNT_ADDED = re.compile(r"There are now \d+ accounts in memory")
ORDER_PLACED = re.compile(r'Added order "')
VALIDATED = re.compile(r"authz \S+ set VALID")
CERTIFICATE_ISSUED = re.compile(r"Issued certificate serial (\w+)")
REQUEST = re.compile(r"(GET|HEAD|POST) (\S+) -> calling handler")


def binary(name: str) -> str:
    """Return the path of one of Pebble's programs.

    Raises:
        RuntimeError: It was not fetched; the message says what to run.
    """
    path = BINARIES / name
    if not path.is_file():
        raise RuntimeError(f"{path} is missing: run `make setup` (or pebble/fetch)")
    return str(path)


@dataclass(frozen=True, slots=True)
class PebbleOptions:
    """Options of the CA.

    Attributes:
        profiles: Validity in seconds by profile name. If an order names none, Pebble picks one
            at random, so there is one only unless a test asks for more.
        slowest_validation: Upper bound of a random sleep before each validation, whole seconds;
            None switches the sleep off.
        rejected_nonces: Percentage of good nonces that are refused.
        reused_authorizations: Percentage of valid authorizations that a new order gets again.
        chain_length: Number of intermediates.
        alternate_roots: Number of further chains that are offered.
        retry_after: Seconds that authorizations and orders ask to wait between polls; 0 asks for
            nothing.
        common_name: Whether certificates have one, as Let's Encrypt's profile "classic" has it.
        external_accounts: HMAC keys (base64url) by key identifier; not empty makes binding
            compulsory (RFC 8555 section 7.3.4).
        blocked: Domains for which nothing is issued.
    """

    profiles: Mapping[str, int] = field(default_factory=lambda: {"default": 90 * 86_400})
    slowest_validation: int | None = None
    rejected_nonces: int = 5
    reused_authorizations: int = 50
    chain_length: int = 1
    alternate_roots: int = 0
    retry_after: int = 0
    common_name: bool = False
    external_accounts: Mapping[str, str] = field(default_factory=dict)
    blocked: Sequence[str] = ()

    @property
    def environment(self) -> dict[str, str]:
        """Return Pebble's environment variables."""
        sleep = (
            {"PEBBLE_VA_NOSLEEP": "1"}
            if self.slowest_validation is None
            else {"PEBBLE_VA_SLEEPTIME": str(self.slowest_validation)}
        )
        return sleep | {
            "PEBBLE_WFE_NONCEREJECT": str(self.rejected_nonces),
            "PEBBLE_AUTHZREUSE": str(self.reused_authorizations),
            "PEBBLE_CHAIN_LENGTH": str(self.chain_length),
            "PEBBLE_ALTERNATE_ROOTS": str(self.alternate_roots),
        }


@dataclass(frozen=True, slots=True)
class PebblePorts:
    """The ports on which Pebble listens, and to which it connects for validation."""

    acme: int = field(default_factory=free_port)
    management: int = field(default_factory=free_port)
    http01: int = field(default_factory=free_port)
    tls_alpn01: int = field(default_factory=free_port)


class Pebble(Server):
    """A CA on loopback.

    Args:
        directory: For its configuration, HTTPS certificate, root and log.
        dns_server: ``host:port`` of the resolver that validations use.
        options: Its options.
        ports: Free ones unless given.

    Attributes:
        https_certificate: The certificate that clients must trust for its HTTPS.
        root: The root that issued chains end in; another one after every start.
    """

    def __init__(
        self,
        directory: Path,
        *,
        dns_server: str,
        options: PebbleOptions | None = None,
        ports: PebblePorts | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.options = options or PebbleOptions()
        self.ports = ports or PebblePorts()
        self.https_certificate = directory / "certificate.pem"
        self.root = directory / "root.pem"
        self._private_key = directory / "privkey.pem"
        self._configuration = directory / "config.json"
        self.process = BackgroundProcess(
            [
                binary("pebble"),
                "-strict",
                "-dnsserver",
                dns_server,
                "-config",
                str(self._configuration),
            ],
            log=directory / "pebble.log",
            environment=self.options.environment,
        )

    @property
    def base_url(self) -> str:
        """Its address."""
        return f"https://127.0.0.1:{self.ports.acme}"

    @property
    def directory_url(self) -> str:
        """The URL of the ACME directory."""
        return f"{self.base_url}/dir"

    def start(self) -> Self:
        """Start it and wait until it answers; ``root`` is then the new root."""
        if not self.https_certificate.exists():
            write_self_signed(
                self.https_certificate, self._private_key, ["127.0.0.1", "localhost"], days=3650
            )
        self._configuration.write_text(json.dumps(self._settings(), indent=2), "utf-8")
        self.process.start()
        # Port, then management port: Pebble opens them in no particular order.
        self._fetch(self.directory_url)
        self.root.write_bytes(self._fetch(self._management_url("roots/0")))
        return self

    def stop(self) -> None:
        """Stop it; its state is lost."""
        self.process.kill()

    def restart(self) -> None:
        """Become a new CA at the same address: no account, no order, another root."""
        self.stop()
        self.start()

    def set_renewal_window(
        self, certificate: str, start: datetime, end: datetime, *, explanation_url: str = ""
    ) -> None:
        """Override the renewal information of a certificate (RFC 9773).

        Args:
            certificate: The leaf, PEM.
            start: Aware.
            end: Aware.
            explanation_url: Left out when empty.
        """
        answer: dict[str, Any] = {
            "suggestedWindow": {"start": start.isoformat(), "end": end.isoformat()}
        }
        if explanation_url:
            answer["explanationURL"] = explanation_url
        response = requests.post(
            self._management_url("set-renewal-info/"),
            json={"Certificate": certificate, "ARIResponse": json.dumps(answer)},
            verify=str(self.https_certificate),
            timeout=HTTP_TIMEOUT,
        )
        response.raise_for_status()

    def root_certificate(self, number: int) -> bytes:
        """Return the root of one of its chains (PEM); alternates count from 1."""
        return self._fetch(self._management_url(f"roots/{number}"))

    def certificate_status(self, serial_number: int) -> str:
        """Return ``Valid`` or the revocation status."""
        response = requests.get(
            self._management_url(f"cert-status-by-serial/{serial_number:x}"),
            verify=str(self.https_certificate),
            timeout=HTTP_TIMEOUT,
        )
        response.raise_for_status()
        return str(response.json()["Status"])

    def requests(self) -> list[str]:
        """Return every ACME request so far, over all starts, as ``METHOD /path``."""
        management = ("/roots/", "/cert-status-by-serial/", "/set-renewal-info/")
        found = [(match[1], match[2]) for match in REQUEST.finditer(self.process.output)]
        return [f"{method} {path}" for method, path in found if not path.startswith(management)]

    def accounts(self) -> int:
        """Count the registered accounts over all starts, without refused requests."""
        return len(ACCOUNT_ADDED.findall(self.process.output))

    def orders(self) -> int:
        """Count the orders over all starts, without refused requests."""
        return len(ORDER_PLACED.findall(self.process.output))

    def validations(self) -> int:
        """Count the successful validations over all starts."""
        return len(VALIDATED.findall(self.process.output))

    def certificates(self) -> int:
        """Count the issued certificates over all starts."""
        return len(CERTIFICATE_ISSUED.findall(self.process.output))

    def _management_url(self, path: str) -> str:
        return f"https://127.0.0.1:{self.ports.management}/{path}"

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = json.loads(CONFIGURATION.read_text("utf-8"))
        settings["pebble"] |= {
            "listenAddress": f"127.0.0.1:{self.ports.acme}",
            "managementListenAddress": f"127.0.0.1:{self.ports.management}",
            "certificate": str(self.https_certificate),
            "privateKey": str(self._private_key),
            "httpPort": self.ports.http01,
            "tlsPort": self.ports.tls_alpn01,
            "retryAfter": {"authz": self.options.retry_after, "order": self.options.retry_after},
            "externalAccountBindingRequired": bool(self.options.external_accounts),
            "externalAccountMACKeys": dict(self.options.external_accounts),
            "domainBlocklist": list(self.options.blocked),
            "profiles": {
                name: {
                    "description": f"{seconds} seconds",
                    "validityPeriod": seconds,
                    "promoteCommonName": self.options.common_name,
                }
                for name, seconds in self.options.profiles.items()
            },
        }
        return settings

    def _fetch(self, url: str) -> bytes:
        def attempt() -> bytes | None:
            try:
                response = requests.get(
                    url, verify=str(self.https_certificate), timeout=HTTP_TIMEOUT
                )
            except requests.ConnectionError:
                return None
            return response.content if response.ok else None

        return self.when_ready(attempt, f"Pebble at {url}")
