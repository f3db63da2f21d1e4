"""What happens to a gateway between its first start and its first renewal.

Every part is real: the authority (Pebble), the DNS, the gateway (ocserv), the client (openconnect)
and the daemon. Certificates live for a few seconds only, so that a renewal can be watched.
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

    from demo.teller import Step, Teller

HOSTNAME = "boston-njndubu.dynamic-m.com"
GATEWAY = "boston"
SOMEWHERE_ELSE = "203.0.113.66"  # RFC 5737: nobody's
LIFETIME = 20  # seconds; renewed at half of it


class Story:
    """The scenes, in the order in which they are played.

    Args:
        teller: Who tells it.
        servers: Everything that was started ends with it.
        directory: Takes configuration, state and logs.
    """

    def __init__(self, teller: Teller, servers: ExitStack, directory: Path) -> None:
        self._teller = teller
        self._servers = servers
        self._directory = directory
        self.gatecert = Gatecert(directory / "gatecert")

    def play(self) -> None:
        """From an empty directory to a renewed certificate.

        Raises:
            StoryBrokenError: Something was not as it should be.
            AssertionError: Something did not happen in time.
        """
        self._teller.chapter("A gateway starts for the first time")
        self._start_surroundings()
        self._start_daemon()
        self._start_gateway()
        self._client_refuses()

        self._teller.chapter("Its name does not point here yet")
        self._nothing_is_ordered()

        self._teller.chapter("The dynamic-DNS name is pointed here")
        self._name_is_pointed_here()
        self._client_trusts("openconnect trusts the gateway and logs in")

        self._teller.chapter("Time passes, nobody does anything")
        self._renewal()
        self._client_trusts("openconnect still trusts the gateway")

        self._teller.chapter("The daemon is told to leave")
        self._leave()

    # ------------------------------------------------------------------ scenes

    def _start_surroundings(self) -> None:
        with self._teller.step("an authority and a DNS server are there") as step:
            self._names = self._servers.enter_context(ChallengeTestServer(self._directory))
            self._names.point(HOSTNAME, SOMEWHERE_ELSE)
            self._pebble = self._servers.enter_context(
                Pebble(
                    self._directory,
                    dns_server=self._names.address,
                    options=PebbleOptions(profiles={"seconds": LIFETIME}),
                )
            )
            step.tell(f"Pebble at {self._pebble.directory_url}, certificates last {LIFETIME} s")
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
        with self._teller.step("gatecert starts and writes a bootstrap certificate") as step:
            self._servers.enter_context(self.gatecert)
            step.since(self.gatecert.process.started_at)
            self.gatecert.wait_bootstrapped(GATEWAY)
            certificate = self.gatecert.certificate(GATEWAY)
            step.require(certificate and not self.gatecert.is_enrolled(GATEWAY), "it is missing")

    def _start_gateway(self) -> None:
        with self._teller.step("the gateway, ocserv, starts and serves it") as step:
            self._gateway.start()
            self._require_live_is_served(step)
            step.tell(f"issuer: {issuer(self._served())}")

    def _client_refuses(self) -> None:
        with self._teller.step("openconnect refuses the gateway") as step:
            seen = authenticate(self._gateway, HOSTNAME, self._pebble.root)
            step.require(not seen.trusted, "it should not have trusted a self-signed certificate")
            step.require(seen.refusal == "signer not found", seen.output)
            step.tell(f"openconnect: certificate failed verification, {seen.refusal}")

    def _nothing_is_ordered(self) -> None:
        with self._teller.step("gatecert sees where the name points, and orders nothing") as step:
            self.gatecert.wait_logged(SOMEWHERE_ELSE)
            time.sleep(1.5)  # longer than the interval at which it looks again
            step.require(self._pebble.orders() == 0, "an order was placed")
            status = self.gatecert.status(GATEWAY)
            step.tell(f"status: {status['state']}, {status['words']}")
            step.tell("orders at the authority: 0")

    def _name_is_pointed_here(self) -> None:
        before = self._fingerprint()
        with self._teller.step("enrolled, swapped, reloaded, and proven by a handshake") as step:
            self._names.point(HOSTNAME, "127.0.0.1")
            self.gatecert.wait_enrolled(GATEWAY)
            self.gatecert.wait_for(
                lambda: self._serves_another_than(before), "another certificate to be served"
            )
            self._require_live_is_served(step)
            self._require_trusted(step)
            step.tell(f"issuer: {issuer(self._served())}")

    def _client_trusts(self, title: str) -> None:
        with self._teller.step(title) as step:
            seen = authenticate(self._gateway, HOSTNAME, self._pebble.root)
            step.require(seen.trusted, seen.output)
            step.tell("openconnect: authenticated, session cookie received")

    def _renewal(self) -> None:
        before = self._fingerprint()
        with (
            self._teller.step("the certificate is renewed and served") as step,
            HandshakeLoop("127.0.0.1", self._gateway.port, HOSTNAME, interval=0.1) as loop,
        ):
            self.gatecert.wait_for(
                lambda: self._serves_another_than(before), "a renewal", seconds=LIFETIME
            )
            self._require_live_is_served(step)
            self._require_trusted(step)
            step.tell(f"handshakes meanwhile: {len(loop.handshakes)}, failed: {len(loop.failures)}")
            step.tell(f"issuer: {issuer(self._served())}")

    def _leave(self) -> None:
        with self._teller.step("it is gone, and the gateway goes on serving") as step:
            exit_code = self.gatecert.process.stop()
            step.require(exit_code == 0, f"it ended with {exit_code}")
            self._require_trusted(step)

    # ------------------------------------------------------------------ what is seen

    def _served(self) -> bytes:
        return served_certificate("127.0.0.1", self._gateway.port, HOSTNAME)

    def _fingerprint(self) -> str:
        return hashlib.sha256(self._served()).hexdigest()

    def _serves_another_than(self, before: str) -> bool:
        """Whether it does; a handshake that meets the reload of ocserv may fail and is repeated."""
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
