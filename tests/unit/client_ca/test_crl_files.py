from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.fakes.clock import DAY, NOW
from tests.fakes.pki import SERIAL, Issued, key_usage, negated
from tests.fakes.users_office import part, write_crl

from gatecert.client_ca.crl_files import CrlFile, CrlResult, read_crls, revocation_result
from gatecert.errors import CertificateError, StorageError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from tests.fakes.users_office import Office


def looked_up(
    user: Issued, issuer: Issued, path: Path, *crls: x509.CertificateRevocationList
) -> CrlResult:
    found = [CrlFile(path, each) for each in crls]
    return revocation_result(user.certificate, issuer.certificate, found, now=NOW)


def test_crls_are_read_from_pem_and_der(office: Office, tmp_path: Path) -> None:
    one, two = office.root("one"), office.root("two")
    both = write_crl(tmp_path / "both.crl", office.crl(one), office.crl(two))
    binary = tmp_path / "binary.crl"
    binary.write_bytes(office.crl(one).public_bytes(Encoding.DER))

    found = read_crls([both, binary])

    assert [each.path for each in found] == [both, both, binary]
    assert [each.crl.issuer.rfc4514_string() for each in found] == ["CN=one", "CN=two", "CN=one"]


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        StorageError, match="cannot tell which client certificates are revoked"
    ) as caught:
        read_crls([tmp_path / "none.crl"])
    assert "client_authentication.crl_files" in caught.value.fix


def test_pipe_in_place_of_a_crl_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "users.crl")
    with pytest.raises(StorageError, match="not a regular file, so gatecert cannot tell which"):
        read_crls([tmp_path / "users.crl"])


@pytest.mark.parametrize(
    "contents",
    [b"", b"nothing", b"-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n", b"\x30\x03abc"],
)
def test_file_without_a_crl_is_an_error(tmp_path: Path, contents: bytes) -> None:
    path = tmp_path / "users.crl"
    path.write_bytes(contents)
    with pytest.raises(CertificateError, match="holds no CRL") as caught:
        read_crls([path])
    assert "openssl ca -gencrl" in caught.value.fix


def test_revocation_is_given_with_its_reason(office: Office, tmp_path: Path) -> None:
    root = office.root()
    alice = office.user(root)
    reason = x509.ReasonFlags.key_compromise

    assert (
        "UTC (keyCompromise), according to"
        in looked_up(alice, root, tmp_path, office.crl(root, alice, reason=reason)).problem
    )
    assert not looked_up(alice, root, tmp_path, office.crl(root)).problem


def test_negative_serial_number_causes_a_note(office: Office, tmp_path: Path) -> None:
    root = office.root()
    alice = office.user(root, serial=SERIAL)
    negative = replace(alice, certificate=negated(alice.certificate))
    found = looked_up(negative, root, tmp_path, office.crl(root))
    assert not found.problem
    assert "negative" in found.notes[-1]


def test_newest_crl_applies(office: Office, tmp_path: Path) -> None:
    root = office.root()
    alice = office.user(root)
    old = office.crl(root, alice, made=NOW - 3 * DAY)

    assert not looked_up(alice, root, tmp_path, old, office.crl(root)).problem
    assert looked_up(alice, root, tmp_path, old).problem


def test_expired_crl_still_applies_and_causes_a_note(office: Office, tmp_path: Path) -> None:
    root = office.root()
    alice = office.user(root)

    found = looked_up(
        alice, root, tmp_path, office.crl(root, alice, made=NOW - 9 * DAY, end=NOW - DAY)
    )

    assert found.problem
    assert "expired on 2026-11-22 08:15:00 UTC" in found.notes[0]
    assert "nginx refuses every client" in found.notes[0]


def test_crl_with_another_signer_does_not_apply(office: Office, tmp_path: Path) -> None:
    root = office.root()
    alice = office.user(root)
    forged = office.crl(root, alice, signer=office.root("other"))

    found = looked_up(alice, root, tmp_path, forged)

    assert not found.problem
    assert "the key of 'CN=Users' did not sign this CRL" in found.notes[0]
    assert "no usable CRL of 'CN=Users'" in found.notes[1]


def test_crl_signed_with_another_type_of_key_does_not_apply(office: Office, tmp_path: Path) -> None:
    root = office.root()
    alice = office.user(root)
    forged = office.crl(root, alice, signer=office.root("rsa", key_kind="2048"))

    assert not looked_up(alice, root, tmp_path, forged).problem


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


@pytest.mark.parametrize(
    ("extension", "made", "why"),
    [
        (part(authorities=True), NOW, "for other kinds of certificates"),
        (part("http://ca.example/2.crl"), NOW, "another partition of the issuer's CRLs"),
        (part(indirect=True), NOW, "other issuers' certificates"),
        ((x509.DeltaCRLIndicator(1), True), NOW, "this is a delta CRL"),
        ((UNKNOWN, True), NOW, "unknown critical extensions: 1.2.3.4"),
        ((x509.CRLNumber(9), False), NOW + DAY, "begins in the future"),
    ],
)
def test_newer_crl_that_does_not_apply_hides_no_revocation(
    office: Office,
    tmp_path: Path,
    extension: tuple[x509.ExtensionType, bool],
    made: datetime,
    why: str,
) -> None:
    root = office.root()
    alice = office.user(root)
    newer = office.crl(root, made=made, end=made + 7 * DAY, extensions=[extension])

    found = looked_up(alice, root, tmp_path, office.crl(root, alice), newer)

    assert found.problem
    assert why in found.notes[0]
    assert found.notes[0].endswith(": not used")
    assert "no usable CRL of" in looked_up(alice, root, tmp_path, newer).notes[1]


def test_crls_of_several_scopes_apply_together(office: Office, tmp_path: Path) -> None:
    root = office.root()
    url = x509.UniformResourceIdentifier("http://ca.example/1.crl")
    points = x509.CRLDistributionPoints([x509.DistributionPoint([url], None, None, None)])
    alice = office.user(root, extensions=[(points, False)])
    middle = office.intermediate(root)
    mine = office.crl(root, alice, extensions=[part(url.value)])
    authorities = office.crl(root, middle, made=NOW, extensions=[part(authorities=True)])
    users = office.crl(root, made=NOW, extensions=[part(users=True)])

    assert looked_up(alice, root, tmp_path, mine, users, authorities).problem
    assert looked_up(middle, root, tmp_path, mine, users, authorities).problem


def test_client_ca_that_may_sign_no_crls_causes_a_note(office: Office, tmp_path: Path) -> None:
    root = office.root(usage=key_usage(key_cert_sign=True, crl_sign=False))
    alice = office.user(root)

    found = looked_up(alice, root, tmp_path, office.crl(root, alice))

    assert found.problem
    assert "lacks cRLSign" in found.notes[0]
