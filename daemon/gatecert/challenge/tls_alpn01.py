"""tls-alpn-01: the authority makes a TLS handshake on port 443 (RFC 8737).

One responder serves all gateways that validate at the same time; it listens from the first response
that is presented to the last one that is taken away. It answers from the token store, so a command
beside the running daemon may listen too, and each answers for the other.

A handshake tells the name that is validated, but not for which order. So one name is validated for
one order at a time, and a second one is put off before its authority has been told anything.
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
from gatecert.challenge.solver import Challenge
from gatecert.errors import ChallengeError, StateError
from gatecert.model import Identifier, IdentifierType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.challenge.tls_responder import TlsResponder
    from gatecert.config.schema.challenge import TlsAlpn01Settings
    from gatecert.deadline import Deadline
    from gatecert.model import Endpoint
    from gatecert.store.protocol import TokenStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Presented:
    """A response that is presented.

    Attributes:
        fetched: Set once an authority has seen it.
    """

    token: str
    key_authorization: str = field(repr=False)
    answer: ValidationCertificate
    fetched: threading.Event = field(default_factory=threading.Event)


class TlsAlpn01Solver:
    """Presents tls-alpn-01 responses; safe to use from several threads.

    Args:
        settings: Where to listen.
        tokens: Where responses are kept while they are presented.
    """

    def __init__(self, settings: TlsAlpn01Settings, tokens: TokenStore) -> None:
        self._settings = settings
        self._tokens = tokens
        self._lock = threading.Lock()
        self._presented: dict[str, _Presented] = {}  # by server name
        self._responder: TlsResponder | None = None

    def present(self, challenge: Challenge) -> None:
        """Make the response available; it is once this returns.

        Raises:
            AddressInUseError: A stranger listens on the port.
            ChallengeError: Listening is not possible, or the name is being validated already.
            StorageError: The response cannot be kept.
        """
        name = server_name(challenge.identifier)
        with self._lock:
            self._refuse_second(name, challenge)
            answer = _make_answer(challenge)
            self._tokens.put_token(token_key(name), challenge.key_authorization)
            self._presented[name] = _Presented(challenge.token, challenge.key_authorization, answer)
            try:
                if self._responder is None:
                    self._responder = self._open(challenge)
            except BaseException:
                self._forget(name)
                raise

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        """Nothing to wait for: what listens is visible."""

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        """Wait at most ``seconds`` for the authority to make its handshake.

        Another gatecert on the same port may be asked instead; then it stays False.
        """
        presented = self._presented.get(server_name(challenge.identifier))
        return presented.fetched.wait(seconds) if presented is not None else False

    def clean_up(self, challenge: Challenge) -> None:
        """Take the response away, and stop listening after the last one."""
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

    def self_test(self, names: Sequence[str] = ()) -> tuple[str, ...]:
        """Present a response for a name that nobody has, and look at it where we listen.

        Raises:
            AddressInUseError: A stranger listens on the port.
            ChallengeError: Listening is not possible.
            StorageError: The response cannot be kept.
        """
        token = secrets.token_hex(16)
        nobody = Identifier(IdentifierType.DNS, f"{token}.invalid")
        challenge = Challenge("tls-alpn-01", nobody, token, f"{token}.try")
        self.present(challenge)
        try:
            return tuple(
                f"a response of our own is not shown at {endpoint}"
                for endpoint in (self._settings.listen if names else ())
                if is_local_address(endpoint) and not serves_challenge(endpoint, challenge)
            )
        finally:
            self.clean_up(challenge)

    def _refuse_second(self, name: str, challenge: Challenge) -> None:
        presented = self._presented.get(name)
        if presented is not None and presented.token != challenge.token:
            raise ChallengeError(
                f"{challenge.identifier} is being validated by tls-alpn-01 for another gateway at "
                "this moment; it is its turn at the next attempt",
                fix="name it in one gateway only",
            )

    def _open(self, challenge: Challenge) -> TlsResponder:
        from gatecert.challenge.tls_responder import TlsResponder  # noqa: PLC0415 - OpenSSL loads late

        def is_ours(endpoint: Endpoint) -> bool:
            return serves_challenge(endpoint, challenge)

        listeners = listen(self._settings.listen, is_ours, kind="tls-alpn-01")
        addresses = ", ".join(str(endpoint) for endpoint in self._settings.listen)
        logger.debug("listening for tls-alpn-01 addresses=%s", addresses)
        return TlsResponder(listeners, self._find, self._fetched)

    def _find(self, name: str) -> ValidationCertificate | None:
        """The certificate for a server name: ours, or for another gatecert on the same state."""
        presented = self._presented.get(name)
        if presented is not None:
            return presented.answer
        key_authorization = self._tokens.token(token_key(name))
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
            self._tokens.remove_token(token_key(name))
        except StateError as error:
            logger.warning("challenge stays behind name=%s %s", name, error)


def token_key(name: str) -> str:
    """Under what the token store keeps the key authorization for a server name.

    Names are longer than tokens may be, and have other letters.
    """
    return f"tls-alpn-01_{urlsafe_b64encode(sha256(name.encode()).digest()).decode().rstrip('=')}"


def serves_challenge(endpoint: Endpoint, challenge: Challenge) -> bool:
    """Whether the one who listens at an endpoint answers a challenge as we would."""
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
            f"{challenge.identifier} cannot stand in a certificate, so tls-alpn-01 cannot prove it",
            fix="use another challenge",
        ) from error
