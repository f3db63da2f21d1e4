"""A small CA and TLS listeners on loopback, well-behaved or not."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from tests.fakes.pki import unsigned

from gatecert.model import CertificateSummary, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator


NAME = "gate.example.com"


NOT_BEFORE = datetime(2026, 11, 1, tzinfo=UTC)


NOT_AFTER = datetime(2027, 1, 30, tzinfo=UTC)


PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Issued:
    """A certificate with its key and all certificates above it, the root last."""

    certificate: x509.Certificate
    key: PrivateKey
    above: tuple[x509.Certificate, ...] = ()

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(SHA256()).hex()

    @property
    def intermediates(self) -> tuple[x509.Certificate, ...]:
        return self.above[:-1]

    def summary(self) -> CertificateSummary:
        return CertificateSummary(
            subject=self.certificate.subject.rfc4514_string(),
            issuer=self.certificate.issuer.rfc4514_string(),
            identifiers=(),
            not_before=self.certificate.not_valid_before_utc,
            not_after=self.certificate.not_valid_after_utc,
            fingerprint=self.fingerprint,
            chain_fingerprints=tuple(one.fingerprint(SHA256()).hex() for one in self.intermediates),
            key_fingerprint="",
            is_bootstrap=False,
            certificate_id="",
        )


def issue(
    subject: str,
    issuer: Issued | None = None,
    key: PrivateKey | None = None,
) -> Issued:
    """Sign a certificate; without an issuer, by its own key."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    certificate = (
        unsigned(
            name,
            issuer.certificate.subject if issuer else name,
            key.public_key(),
            begin=NOT_BEFORE,
            end=NOT_AFTER,
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(issuer.key if issuer else key, SHA256())
    )
    above = (issuer.certificate, *issuer.above) if issuer else ()
    return Issued(certificate, key, above)


@dataclass(frozen=True)
class Authority:
    """A root, an intermediate below it, and what they issue."""

    root: Issued
    middle: Issued

    def leaf(self, subject: str = NAME, key: PrivateKey | None = None) -> Issued:
        return issue(subject, self.middle, key)

    def self_signed(self, subject: str = "gatecert bootstrap") -> Issued:
        return issue(subject)


class Handler(Protocol):
    """A listener's handler of one connection."""

    def __call__(self, stream: socket.socket, number: int, stopping: Event, /) -> None: ...


@contextmanager
def listening(handle: Handler, host: str = "127.0.0.1") -> Iterator[Endpoint]:
    """A listener that serves one connection after the other, each in its own thread."""
    stopping = Event()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family)
    threads: list[Thread] = []

    def handle_one(stream: socket.socket, number: int) -> None:
        with stream, suppress(OSError):
            handle(stream, number, stopping)

    def accept() -> None:
        with suppress(OSError):
            while True:
                stream, _ = listener.accept()
                stream.settimeout(5)
                thread = Thread(target=handle_one, args=(stream, len(threads)))
                threads.append(thread)
                thread.start()

    accepting = Thread(target=accept)
    accepting.start()
    try:
        yield Endpoint(host, listener.getsockname()[1])
    finally:
        stopping.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (accepting, *threads):
            thread.join()


@dataclass
class TLSServer:
    """Serves a certificate with some chain behind it; ``asked`` notes each server name."""

    directory: Path
    asked: list[str | None] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    def context(
        self,
        issued: Issued,
        chain: tuple[x509.Certificate, ...] | None = None,
        *,
        weak_key: bool = False,
        garble: tuple[bytes, bytes] = (b"", b""),
    ) -> ssl.SSLContext:
        chain = issued.intermediates if chain is None else chain
        path = self.directory / f"{issued.fingerprint[:16]}-{len(chain)}.pem"
        path.write_bytes(
            issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            + ssl.DER_cert_to_PEM_cert(
                issued.certificate.public_bytes(Encoding.DER).replace(
                    *garble, 1 if garble[0] else 0
                )
            ).encode()
            + b"".join(one.public_bytes(Encoding.PEM) for one in chain)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if weak_key:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(path)
        context.sni_callback = self._note
        return context

    def client_certificate_demanded(
        self, issued: Issued, version: ssl.TLSVersion
    ) -> ssl.SSLContext:
        context = self.context(issued)
        context.maximum_version = version
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=issued.above[-1].public_bytes(Encoding.PEM).decode())
        return context

    def handler(self, *contexts: ssl.SSLContext) -> Handler:
        """Each connection gets the next context, those after the last get the last."""

        def handle(stream: socket.socket, number: int, _: Event) -> None:
            context = contexts[min(number, len(contexts) - 1)]
            try:
                with context.wrap_socket(stream, server_side=True) as tls:
                    self.ended.append("clean" if tls.recv(1) == b"" else "data")
                    tls.unwrap().close()
            except ssl.SSLError as error:
                self.ended.append(error.reason or str(error))
            except OSError as error:
                self.ended.append(type(error).__name__)

        return handle

    def wait_for_end(self) -> None:
        """Wait until a connection has come to its end on our side too."""
        give_up = time.monotonic() + 5
        while not self.ended and time.monotonic() < give_up:
            time.sleep(0.001)

    def _note(self, _: object, name: str | None, __: ssl.SSLContext) -> None:
        self.asked.append(name)
