"""A small public-key infrastructure: CAs and certificates with any fault that is wanted."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict, Unpack

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.fakes.clock import DAY, NOW
from tests.fakes.keys import rsa_key

from gatecert.certificate import key
from gatecert.certificate.pem import parse
from gatecert.model import Identifier, IdentifierType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes


NAME = "vpn.example.com"


SERIAL = 0x7FAABBCC  # for `negated`


_SIGNATURES = {  # the algorithm identifier of SHA-256, and of SHA-1 in its place
    "ec": (bytes.fromhex("300a06082a8648ce3d040302"), bytes.fromhex("300906072a8648ce3d0401")),
    "rsa": (
        bytes.fromhex("300d06092a864886f70d01010b0500"),
        bytes.fromhex("300d06092a864886f70d0101050500"),
    ),
}


def dns(*names: str) -> tuple[Identifier, ...]:
    return tuple(Identifier(IdentifierType.DNS, name) for name in names)


class Options(TypedDict, total=False):
    """Options of a certificate; see ``Pki.issue``."""

    key_name: str
    key_kind: str
    ca: bool | None
    path_length: int | None
    names: Sequence[str]
    begin: datetime
    end: datetime
    server: bool | None
    usage: x509.KeyUsage | None
    without_usage: bool
    without_authority_key: bool
    extensions: Sequence[tuple[x509.ExtensionType, bool]]
    subject: x509.Name | None
    issuer_name: x509.Name | None
    sha1: bool
    serial: int | None


_ANY_POLICY = x509.ObjectIdentifier("2.5.29.32.0")


# Critical extensions about policies, which neither servers nor clients of TLS look at.
POLICIES: tuple[tuple[x509.ExtensionType, bool], ...] = (
    (x509.CertificatePolicies([x509.PolicyInformation(_ANY_POLICY, None)]), True),
    (x509.PolicyConstraints(require_explicit_policy=3, inhibit_policy_mapping=0), True),
    (x509.InhibitAnyPolicy(2), True),
)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    private_key: key.PrivateKey = field(repr=False)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return key.to_pem(self.private_key)


def unsigned(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: CertificatePublicKeyTypes,
    *,
    begin: datetime,
    end: datetime,
    serial: int | None = None,
) -> x509.CertificateBuilder:
    """Return a certificate to sign, with a random serial number unless one is given."""
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer)
        .public_key(public_key)
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )


@dataclass(frozen=True)
class Pki:
    """Makes certificates; keys are made once and handed out again by name."""

    keys: dict[str, key.PrivateKey] = field(default_factory=dict)

    def key(self, name: str, kind: str = "ec") -> key.PrivateKey:
        name = f"{name} ({kind})"  # tests that share this may want other kinds by one name
        if name not in self.keys:
            if kind == "ec":
                self.keys[name] = ec.generate_private_key(ec.SECP256R1())
            elif kind == "ed25519":
                self.keys[name] = ed25519.Ed25519PrivateKey.generate()  # type: ignore[assignment] # no key of gatecert's
            elif kind == "curve":
                self.keys[name] = ec.generate_private_key(ec.SECP256K1())
            else:
                self.keys[name] = rsa_key(int(kind), name)
        return self.keys[name]

    def root(self, name: str = "Root", **options: Unpack[Options]) -> Issued:
        return self.authority(name, None, **options)

    def authority(self, name: str, issuer: Issued | None, **options: Unpack[Options]) -> Issued:
        settings: Options = {
            "ca": True,
            "names": (),
            "server": None,
            "end": NOW + 3650 * DAY,
            **options,
        }
        return self.issue(name, issuer, **settings)

    def issue(
        self,
        name: str = NAME,
        issuer: Issued | None = None,
        *,
        key_name: str = "",
        key_kind: str = "ec",
        ca: bool | None = False,
        path_length: int | None = None,
        names: Sequence[str] = (NAME,),
        begin: datetime = NOW - DAY,
        end: datetime = NOW + 90 * DAY,
        server: bool | None = True,
        usage: x509.KeyUsage | None = None,
        without_usage: bool = False,
        without_authority_key: bool = False,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
        subject: x509.Name | None = None,
        issuer_name: x509.Name | None = None,
        sha1: bool = False,
        serial: int | None = None,
        salt: int | None = None,
    ) -> Issued:
        private_key = self.key(key_name or name, key_kind)
        if subject is None:
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        if issuer_name is None:
            issuer_name = issuer.certificate.subject if issuer else subject
        signer = issuer.private_key if issuer else private_key
        builder = unsigned(
            subject, issuer_name, private_key.public_key(), begin=begin, end=end, serial=serial
        )
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
        if not without_usage:
            usage = usage or key_usage(digital_signature=not ca, key_cert_sign=bool(ca))
            builder = builder.add_extension(usage, critical=True)
        if server is not None:
            oid = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
            builder = builder.add_extension(x509.ExtendedKeyUsage([oid]), critical=False)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(each) for each in names]),
                critical=False,
            )
        if not without_authority_key:
            builder = builder.add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        signed = builder.sign(
            signer,
            _digest(signer),
            rsa_padding=None if salt is None else padding.PSS(padding.MGF1(hashes.SHA256()), salt),
        )
        issued = Issued(signed, private_key)
        return Issued(_with_sha1(issued.certificate, signer), private_key) if sha1 else issued


def key_usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = True,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign and crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.RFC822Name(name) if "@" in name else x509.DNSName(name)


def _digest(signer: object) -> hashes.SHA256 | None:
    return None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _with_sha1(certificate: x509.Certificate, signer: key.PrivateKey) -> x509.Certificate:
    """Sign anew with SHA-1, which the library reads but no longer writes."""
    kind = "ec" if isinstance(signer, ec.EllipticCurvePrivateKey) else "rsa"
    sha256, sha1 = _SIGNATURES[kind]
    body = _contents(certificate.tbs_certificate_bytes).replace(sha256, sha1, 1)
    to_be_signed = der(0x30, body)
    if isinstance(signer, ec.EllipticCurvePrivateKey):
        signature = signer.sign(to_be_signed, ec.ECDSA(hashes.SHA1()))  # noqa: S303 - a bad chain is wanted
    else:
        signature = signer.sign(to_be_signed, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - the same
    return x509.load_der_x509_certificate(
        der(0x30, to_be_signed + sha1 + der(0x03, b"\0" + signature))
    )


def der(tag: int, contents: bytes) -> bytes:
    """A value in DER (X.690 section 8.1)."""
    length = len(contents)
    if length < 0x80:
        return bytes([tag, length]) + contents
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + contents


def negated(certificate: x509.Certificate) -> x509.Certificate:
    """Return it with a negative serial number, which the library reads but does not write."""
    positive = der(0x02, certificate.serial_number.to_bytes(4, "big"))
    negative = positive.replace(b"\x7f", b"\x8f", 1)
    return parse(certificate.public_bytes(Encoding.DER).replace(positive, negative, 1))


def _contents(value: bytes) -> bytes:
    return value[2 + (value[1] & 0x7F if value[1] & 0x80 else 0) :]


@dataclass(frozen=True)
class Good:
    """A chain with nothing wrong: root, intermediate, certificate."""

    root: Issued
    intermediate: Issued
    leaf: Issued

    @property
    def fullchain(self) -> bytes:
        return self.leaf.pem + self.intermediate.pem


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
