"""A gateway from its first start to its first renewal.

The CA (Pebble), the DNS server, the gateway (ocserv), the client (openconnect) and the daemon are
real. Certificates are valid for a few seconds, so that the renewal can be watched.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from harness.challenge_test_server import ChallengeTestServer
from harness.gatecert import Gatecert
from harness.handshake import HandshakeLoop, issuer, served_certificate
from harness.ocserv import Ocserv
from harness.openconnect import authenticate
from harness.pebble import Pebble, PebbleOptions

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from demo.progress import Progress, Step

HOSTNAME = "boston-njndubu.dynamic-m.com"
GATEWAY = "boston"
SOMEWHERE_ELSE = "203.0.113.66"  # RFC 5737: for documentation
LIFETIME = 20  # seconds; renewed at half of it


class Demonstration:
    """The steps, in their order.

    Args:
        progress: Prints the steps.
        servers: Stops the servers at its end.
        directory: For configuration, state and logs.
    """

    def __init__(self, progress: Progress, servers: ExitStack, directory: Path) -> None:
        self._progress = progress
        self._servers = servers
        self._directory = directory
        self.gatecert = Gatecert(directory / "gatecert")

    def run(self) -> None:
        """Go from an empty directory to a renewed certificate.

        Raises:
            StepFailedError: A step had the wrong result.
            AssertionError: A step took too long.
        """
        self._progress.chapter("First start")
        self._start_servers()
        self._start_daemon()
        self._start_gateway()
        self._client_refuses()

        self._progress.chapter("The name points elsewhere")
        self._nothing_is_ordered()

        self._progress.chapter("The dynamic-DNS name now points here")
        self._name_is_pointed_here()
        self._client_trusts("openconnect trusts the gateway and logs in")

        self._progress.chapter("Renewal, without anybody's help")
        self._renewal()
        self._client_trusts("openconnect still trusts the gateway")

        self._progress.chapter("The daemon stops")
        self._stop()

    # ------------------------------------------------------------------ steps

    def _start_servers(self) -> None:
        with self._progress.step("a test CA and a DNS server start") as step:
            self._names = self._servers.enter_context(ChallengeTestServer(self._directory))
            self._names.point(HOSTNAME, SOMEWHERE_ELSE)
            self._pebble = self._servers.enter_context(
                Pebble(
                    self._directory,
                    dns_server=self._names.address,
                    options=PebbleOptions(profiles={"seconds": LIFETIME}),
                )
            )
            step.tell(f"Pebble at {self._pebble.directory_url}, lifetime {LIFETIME} s")
            step.tell(f"{HOSTNAME} points at {SOMEWHERE_ELSE}, which is not this gateway")

    def _start_daemon(self) -> None:
        self._gateway = Ocserv(
            self._directory,
            **self.gatecert.files(GATEWAY),
        )
        self._servers.push(self._gateway.__exit__)
        self.gatecert.use(self._pebble, self._names).add_gateway(
            GATEWAY,
            HOSTNAME,
            install={
                "reload": self._gateway.reload_command,
                "verify": [self._gateway.address],
            },
        )
        with self._progress.step("gatecert starts and writes a bootstrap certificate") as step:
            self._servers.enter_context(self.gatecert)
            step.since(self.gatecert.process.started_at)
            self.gatecert.wait_bootstrapped(GATEWAY)
            certificate = self.gatecert.certificate(GATEWAY)
            step.require(certificate and not self.gatecert.is_enrolled(GATEWAY), "none found")

    def _start_gateway(self) -> None:
        with self._progress.step("ocserv, the gateway, starts and serves it") as step:
            self._gateway.start()
            self._require_live_is_served(step)
            step.tell(f"issuer: {issuer(self._served())}")

    def _client_refuses(self) -> None:
        with self._progress.step("openconnect refuses the gateway") as step:
            seen = authenticate(self._gateway, HOSTNAME, self._pebble.root)
            step.require(not seen.trusted, "it trusted a self-signed certificate")
            step.require(seen.refusal == "signer not found", seen.output)
            step.tell(f"openconnect: certificate failed verification, {seen.refusal}")

    def _nothing_is_ordered(self) -> None:
        with self._progress.step("gatecert reports the wrong address and places no order") as step:
            self.gatecert.wait_logged(SOMEWHERE_ELSE)
            time.sleep(1.5)  # longer than the interval between two look-ups
            step.require(self._pebble.orders() == 0, "an order was placed")
            status = self.gatecert.status(GATEWAY)
            step.tell(f"status: {status['state']}, {status['words']}")
            step.tell("orders at the CA: 0")

    def _name_is_pointed_here(self) -> None:
        before = self._fingerprint()
        with self._progress.step("enrolled, installed, reloaded, verified by a handshake") as step:
            self._names.point(HOSTNAME, "127.0.0.1")
            self.gatecert.wait_enrolled(GATEWAY)
            self.gatecert.wait_for(
                lambda: self._serves_another_than(before), "another certificate to be served"
            )
            self._require_live_is_served(step)
            self._require_trusted(step)
            step.tell(f"issuer: {issuer(self._served())}")

    def _client_trusts(self, title: str) -> None:
        with self._progress.step(title) as step:
            seen = authenticate(self._gateway, HOSTNAME, self._pebble.root)
            step.require(seen.trusted, seen.output)
            step.tell("openconnect: authenticated, session cookie received")

    def _renewal(self) -> None:
        before = self._fingerprint()
        with (
            self._progress.step("the certificate is renewed and served") as step,
            HandshakeLoop("127.0.0.1", self._gateway.port, HOSTNAME, interval=0.1) as loop,
        ):
            self.gatecert.wait_for(
                lambda: self._serves_another_than(before), "a renewal", seconds=LIFETIME
            )
            self._require_live_is_served(step)
            self._require_trusted(step)
            step.tell(f"handshakes meanwhile: {len(loop.handshakes)}, failed: {len(loop.failures)}")
            step.tell(f"issuer: {issuer(self._served())}")

    def _stop(self) -> None:
        with self._progress.step("gatecert stops; the gateway keeps serving") as step:
            exit_code = self.gatecert.process.stop()
            step.require(exit_code == 0, f"exit code {exit_code}")
            self._require_trusted(step)

    # ------------------------------------------------------------------ checks

    def _served(self) -> bytes:
        return served_certificate("127.0.0.1", self._gateway.port, HOSTNAME)

    def _fingerprint(self) -> str:
        return hashlib.sha256(self._served()).hexdigest()

    def _serves_another_than(self, before: str) -> bool:
        """Compare fingerprints; a handshake during the reload of ocserv may fail: try again."""
        try:
            return self._fingerprint() != before
        except OSError:
            return False

    def _require_live_is_served(self, step: Step) -> None:
        certificate = self.gatecert.certificate(GATEWAY)
        step.require(certificate, "there is no live certificate")
        if certificate is not None:
            live = certificate.public_bytes(serialization.Encoding.DER)
            step.require(self._served() == live, "the gateway serves something else than live/")

    def _require_trusted(self, step: Step) -> None:
        try:
            served_certificate("127.0.0.1", self._gateway.port, HOSTNAME, trusted=self._pebble.root)
        except OSError as error:
            step.require(condition=False, reason=f"a client would not trust it: {error}")
