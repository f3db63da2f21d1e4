"""A TLS server for tls-alpn-01 only (RFC 8737 section 3).

Only a client that offers exactly the ALPN protocol ``acme-tls/1`` for a name under validation
receives a certificate. Any other client receives an alert:

- no name, or another one: unrecognized_name (RFC 6066 section 3);
- no ALPN, or other protocols: no_application_protocol (RFC 7301 section 3.2);
- anything but TLS 1.2 or later: handshake_failure.

OpenSSL works on memory buffers, and none of its output is sent before ``acme-tls/1`` is negotiated.
OpenSSL selects a certificate before ALPN (TLS 1.2), and skips the ALPN callback if the client
offers none; neither can disclose a certificate that way. The connection is closed after the
handshake, because the protocol carries no data.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from weakref import ref

from OpenSSL import SSL

from gatecert.challenge.bounded_server import BoundedServer
from gatecert.errors import StateError, clean

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from gatecert.challenge.acme_identifier import ValidationCertificate

logger = logging.getLogger(__name__)

PROTOCOL: Final = b"acme-tls/1"
READ_SIZE: Final = 65_536

HANDSHAKE_FAILURE: Final = 40
UNRECOGNIZED_NAME: Final = 112
NO_APPLICATION_PROTOCOL: Final = 120


class _RefusedError(Exception):
    """Raised by the ALPN callback to make OpenSSL abort the handshake."""


def alert(description: int) -> bytes:
    """Return an unencrypted fatal alert (RFC 8446 section 6)."""
    return bytes([21, 3, 3, 0, 2, 2, description])


class TlsHandler:
    """A handshake.

    Args:
        answer: Returns the certificate for a server name; None if it is not under validation.
        fetched: Called with the server name once a client has received its certificate.
        peer: The client's address, for the log.
        context: Of `server_context`; several handlers of one thread may share it.
    """

    def __init__(
        self,
        answer: Callable[[str], ValidationCertificate | None],
        fetched: Callable[[str], None],
        peer: str,
        context: SSL.Context,
    ) -> None:
        self._answer = answer
        self._fetched = fetched
        self._peer = peer
        self._name = ""
        self._refusal = HANDSHAKE_FAILURE
        self._failure: StateError | None = None
        self._complete = False
        self._connection = SSL.Connection(context, None)
        self._connection.set_app_data(ref(self))  # no cycle: it is freed when it is closed
        self._connection.set_accept_state()
        self.finished = False

    def receive(self, data: bytes) -> bytes:
        """Process received bytes and return the bytes to send.

        Raises:
            StateError: The token store cannot be read.
        """
        if not data:
            return b""
        self._connection.bio_write(data)
        refused = self._do_handshake()
        if self._failure is not None:
            raise self._failure
        output = self._output()
        agreed = self._connection.get_alpn_proto_negotiated() == PROTOCOL
        if not agreed and (refused or output):
            self.finished = True
            alert_number = self._refusal if refused or not self._name else NO_APPLICATION_PROTOCOL
            logger.debug("tls-alpn-01 refused peer=%s alert=%d", self._peer, alert_number)
            return alert(alert_number)
        self.finished = refused or self._complete
        return output

    def close(self) -> None:
        """Log the connection and report a completed handshake."""
        logger.debug(
            "tls-alpn-01 peer=%s name=%s complete=%s",
            self._peer,
            clean(self._name, 255),
            self._complete,
        )
        if self._complete:
            self._fetched(self._name)

    def _do_handshake(self) -> bool:
        """Continue the handshake as far as possible; return True if it has failed."""
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except (SSL.Error, _RefusedError):
            return True
        self._complete = True
        with suppress(SSL.Error):
            self._connection.shutdown()
        return False

    def _output(self) -> bytes:
        """Return the pending output of OpenSSL."""
        output = b""
        with suppress(SSL.WantReadError):
            while True:
                output += self._connection.bio_read(READ_SIZE)
        return output

    def choose_certificate(self, connection: SSL.Connection) -> None:
        """Select the certificate of the name; OpenSSL would only print an exception."""
        name = (connection.get_servername() or b"").decode("ascii", "replace").lower()
        try:
            answer = self._answer(name) if name else None
        except StateError as error:
            self._failure = error
            return
        if answer is None:
            self._refusal = UNRECOGNIZED_NAME
            return
        self._name = name
        connection.use_certificate(answer.certificate)
        connection.use_privatekey(answer.private_key)

    def choose_protocol(self, offered: list[bytes]) -> bytes:
        """Select acme-tls/1, or make OpenSSL abort the handshake."""
        if self._name and offered == [PROTOCOL]:
            return PROTOCOL
        if self._name:
            self._refusal = NO_APPLICATION_PROTOCOL
        raise _RefusedError


def server_context() -> SSL.Context:
    """Return what all handshakes of a server share; making it takes longer than a handshake."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_tlsext_servername_callback(
        lambda connection: _handler(connection).choose_certificate(connection)
    )
    context.set_alpn_select_callback(
        lambda connection, offered: _handler(connection).choose_protocol(offered)
    )
    return context


def _handler(connection: SSL.Connection) -> TlsHandler:
    handler: TlsHandler = connection.get_app_data()()
    return handler


def tls_responder(
    listeners: list[socket.socket],
    answer: Callable[[str], ValidationCertificate | None],
    fetched: Callable[[str], None],
) -> BoundedServer:
    """Answer tls-alpn-01 on listening sockets until the server is stopped.

    Args:
        listeners: Listening sockets; the server takes ownership.
        answer: Returns the certificate for a server name; None if it is not under validation.
        fetched: Called with a server name once a client has received its certificate; must be
            quick.
    """
    context = server_context()
    return BoundedServer(
        listeners, lambda peer: TlsHandler(answer, fetched, peer, context), "tls-alpn-01"
    )
