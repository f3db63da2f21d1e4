"""A TLS server that answers tls-alpn-01 and nothing else (RFC 8737 section 3).

Only a client that offers the ALPN protocol ``acme-tls/1``, and no other beside it, for a name that
is being validated, sees a certificate. Everybody else gets an alert:

- no name, or another one: unrecognized_name (RFC 6066 section 3);
- no ALPN, or other protocols: no_application_protocol (RFC 7301 section 3.2);
- what is no TLS of version 1.2 or later: handshake_failure.

OpenSSL works on memory here, and nothing that it says leaves before it has agreed on
``acme-tls/1``. That it chooses a certificate before it looks at ALPN (TLS 1.2), or never asks about
ALPN where none is offered, can therefore give nothing away. After the handshake the connection is
closed, for nothing may be output over it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

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
    """What the ALPN callback raises; OpenSSL then ends the handshake."""


def alert(description: int) -> bytes:
    """A fatal alert, in the clear (RFC 8446 section 6)."""
    return bytes([21, 3, 3, 0, 2, 2, description])


class TlsHandler:
    """One handshake.

    Args:
        answer: The certificate for a server name; None where nothing is validated under it.
        fetched: Called with the server name once a client has seen its certificate.
        peer: Who asks, for the log.
    """

    def __init__(
        self,
        answer: Callable[[str], ValidationCertificate | None],
        fetched: Callable[[str], None],
        peer: str,
    ) -> None:
        self._answer = answer
        self._fetched = fetched
        self._peer = peer
        self._name = ""
        self._refusal = HANDSHAKE_FAILURE
        self._failure: StateError | None = None
        self._complete = False
        self._connection = self._server()
        self.finished = False

    def receive(self, data: bytes) -> bytes:
        """What to answer to what has come.

        Raises:
            StateError: It cannot be known what is validated.
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
        """The last answer is on its way."""
        logger.debug(
            "tls-alpn-01 peer=%s name=%s complete=%s",
            self._peer,
            clean(self._name, 255),
            self._complete,
        )
        if self._complete:
            self._fetched(self._name)

    def _do_handshake(self) -> bool:
        """Go on as far as possible; True where the handshake has failed."""
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
        """What OpenSSL wants to say."""
        output = b""
        with suppress(SSL.WantReadError):
            while True:
                output += self._connection.bio_read(READ_SIZE)
        return output

    def _server(self) -> SSL.Connection:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_tlsext_servername_callback(self._choose_certificate)
        context.set_alpn_select_callback(self._choose_protocol)
        connection = SSL.Connection(context, None)
        connection.set_accept_state()
        return connection

    def _choose_certificate(self, connection: SSL.Connection) -> None:
        """Take the certificate of the name; raising here would only be printed."""
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

    def _choose_protocol(self, _: SSL.Connection, offered: list[bytes]) -> bytes:
        if self._name and offered == [PROTOCOL]:
            return PROTOCOL
        if self._name:
            self._refusal = NO_APPLICATION_PROTOCOL
        raise _RefusedError


class TlsResponder(BoundedServer):
    """Answers tls-alpn-01 on some listening sockets until it is stopped.

    Args:
        listeners: Listening sockets; they belong to the responder from now on.
        answer: The certificate for a server name; None where nothing is validated under it.
        fetched: Called with a server name once a client has seen its certificate; must be quick.
    """

    def __init__(
        self,
        listeners: list[socket.socket],
        answer: Callable[[str], ValidationCertificate | None],
        fetched: Callable[[str], None],
    ) -> None:
        self._answer = answer
        self._fetched = fetched
        super().__init__(listeners, self._make_handler, "tls-alpn-01")

    def _make_handler(self, peer: str) -> TlsHandler:
        return TlsHandler(self._answer, self._fetched, peer)
