from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID
from tests.fakes.pki import NAME, Pki

from gatecert.certificate.certificate_names import label, name_text, short_name

NOBODY = x509.Name([])


def common_names(*names: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names])


def test_a_label_is_the_subject_then_a_name_then_the_serial(pki: Pki) -> None:
    assert label(pki.issue().certificate) == f"'CN={NAME}'"
    assert label(pki.issue(subject=NOBODY, issuer=pki.root()).certificate) == f"'{NAME}'"
    nameless = pki.issue(subject=NOBODY, names=(), serial=0xBEEF, issuer=pki.root())
    assert label(nameless.certificate) == "'serial beef'"


def test_a_ca_is_named_by_its_common_name() -> None:
    assert short_name(common_names("Root X1")) == "Root X1"
    assert short_name(common_names("one", "two")) == "CN=two,CN=one"
    assert short_name(NOBODY) == ""


def test_text_of_certificates_is_cleaned_and_cut(pki: Pki) -> None:
    evil = common_names("a\x00\x1b]0;b\x07" + "c" * 50)
    for text in (label(pki.issue(subject=evil).certificate), short_name(evil), name_text(evil)):
        assert text.isprintable()
    long = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "x" * 60) for _ in range(20)]
    )
    assert len(label(pki.issue(subject=long).certificate)) <= 122
    assert len(short_name(long)) <= 120
