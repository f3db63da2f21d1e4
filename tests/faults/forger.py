"""An authority that signs whatever a row wants signed, to put in the place of Pebble's answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

DAY = timedelta(days=1)
NO_CERTIFICATE = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"


class Forger:
    """A root and an intermediate of its own.

    Args:
        directory: Takes ``forged-root.pem``.

    Attributes:
        root: That file; who trusts it accepts what is honest.
    """

    def __init__(self, directory: Path) -> None:
        self._root_key, self._key, self._stranger = (
            ec.generate_private_key(ec.SECP256R1()) for _ in range(3)
        )
        root = self._authority("Forged root", self._root_key, "Forged root", self._root_key)
        self._issuer = self._authority("Forged", self._key, "Forged root", self._root_key)
        self.root = directory / "forged-root.pem"
        self.root.write_bytes(root.public_bytes(Encoding.PEM))

    @property
    def kinds(self) -> dict[str, Callable[[bytes], bytes]]:
        """Defects of a certificate, each a change of the CA's response."""
        now = datetime.now(UTC)
        return {
            "wrong key": lambda body: self._again(body, key=self._stranger.public_key()),
            "wrong names": lambda body: self._again(body, name="other.example.com"),
            "expired": lambda body: self._again(body, since=now - 60 * DAY, until=now - DAY),
            "not yet valid": lambda body: self._again(body, since=now + DAY, until=now + 60 * DAY),
            "broken chain": lambda body: self._again(body, signer=self._stranger),
            "no chain": lambda body: self._again(body, chained=False),
            "no certificate": lambda _: (
                b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"
            ),
        }

    def honest(self, body: bytes) -> bytes:
        """Sign the same certificate with this CA."""
        return self._again(body)

    def for_minutes(self, body: bytes) -> bytes:
        """Return the same certificate, valid for ten minutes."""
        return self._again(body, until=datetime.now(UTC) + timedelta(minutes=10))

    def _again(
        self,
        body: bytes,
        *,
        key: CertificatePublicKeyTypes | None = None,
        name: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        signer: ec.EllipticCurvePrivateKey | None = None,
        chained: bool = True,
    ) -> bytes:
        leaf = x509.load_pem_x509_certificates(body)[0]
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if name:
            names = x509.SubjectAlternativeName([x509.DNSName(name)])
        forged = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self._issuer.subject)
            .public_key(key or leaf.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(since or leaf.not_valid_before_utc)
            .not_valid_after(until or leaf.not_valid_after_utc)
            .add_extension(names, critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(signer or self._key, hashes.SHA256())
        )
        chain = [forged, self._issuer] if chained else [forged]
        return b"".join(each.public_bytes(Encoding.PEM) for each in chain)

    @staticmethod
    def _authority(
        name: str, key: ec.EllipticCurvePrivateKey, by: str, signer: ec.EllipticCurvePrivateKey
    ) -> x509.Certificate:
        subject, issuer = (
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (name, by)
        )
        now = datetime.now(UTC)
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 3650 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
            .sign(signer, hashes.SHA256())
        )
