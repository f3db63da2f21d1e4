"""tls-alpn-01: the authority makes a TLS handshake on port 443 (RFC 8737).

One responder serves all gateways that validate at the same time. It listens from the first
presented response until the last one is removed. It answers from the token store, so the daemon and
a command can listen at the same time and answer for each other.

A handshake contains the name, but not the order. A name is therefore validated for one order at a
time; a second one is refused before its authority is told of the challenge.
"""

from __future__ import annotations

import logging
import secrets
import socket
import ssl
import threading
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography import x509

from gatecert.challenge.acme_identifier import (
    ValidationCertificate,
    identifier_from_server_name,
    make_validation_certificate,
    matches_key_authorization,
    server_name,
)
from gatecert.challenge.listening import PROBE_SECONDS, connect_address, is_local_address, listen
from gatecert.challenge.other_hosts import wait_for_hosts
from gatecert.challenge.solver import Challenge
from gatecert.errors import ChallengeError, StateError
from gatecert.model import Identifier, IdentifierType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.challenge.bounded_server import BoundedServer
    from gatecert.challenge.listening import ListenPlace
    from gatecert.deadline import Deadline
    from gatecert.model import Endpoint
    from gatecert.store.protocol import TokenStore

logger = logging.getLogger(__name__)

KIND = "tls-alpn-01"


@dataclass(frozen=True, slots=True)
class _Presented:
    """A presented response.

    Attributes:
        fetched: Set once the authority has received it.
    """

    token: str
    answer: ValidationCertificate
    fetched: threading.Event = field(default_factory=threading.Event)


class TlsAlpn01Solver:
    """Presents tls-alpn-01 responses; safe to use from several threads.

    Args:
        settings: The addresses to listen on.
        tokens: Keeps responses while they are presented.
    """

    def __init__(self, settings: ListenPlace, tokens: TokenStore) -> None:
        self._settings = settings
        self._tokens = tokens
        self._lock = threading.Lock()
        self._presented: dict[str, _Presented] = {}  # by server name
        self._responder: BoundedServer | None = None

    def present(self, challenge: Challenge) -> None:
        """Make the response available.

        Raises:
            AddressInUseError: Another program listens on the port.
            ChallengeError: The port cannot be opened, or the name is already being validated.
            StorageError: The response cannot be stored.
        """
        name = server_name(challenge.identifier)
        with self._lock:
            self._refuse_second(name, challenge)
            answer = _make_answer(challenge)
            self._tokens.put_token(KIND, token_key(name), challenge.key_authorization)
            self._presented[name] = _Presented(challenge.token, answer)
            try:
                if self._responder is None:
                    self._responder = self._open(challenge)
            except BaseException:
                self._forget(name)
                raise

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        """Return once all hosts of the cluster answer; a host of its own does at once."""
        token = token_key(server_name(challenge.identifier))
        wait_for_hosts(self._tokens, challenge, token, deadline)

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        """Wait at most ``seconds`` for the authority's handshake.

        Returns False if another gatecert on the same port answers.
        """
        presented = self._presented.get(server_name(challenge.identifier))
        return presented.fetched.wait(seconds) if presented is not None else False

    def clean_up(self, challenge: Challenge) -> None:
        """Remove the response, and stop listening after the last one."""
        name = server_name(challenge.identifier)
        with self._lock:
            presented = self._presented.get(name)
            if presented is None or presented.token != challenge.token:
                return
            self._forget(name)
            if self._presented or self._responder is None:
                return
            responder, self._responder = self._responder, None
            responder.stop()

    def remove_leftovers(self) -> None:
        """Remove responses left by crashed processes."""
        try:
            for token in self._tokens.abandoned_tokens(KIND):
                self._tokens.remove_token(KIND, token)
        except StateError as error:
            logger.warning("cannot remove the responses of crashed processes: %s", error)

    def self_test(self, names: Sequence[str] = ()) -> tuple[str, ...]:
        """Present a test response for an invalid name and fetch it from the listeners.

        Raises:
            AddressInUseError: Another program listens on the port.
            ChallengeError: The port cannot be opened.
            StorageError: The response cannot be stored.
        """
        token = secrets.token_hex(16)
        identifier = Identifier(IdentifierType.DNS, f"{token}.invalid")
        challenge = Challenge(KIND, identifier, token, f"{token}.try")
        self.present(challenge)
        try:
            return tuple(
                f"the test response is not served at {endpoint}"
                for endpoint in (self._settings.listen if names else ())
                if is_local_address(endpoint) and not serves_challenge(endpoint, challenge)
            )
        finally:
            self.clean_up(challenge)

    def _refuse_second(self, name: str, challenge: Challenge) -> None:
        presented = self._presented.get(name)
        if presented is not None and presented.token != challenge.token:
            raise ChallengeError(
                f"{challenge.identifier} is being validated by tls-alpn-01 for another gateway; "
                "the next attempt validates it for this one",
                fix="configure the name in one gateway only",
            )

    def _open(self, challenge: Challenge) -> BoundedServer:
        from gatecert.challenge.tls_responder import tls_responder  # noqa: PLC0415 - OpenSSL loads late

        def is_ours(endpoint: Endpoint) -> bool:
            return serves_challenge(endpoint, challenge)

        listeners = listen(self._settings.listen, is_ours, kind=KIND)
        return tls_responder(listeners, self._find, self._fetched)

    def _find(self, name: str) -> ValidationCertificate | None:
        """Return the validation certificate for a server name, of this or another gatecert."""
        presented = self._presented.get(name)
        if presented is not None:
            return presented.answer
        key_authorization = self._tokens.token(KIND, token_key(name))
        if key_authorization is None:
            return None
        return make_validation_certificate(
            identifier_from_server_name(name), key_authorization, now=datetime.now(UTC)
        )

    def _fetched(self, name: str) -> None:
        presented = self._presented.get(name)
        if presented is not None:
            presented.fetched.set()

    def _forget(self, name: str) -> None:
        del self._presented[name]
        try:
            self._tokens.remove_token(KIND, token_key(name))
        except StateError as error:
            logger.warning("cannot remove a token name=%s %s", name, error)


def token_key(name: str) -> str:
    """Return the key of a server name in the token store.

    It is a hash, because names can be longer than tokens and contain other characters.
    """
    return urlsafe_b64encode(sha256(name.encode()).digest()).decode().rstrip("=")


def serves_challenge(endpoint: Endpoint, challenge: Challenge) -> bool:
    """Check if the listener at an endpoint answers a challenge."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["acme-tls/1"])
    name = server_name(challenge.identifier)
    try:
        with (
            socket.create_connection(connect_address(endpoint), PROBE_SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=name) as secured,
        ):
            served = secured.getpeercert(binary_form=True)
        certificate = x509.load_der_x509_certificate(served or b"")
    except (OSError, ValueError):
        return False
    return matches_key_authorization(certificate, challenge.key_authorization)


def _make_answer(challenge: Challenge) -> ValidationCertificate:
    try:
        now = datetime.now(UTC)
        return make_validation_certificate(
            challenge.identifier, challenge.key_authorization, now=now
        )
    except ValueError as error:
        raise ChallengeError(
            f"a certificate cannot contain {challenge.identifier}: tls-alpn-01 is impossible",
            fix="use another challenge",
        ) from error
