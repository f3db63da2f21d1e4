"""Tests of private chains that OpenSSL accepts: version 1 roots and dotted constraints."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.fakes.pki import unsigned

from gatecert.certificate.chain import check_issued
from gatecert.certificate.trust_anchor import can_anchor
from gatecert.errors import CertificateError
from gatecert.model import Identifier, IdentifierType

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.certificate.chain import CheckedChain

DAY = timedelta(days=1)
NOW = datetime.now(UTC)
ROOT, ISSUER, LEAF = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
Key = ec.EllipticCurvePrivateKey


def called(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def private(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def authority(
    name: str, key: Key, by: str, signer: Key, constraint: str = "", *, excluded: bool = False
) -> x509.Certificate:
    builder = unsigned(
        called(name), called(by), key.public_key(), begin=NOW - DAY, end=NOW + 900 * DAY
    ).add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)
    if constraint:
        names = [x509.DNSName(constraint)]
        constraints = x509.NameConstraints(None if excluded else names, names if excluded else None)
        builder = builder.add_extension(constraints, critical=True)
    return builder.sign(signer, hashes.SHA256())


def leaf(signer: Key, by: str, host: str = "gw.corp.lan") -> x509.Certificate:
    return (
        unsigned(
            called(host),
            called(by),
            LEAF.public_key(),
            begin=NOW - DAY,
            end=NOW + 90 * DAY,
            serial=7,
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(signer, hashes.SHA256())
    )


def checked(
    *chain: x509.Certificate, roots: list[x509.Certificate] | None, host: str = "gw.corp.lan"
) -> CheckedChain:
    name = Identifier(IdentifierType.DNS, host)
    return check_issued(private(LEAF), pem(*chain), [name], now=NOW, trusted_roots=roots)


@pytest.fixture(scope="module")
def version_1(tmp_path_factory: pytest.TempPathFactory) -> x509.Certificate:
    """Return an X.509 version 1 root, which ``cryptography`` does not create."""
    directory: Path = tmp_path_factory.mktemp("root")
    (directory / "key.pem").write_bytes(private(ROOT))
    for command in (
        "openssl req -new -key key.pem -subj /CN=Root -out request.pem",
        "openssl x509 -req -in request.pem -signkey key.pem -days 900 -out root.pem",
    ):
        subprocess.run(command.split(), cwd=directory, check=True, capture_output=True)
    root = x509.load_pem_x509_certificate((directory / "root.pem").read_bytes())
    assert root.version is x509.Version.v1
    return root


def test_a_trusted_version_1_root_is_an_anchor(version_1: x509.Certificate) -> None:
    issuer = authority("Issuer", ISSUER, "Root", ROOT)
    assert checked(leaf(ISSUER, "Issuer"), issuer, roots=[version_1]).chain == pem(issuer)
    assert checked(leaf(ROOT, "Root"), roots=[version_1]).chain == b""
    with pytest.raises(CertificateError, match="not a CA certificate"):
        checked(leaf(ISSUER, "Issuer"), issuer, version_1, roots=None)


def test_a_version_1_certificate_is_not_an_intermediate(version_1: x509.Certificate) -> None:
    other = authority("Other", ISSUER, "Other", ISSUER)
    with pytest.raises(CertificateError):
        checked(leaf(ROOT, "Root"), version_1, roots=[other])


@pytest.mark.parametrize("where", ["root", "intermediate", "both"])
def test_a_dotted_constraint_is_read_as_openssl_reads_it(where: str) -> None:
    root = authority("Root", ROOT, "Root", ROOT, ".lan" if where != "intermediate" else "")
    issuer = authority("Issuer", ISSUER, "Root", ROOT, ".corp.lan" if where != "root" else "")
    assert checked(leaf(ISSUER, "Issuer"), issuer, roots=[root]).chain == pem(issuer)
    with pytest.raises(CertificateError):
        checked(leaf(ISSUER, "Issuer", "gw.corp.org"), issuer, roots=[root], host="gw.corp.org")


@pytest.mark.parametrize("where", ["root", "intermediate"])
def test_a_dotted_constraint_excludes_the_domain_itself(where: str) -> None:
    root = authority("Root", ROOT, "Root", ROOT, ".corp.lan" if where == "root" else "")
    issuer = authority("Issuer", ISSUER, "Root", ROOT, ".corp.lan" if where != "root" else "")
    with pytest.raises(CertificateError, match=r"but not corp\.lan itself"):
        checked(leaf(ISSUER, "Issuer", "corp.lan"), issuer, roots=[root], host="corp.lan")


def test_only_a_ca_that_has_not_expired_can_be_an_anchor(
    version_1: x509.Certificate,
) -> None:
    root = authority("Root", ROOT, "Root", ROOT)
    assert can_anchor(root, NOW)
    assert can_anchor(version_1, NOW)
    assert not can_anchor(root, NOW + 1000 * DAY)
    assert not can_anchor(leaf(ROOT, "Root"), NOW)


def test_constraints_above_a_dotted_one_apply() -> None:
    root = authority("Root", ROOT, "Root", ROOT, "example.org")
    issuer = authority("Issuer", ISSUER, "Root", ROOT, ".corp.lan")
    with pytest.raises(CertificateError):
        checked(leaf(ISSUER, "Issuer"), issuer, roots=[root])


def test_an_excluded_name_stays_excluded() -> None:
    root = authority("Root", ROOT, "Root", ROOT)
    issuer = authority("Issuer", ISSUER, "Root", ROOT, ".corp.lan", excluded=True)
    with pytest.raises(CertificateError):
        checked(leaf(ISSUER, "Issuer"), issuer, roots=[root])


def test_a_dotted_constraint_does_not_make_an_unrelated_ca_an_anchor() -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    root = authority("Root", stranger, "Root", stranger)
    issuer = authority("Issuer", ISSUER, "Root", ROOT, ".corp.lan")
    with pytest.raises(CertificateError):
        checked(leaf(ISSUER, "Issuer"), issuer, roots=[root])


def test_must_staple_is_noted() -> None:
    root = authority("Root", ROOT, "Root", ROOT)
    plain = leaf(ROOT, "Root")
    stapled = (
        x509.CertificateBuilder(
            plain.issuer,
            plain.subject,
            plain.public_key(),
            plain.serial_number,
            plain.not_valid_before_utc,
            plain.not_valid_after_utc,
            list(plain.extensions),
        )
        .add_extension(x509.TLSFeature([x509.TLSFeatureType.status_request]), critical=False)
        .sign(ROOT, hashes.SHA256())
    )
    assert not checked(plain, roots=[root]).notes
    (note,) = checked(stapled, roots=[root]).notes
    assert "clients refuse it unless the server staples" in note
