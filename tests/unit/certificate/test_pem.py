from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from gatecert.certificate.pem import find_readable, load_roots, parse, split_pem
from gatecert.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fakes.pki import Good, Pki


def test_the_order_of_the_text_is_kept(good: Good) -> None:
    assert split_pem(good.fullchain) == [good.leaf.certificate, good.intermediate.certificate]
    assert split_pem(good.leaf.pem * 2) == [good.leaf.certificate] * 2


def test_a_certificate_is_parsed_once(good: Good) -> None:
    assert split_pem(good.fullchain)[1] is split_pem(good.intermediate.pem)[0]


@pytest.mark.parametrize(
    "change",
    [
        lambda pem: pem.replace(b"\n", b"\r\n"),
        lambda pem: b"\xef\xbb\xbf" + pem,
        lambda pem: b"\n\n" + pem.replace(b"-----END", b"\n-----END") + b"\n\n",
        lambda pem: pem.rstrip(b"\n"),
        lambda pem: pem.replace(b"\n", b"\n \t"),
    ],
    ids=["CRLF", "byte order mark", "empty lines", "no last newline", "indented"],
)
def test_white_space_changes_are_ignored(good: Good, change: Callable[[bytes], bytes]) -> None:
    assert len(split_pem(change(good.fullchain))) == 2


@pytest.mark.parametrize(
    ("label", "fix"),
    [
        ("PKCS7", "openssl pkcs7"),
        ("CERTIFICATE REQUEST", "the certificate that the CA issued for it"),
        ("NEW CERTIFICATE REQUEST", "the certificate that the CA issued for it"),
        ("TRUSTED CERTIFICATE", "openssl x509"),
        ("X509 CERTIFICATE", "openssl x509"),
        ("X509 CRL", "leave only the blocks"),
        ("EC PRIVATE KEY", "remove it"),
        ("ENCRYPTED PRIVATE KEY", "remove it"),
    ],
)
def test_other_blocks_are_refused_with_their_fix(label: str, fix: str) -> None:
    secret = "c2VjcmV0"  # noqa: S105 - stands for the contents, which no message may show
    pem = f"-----BEGIN {label}-----\n{secret}\n-----END {label}-----\n".encode()
    for read in (split_pem, load_roots):
        with pytest.raises(CertificateError) as refusal:
            read(pem)
        assert fix in refusal.value.fix
        assert secret not in str(refusal.value)


def test_roots_may_have_comments_and_repetitions(good: Good) -> None:
    text = b"# Root\n=====\n" + good.root.pem + b"\n# again: -----\n" + good.root.pem + b"# end\n"
    assert load_roots(text) == (good.root.certificate,)


@pytest.mark.parametrize(
    "text", [b"# none\n", b"", b"-----BEGIN CERTIFICATE-----\n# cut", b"-----BEGIN\n"]
)
def test_roots_must_exist_and_be_complete(text: bytes) -> None:
    with pytest.raises(CertificateError):
        load_roots(text)


def test_an_unpaired_end_line_is_refused(good: Good) -> None:
    with pytest.raises(CertificateError, match="is unpaired"):
        load_roots(good.root.pem + b"-----END CERTIFICATE-----\n")


def test_serial_zero_is_read_without_a_warning(pki: Pki) -> None:
    # As Go Daddy's root has; warnings are errors in tests.
    der = pki.root("Zero", serial=1).der
    zero = der.replace(b"\x02\x01\x02\x02\x01\x01", b"\x02\x01\x02\x02\x01\x00", 1)
    assert zero != der
    assert parse(zero).subject == parse(der).subject


def test_a_damaged_part_is_found_at_once(pki: Pki) -> None:
    # The library decodes extensions lazily.
    twice = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.18"), b"\x05\x00")
    with pytest.raises(CertificateError, match="cannot be decoded"):
        parse(pki.issue(extensions=[(twice, False)]).der)


def test_a_signature_of_incomplete_octets_is_refused(good: Good) -> None:
    der = bytearray(good.leaf.der)
    der[-1 - len(good.leaf.certificate.signature)] = 1  # unused bits of the BIT STRING
    der[-1] &= 0xFE  # DER requires unused bits to be zero
    with pytest.raises(CertificateError, match="whole number of bytes"):
        parse(bytes(der))


@settings(max_examples=300, deadline=None)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255))
def test_a_changed_byte_is_parsed_or_refused_with_a_certificate_error(
    position: int, value: int, good: Good
) -> None:
    der = bytearray(good.leaf.der)
    der[position % len(der)] = value
    with suppress(CertificateError):  # and nothing else
        assert len(parse(bytes(der)).subject) == 1


@settings(max_examples=200, deadline=None)
@given(
    parts=st.lists(
        st.sampled_from(
            [
                b"-----BEGIN CERTIFICATE-----",
                b"-----END CERTIFICATE-----",
                b"-----BEGIN PRIVATE KEY-----",
                b"-----",
                b"\n",
                b"MIIB",
                b"=",
                b"\xff",
            ]
        ),
        max_size=12,
    )
)
def test_any_arrangement_of_lines_is_refused_with_a_certificate_error(parts: list[bytes]) -> None:
    for read in (split_pem, load_roots):
        with pytest.raises(CertificateError):
            read(b"".join(parts))


def test_crafted_text_is_parsed_quickly() -> None:
    with pytest.raises(CertificateError, match="truncated"):
        split_pem(b"-----BEGIN CERTIFICATE-----" * 35_000)


def test_only_readable_certificates_are_found(good: Good) -> None:
    assert find_readable([b"", good.fullchain, b"noise" + good.leaf.pem]) == (
        good.leaf.certificate,
        good.intermediate.certificate,
    )
