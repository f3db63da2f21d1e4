"""One TLS handshake with a listener, to learn which certificates it serves.

The handshake verifies nothing: ``verify.verdict`` compares the served chain with the installed one,
which is stricter than any trust store. It accepts self-signed and staging certificates as well as
trusted ones, and offers every key type and cipher.

- A listener with certificates for two key types gets a handshake for each.
- The server name (RFC 6066 section 3) is sent for DNS names, never for IP addresses.
- A server that requires client certificates can be probed. In TLS 1.3 the handshake ends for the
  client before the server rejects it (RFC 8446 section 4.4.2.4); in TLS 1.2 the server rejects it
  after it has signed its key exchange (RFC 5246 section 7.4.3), which proves its key as well. The
  result includes the client CAs that it names (RFC 8446 section 4.2.4).
- The PROXY protocol and STARTTLS come first where the listener requires them (``starttls``).
- Name lookup, connection and handshake share one deadline, and the received bytes are limited. This
  bounds the cost of a listener that is silent, drips or never stops sending.

A failure is a state of the listener: it is returned as a value, never raised.
"""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from cryptography.x509 import InvalidVersion
from OpenSSL import SSL

from gatecert.deadline import Deadline
from gatecert.errors import clean
from gatecert.model import FailureKind
from gatecert.verify.connect import ProbeError, connect, remaining_seconds
from gatecert.verify.served_chain import SILENT, ProbeFailure, ServedChain, describe
from gatecert.verify.starttls import send_proxy_header, start_tls

if TYPE_CHECKING:
    from gatecert.model import Endpoint

LARGEST_HANDSHAKE: Final = 512 * 1024  # bytes; OpenSSL takes a chain of at most 100 KiB
READ_SIZE: Final = 16 * 1024  # bytes
SHOWN: Final = 60  # bytes of a plaintext answer

CLOSED_IMMEDIATELY: Final = (
    "closes the connection at once: it does not use TLS, or is not ready yet"
)
PREAMBLE_HINT: Final = (
    "; if it expects the PROXY protocol or STARTTLS, set proxy_protocol or starttls in"
    " install.verify"
)
NO_PROXY_HINT: Final = (
    "; if it does not expect the PROXY protocol, remove proxy_protocol from install.verify"
)

TLS_RECORDS: Final = {20, 21, 22, 23}  # RFC 8446 section 5.1
UNRECOGNIZED_NAME: Final = 112  # RFC 6066 section 3
GREETINGS: Final = (
    (b"220", "smtp"),
    (b"* OK", "imap"),
    (b"* PREAUTH", "imap"),
    (b"+OK", "pop3"),
    (b"<?xml", "xmpp"),
    (b"<stream:", "xmpp"),
)

CLOSE_TIMEOUT: Final = 0.05  # seconds for a listener to close its side

# Anonymous suites show no certificate. Security level 0 admits weak keys.
CIPHERS: Final = b"ALL:!aNULL:@SECLEVEL=0"

REJECTED: Final = {FailureKind.RESET, FailureKind.HANDSHAKE, FailureKind.NOT_TLS}

# For clients that accept a single key type.
CIPHERS_BY_ALGORITHM: Final = {"ecdsa": b"aECDSA:@SECLEVEL=0", "rsa": b"aRSA:@SECLEVEL=0"}
SIGNATURES_BY_ALGORITHM: Final = {
    "ecdsa": b"ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512",
    "rsa": b"RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512",
}

# The client waits in this state only after it has verified the server's key exchange signature.
SIGNATURE_VERIFIED_STATE: Final = b"SSLv3/TLS write finished"

# The client enters this state only after a certificate request of the server.
CERTIFICATE_REQUEST_STATE: Final = b"SSLv3/TLS read server certificate request"


class _HandshakeEvents:
    """The events of a handshake that OpenSSL reports.

    Attributes:
        alerts: Alerts from the server.
        certificate_requested: True after a certificate request of the server.
    """

    def __init__(self) -> None:
        self.alerts: list[int] = []
        self.certificate_requested = False

    def __call__(self, tls: SSL.Connection, where: int, value: int) -> None:
        """Record an event (SSL_CTX_set_info_callback(3))."""
        if where & SSL.SSL_CB_READ_ALERT == SSL.SSL_CB_READ_ALERT:
            self.alerts.append(value)
        elif tls.get_state_string() == CERTIFICATE_REQUEST_STATE:
            self.certificate_requested = True


def probe(
    endpoint: Endpoint, server_name: str, *, timeout: float, algorithm: str = ""
) -> ServedChain | ProbeFailure:
    """Make a handshake with a listener and return what it serves.

    Args:
        endpoint: Its TCP endpoint.
        server_name: The gateway's name as A-labels, or an IP address.
        timeout: Seconds in all, from the lookup of the host to the last byte.
        algorithm: The only key type to accept, ``ecdsa`` or ``rsa``; empty for any.
    """
    result = replace(_probe(endpoint, server_name, timeout, algorithm), algorithm=algorithm)
    if algorithm and isinstance(result, ProbeFailure) and result.kind in REJECTED:
        # Some servers send an alert, others just close the connection.
        detail = f"rejects clients that accept only {algorithm.upper()} keys: it {result.detail}"
        return replace(result, kind=FailureKind.HANDSHAKE, detail=detail)
    return result


def _probe(
    endpoint: Endpoint, server_name: str, timeout: float, algorithm: str
) -> ServedChain | ProbeFailure:
    deadline = Deadline.after(timeout)
    server_name = endpoint.server_name or server_name
    try:
        with connect(endpoint, deadline) as stream:
            if endpoint.proxy_protocol:
                send_proxy_header(stream, endpoint.proxy_protocol, deadline)
            if endpoint.starttls:
                start_tls(stream, endpoint, server_name, deadline)
            events = _HandshakeEvents()
            tls = _client(server_name, events, algorithm)
            _handshake(stream, tls, deadline, events)
            _close(stream, tls, deadline)
        return _read(endpoint, tls, certificate_requested=events.certificate_requested)
    except TimeoutError:
        detail = f"accepts connections but did not finish a TLS handshake within {timeout:.3g} s"
        return ProbeFailure(endpoint, FailureKind.TIMEOUT, detail)
    except ProbeError as error:
        return ProbeFailure(endpoint, error.kind, error.detail + _hint(endpoint, error))
    except OSError as error:
        detail = f"broke the connection during the TLS handshake ({error.strerror or error})"
        hint = _hint(endpoint, ProbeError(FailureKind.RESET, CLOSED_IMMEDIATELY))
        return ProbeFailure(endpoint, FailureKind.RESET, detail + hint)


def _hint(endpoint: Endpoint, error: ProbeError) -> str:
    """Suggest ``proxy_protocol`` or ``starttls`` if the failure is typical of a wrong one."""
    if endpoint.starttls:  # STARTTLS failures have their own hints
        return ""
    if not endpoint.proxy_protocol:
        return PREAMBLE_HINT if error.detail == CLOSED_IMMEDIATELY else ""
    return "" if error.kind in SILENT else NO_PROXY_HINT


# --------------------------------------------------------------------------- the handshake


def _handshake(
    stream: socket.socket, tls: SSL.Connection, deadline: Deadline, events: _HandshakeEvents
) -> None:
    """Run the handshake until it proves the served certificate.

    OpenSSL works on memory buffers, so this function counts and times every byte.
    """
    waited_in = b""
    taken = 0
    while True:
        try:
            tls.do_handshake()
        except SSL.WantReadError:
            waited_in = tls.get_state_string()
        except SSL.Error as error:
            if waited_in == SIGNATURE_VERIFIED_STATE and events.alerts:
                return
            raise _handshake_failure(error, tls, events.alerts) from error
        else:
            return
        _send(stream, tls, deadline)
        taken += _receive(stream, tls, deadline, first=not taken)
        if taken > LARGEST_HANDSHAKE:
            detail = f"sent more than {LARGEST_HANDSHAKE // 1024} KiB without ending the handshake"
            raise ProbeError(FailureKind.HANDSHAKE, detail)


def _client(server_name: str, events: _HandshakeEvents, algorithm: str) -> SSL.Connection:
    """Return a TLS client that accepts any certificate, from TLS 1.2 on, and records events.

    For a single key type it offers only signatures of that type (RFC 8446 section 4.2.3), and in
    TLS 1.2 only suites that authenticate by it.
    """
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS_BY_ALGORITHM.get(algorithm, CIPHERS))
    if algorithm:
        # pyOpenSSL does not expose this function of OpenSSL.
        library, handle = SSL._lib, context._context  # type: ignore[attr-defined] # noqa: SLF001
        library.SSL_CTX_set1_sigalgs_list(handle, SIGNATURES_BY_ALGORITHM[algorithm])
    context.set_options(SSL.OP_LEGACY_SERVER_CONNECT)
    context.set_info_callback(events)
    tls = SSL.Connection(context, None)
    tls.set_connect_state()
    try:
        ipaddress.ip_address(server_name)
    except ValueError:
        tls.set_tlsext_host_name(_indicated_name(server_name).encode("ascii"))
    return tls


def _indicated_name(server_name: str) -> str:
    """Return the server name to send; for a wildcard, a name that it covers."""
    return f"gatecert{server_name[1:]}" if server_name.startswith("*.") else server_name


def _send(stream: socket.socket, tls: SSL.Connection, deadline: Deadline) -> None:
    """Send the pending output of OpenSSL."""
    with suppress(SSL.WantReadError):
        while True:
            stream.settimeout(remaining_seconds(deadline))
            stream.sendall(tls.bio_read(READ_SIZE))


def _receive(stream: socket.socket, tls: SSL.Connection, deadline: Deadline, *, first: bool) -> int:
    """Pass received bytes to OpenSSL and return their number."""
    stream.settimeout(remaining_seconds(deadline))
    data = stream.recv(READ_SIZE)
    if not data:
        detail = (
            CLOSED_IMMEDIATELY
            if first
            else "closed the connection in the middle of the TLS handshake"
        )
        raise ProbeError(FailureKind.RESET, detail)
    if first and data[0] not in TLS_RECORDS:
        raise ProbeError(FailureKind.NOT_TLS, _describe_plaintext(data))
    tls.bio_write(data)
    return len(data)


def _describe_plaintext(data: bytes) -> str:
    """Describe an answer that is not TLS, with the likely STARTTLS protocol."""
    said = clean(data[:SHOWN].decode("utf-8", "replace"))
    protocol = next((name for prefix, name in GREETINGS if data.startswith(prefix)), "")
    if b"FTP" in data.upper() and protocol == "smtp":
        protocol = "ftp"
    hint = f"; set starttls: {protocol} in install.verify" if protocol else ""
    return f"answers {said!r} instead of TLS{hint}"


def _close(stream: socket.socket, tls: SSL.Connection, deadline: Deadline) -> None:
    """Close the session cleanly, so that the gateway does not log a broken connection.

    Session tickets are read first: closing with unread data would reset the connection.
    """
    with suppress(OSError, SSL.Error):
        tls.shutdown()
    with suppress(OSError):
        _send(stream, tls, deadline)
        stream.shutdown(socket.SHUT_WR)
        farewell = Deadline.after(deadline.within(CLOSE_TIMEOUT))
        for _ in range(LARGEST_HANDSHAKE // READ_SIZE):
            stream.settimeout(remaining_seconds(farewell))
            if not stream.recv(READ_SIZE):
                break


# --------------------------------------------------------------------------- the result


def _reason(error: SSL.Error) -> str:
    """Return the last reason on OpenSSL's error stack."""
    match error.args:
        case ([*_, (*_, reason)],):
            return clean(str(reason))
        case _:
            return "no reason given"


def _handshake_failure(error: SSL.Error, tls: SSL.Connection, alerts: list[int]) -> ProbeError:
    """Describe why the handshake failed."""
    reason = _reason(error)
    if alerts:  # RFC 8446 section 6.2
        name = tls.get_servername()
        asked = f" for the server name {name.decode()}" if name else ""
        hint = (
            "; if it serves another name, set server_name in install.verify"
            if UNRECOGNIZED_NAME in {alert & 0xFF for alert in alerts}
            else ""
        )
        return ProbeError(
            FailureKind.HANDSHAKE, f"refuses the TLS handshake{asked} ({reason}){hint}"
        )
    if not tls.get_peer_cert_chain():
        return ProbeError(FailureKind.NOT_TLS, f"does not answer in TLS 1.2 or later ({reason})")
    return ProbeError(FailureKind.HANDSHAKE, f"failed the TLS handshake ({reason})")


def _read(
    endpoint: Endpoint, tls: SSL.Connection, *, certificate_requested: bool = False
) -> ServedChain:
    """Return what the listener sent, even if it is unusable for clients."""
    try:
        certificates = tls.get_peer_cert_chain(as_cryptography=True)
        if not certificates:
            raise ProbeError(FailureKind.HANDSHAKE, "serves no certificate")
        names = tls.get_client_ca_list(as_cryptography=True) if certificate_requested else None
        return describe(endpoint, certificates, names)
    except (ValueError, InvalidVersion) as error:
        detail = f"serves a certificate that cannot be read ({clean(str(error))})"
        raise ProbeError(FailureKind.HANDSHAKE, detail) from error
