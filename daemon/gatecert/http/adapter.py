"""Connections whose reads observe a deadline, and the TLS trust of one host.

A timeout between two reads is not enough: a host that sends one byte a second would hold us up
forever. So the socket, plain or TLS, asks for the time left before each read of status line,
headers and body, and notices within half a second that gatecert is stopping.
"""

from __future__ import annotations

import os
import socket
import ssl
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import certifi
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection

from gatecert.errors import clean

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.deadline import Deadline
    from gatecert.http.client_certificate import ClientCertificate

CONNECTIONS = 10  # to one host that are kept alive
SLICE_SECONDS = 0.5  # how soon a stopping gatecert is noticed

current_deadline: ContextVar[Deadline] = ContextVar("deadline")


class RootsError(Exception):
    """Trust anchors that cannot be read."""


class _DeadlineReads:
    """Reads that share the deadline of the current request."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:  # noqa: ANN401 - as in socket
        """Read once; raise TimeoutError when no time is left."""
        deadline = current_deadline.get()
        while not deadline.passed:
            self.settimeout(deadline.within(SLICE_SECONDS))  # type: ignore[attr-defined] # of the socket
            try:
                return super().recv_into(*args, **kwargs)  # type: ignore[misc,no-any-return]
            except TimeoutError:
                continue
        raise TimeoutError


class _DeadlineSocket(_DeadlineReads, socket.socket):
    """A plain socket with deadline reads."""


class _DeadlineTLSSocket(_DeadlineReads, ssl.SSLSocket):
    """A TLS socket with deadline reads.

    A server refuses a client certificate after the client's handshake is complete (RFC 8446 section
    4.4.2.4), and hangs up. Its alert, which waits to be read, says more than the failed write.
    """

    def send(self, *args: Any, **kwargs: Any) -> int:  # noqa: ANN401 - as in ssl
        """Write once; raise the server's alert if it has hung up with one."""
        try:
            return super().send(*args, **kwargs)
        except (ConnectionError, ssl.SSLEOFError):
            self.recv(1)
            raise


class _DeadlineConnection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        plain = self.sock
        self.sock = _DeadlineSocket(plain.family, plain.type, plain.proto, plain.detach())


class _DeadlinePool(HTTPConnectionPool):
    ConnectionCls = _DeadlineConnection


_POOLS = {"http": _DeadlinePool, "https": HTTPSConnectionPool}


class DeadlineAdapter(HTTPAdapter):
    """Connections that trust what one TLS context trusts, and whose reads observe deadlines.

    Args:
        context: The TLS context; None for plain HTTP.
        connections: The number of connections to one host that are kept alive.
    """

    def __init__(self, context: ssl.SSLContext | None, connections: int = CONNECTIONS) -> None:
        self._context = context
        super().__init__(pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in requests
        """Set up direct connections."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:  # noqa: ANN401 - as in requests
        """Set up connections through a proxy."""
        manager = super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)
        if not proxy.lower().startswith("socks"):  # whose pools know how to reach the proxy
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as in requests
        """Do nothing: the context requires a trusted certificate with the right name."""


def tls_context(
    ca_bundle: Path | None, client_certificate: ClientCertificate | None = None
) -> ssl.SSLContext:
    """Make a context that checks certificate and host name, with deadline sockets.

    The system's store is preferred, as administrators add their roots there; a machine without one
    has the roots of certifi.

    Raises:
        RootsError: The trust anchors cannot be read.
        CertificateError: The client certificate or its key cannot be used.
    """
    paths = ssl.get_default_verify_paths()
    has_store = paths.cafile or (paths.capath and any(os.scandir(paths.capath)))
    cafile = str(ca_bundle) if ca_bundle else None if has_store else certifi.where()
    try:
        context = ssl.create_default_context(cafile=cafile)
    except (OSError, ssl.SSLError) as error:
        text = f"the roots in {cafile} cannot be read: {clean(str(error), 200)}"
        raise RootsError(text) from error
    if ca_bundle:
        # Python 3.13 refuses what OpenSSL and other clients accept from private CAs: no AKI,
        # basicConstraints that are not critical.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _DeadlineTLSSocket
    if client_certificate is not None:
        client_certificate.load_into(context)
    return context
