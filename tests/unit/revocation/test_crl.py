"""Tests of CRL verification and look-up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ReasonFlags
from cryptography.x509.oid import NameOID
from tests.fakes.clock import DAY, NOW
from tests.fakes.crl import URL, crl, leaf, point, uri
from tests.fakes.pki import Issued, Pki, common_name, key_usage

from gatecert.errors import CertificateError
from gatecert.model import RevocationReason
from gatecert.revocation.crl import (
    ALL_REASONS,
    DistributionPoint,
    RevokedEntry,
    VerifiedCrl,
    delta_applies,
    delta_distribution_points,
    distribution_points,
    find_revocation,
    parse_crl,
    reason,
    verify_crl,
)

SKEW = timedelta(minutes=5)
# Object identifiers of extensions below 2.5.29, in DER.
ISSUER_ALTERNATIVE_NAME, CRL_NUMBER = b"\x55\x1d\x12", b"\x55\x1d\x14"
CRL_REASON, INVALIDITY_DATE = b"\x55\x1d\x15", b"\x55\x1d\x18"


@pytest.fixture
def root() -> Issued:
    return Pki().root()


def accepted(
    root: Issued, certificate: x509.Certificate, found: x509.CertificateRevocationList
) -> VerifiedCrl:
    (place, *_) = distribution_points(certificate)
    return verify_crl(found, certificate, root.certificate, place, now=NOW, clock_skew=SKEW)


# --------------------------------------------------------------------- where


def test_distribution_points_of_a_certificate(root: Issued) -> None:
    other = "HTTP://b.example/x"
    certificate = leaf(root, point("ldap://ca.example/x", URL, other))
    (place,) = distribution_points(certificate)
    assert place.urls == (URL, other)
    assert uri() in place.names
    assert place.reasons == ALL_REASONS
    assert {ReasonFlags.key_compromise, ReasonFlags.certificate_hold} <= ALL_REASONS


def test_unusable_distribution_points_are_ignored(root: Issued) -> None:
    assert distribution_points(leaf(root)) == ()
    assert (
        distribution_points(leaf(root, point("https://ca.example/x"), point(URL, issuer="Else")))
        == ()
    )


def test_distribution_points_of_delta_crls(root: Issued) -> None:
    freshest = x509.FreshestCRL([point("http://ca.example/delta")])
    certificate = leaf(root, point(URL))
    plain = accepted(root, certificate, crl(root))
    assert delta_distribution_points(certificate, plain) == ()
    pointing = accepted(root, certificate, crl(root, extensions=[(freshest, False)]))
    assert [place.urls for place in delta_distribution_points(certificate, pointing)] == [
        ("http://ca.example/delta",)
    ]


# --------------------------------------------------------------------- whether it counts


@pytest.mark.parametrize(
    "url", ["http://ca.\x01xample/1.crl", "http://ca.example/a b", "http://", "http://[ca"]
)
def test_malformed_urls_are_ignored(root: Issued, url: str) -> None:
    assert distribution_points(leaf(root, point(url))) == ()


def test_crls_are_parsed_from_der_and_pem(root: Issued) -> None:
    made = crl(root)
    assert parse_crl(made.public_bytes(Encoding.DER)) == made
    assert parse_crl(b"\n" + made.public_bytes(Encoding.PEM)) == made


@pytest.mark.parametrize("data", [b"", b"<html>", b"-----BEGIN X509 CRL-----\n", b"0\x03abc"])
def test_no_crl(data: bytes) -> None:
    with pytest.raises(CertificateError, match="the data is not a CRL"):
        parse_crl(data)


def test_a_crl_with_a_duplicate_extension_is_refused(root: Issued) -> None:
    name = x509.IssuerAlternativeName([x509.DNSName("ca.example")])
    data = crl(root, extensions=[(name, False)]).public_bytes(Encoding.DER)
    with pytest.raises(CertificateError, match="the data is not a CRL"):
        parse_crl(data.replace(ISSUER_ALTERNATIVE_NAME, CRL_NUMBER))


def test_contradicting_reason_codes_count_as_unspecified(root: Issued) -> None:
    certificate = leaf(root)
    made = crl(root, [(certificate, ReasonFlags.key_compromise)], invalid=NOW)
    data = made.public_bytes(Encoding.DER).replace(INVALIDITY_DATE, CRL_REASON)
    (entry,) = parse_crl(data)
    assert reason(entry) is ReasonFlags.unspecified


def test_a_complete_crl_covers_every_reason(root: Issued) -> None:
    certificate = leaf(root, point(URL))
    found = accepted(root, certificate, crl(root))
    assert (found.number, found.base, found.reasons) == (7, None, ALL_REASONS)
    assert (found.begins, found.ends) == (NOW - DAY, NOW + DAY)
    assert not found.has_ended(NOW)
    assert found.has_ended(NOW + DAY)


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"name": common_name("Else")}, "issuer is 'CN=Else', not 'CN=Root'"),
        ({"begins": timedelta(hours=1)}, "begins in the future"),
        ({"extensions": [(UNKNOWN, True)]}, "unknown critical extensions: 1.2.3.4"),
        ({"part": {"indirect_crl": True}}, "other issuers' certificates"),
        ({"part": {"only_contains_ca_certs": True}}, "other kinds of certificates"),
        ({"part": {"only_contains_attribute_certs": True}}, "other kinds of certificates"),
        ({"part": {"full_name": [uri("http://ca.example/2.crl")]}}, "another part"),
    ],
)
def test_an_invalid_crl_is_refused_with_a_reason(
    root: Issued, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(CertificateError, match=why):
        accepted(root, leaf(root, point(URL)), crl(root, **changes))


def test_a_crl_with_another_signature_is_refused(root: Issued) -> None:
    certificate = leaf(root, point(URL))
    forger = Pki().root()
    with pytest.raises(CertificateError, match="not signed by the key of 'CN=Root'"):
        accepted(root, certificate, crl(forger))
    rsa_forger = Pki().root(key_kind="2048")
    with pytest.raises(CertificateError, match="not signed"):
        accepted(root, certificate, crl(rsa_forger))


def test_an_issuer_without_crl_sign_is_refused() -> None:
    usage = key_usage(digital_signature=True)
    root = Pki().root(usage=usage)
    with pytest.raises(CertificateError, match="not signed"):
        accepted(root, leaf(root, point(URL)), crl(root))
    root = Pki().root(without_usage=True)
    assert accepted(root, leaf(root, point(URL)), crl(root)).number == 7


def test_a_partition_named_by_the_certificate_is_valid(root: Issued) -> None:
    certificate = leaf(root, point("http://b.example/", URL))
    part = {"full_name": [uri()], "only_contains_user_certs": True}
    assert accepted(root, certificate, crl(root, part=part)).reasons == ALL_REASONS
    assert accepted(root, certificate, crl(root, extensions=[(UNKNOWN, False)])).number == 7


def test_a_partition_may_be_named_relative_to_the_issuer(root: Issued) -> None:
    relative = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, "1")])
    whole = x509.Name([*root.certificate.subject.rdns, relative])
    place = DistributionPoint((URL,), frozenset({x509.DirectoryName(whole)}))
    found = crl(root, part={"relative_name": relative})
    certificate = leaf(root, point(URL))
    counted = verify_crl(found, certificate, root.certificate, place, now=NOW, clock_skew=SKEW)
    assert counted.reasons == ALL_REASONS
    with pytest.raises(CertificateError, match="another part"):
        accepted(root, certificate, found)


def test_the_reasons_of_crl_and_distribution_point_are_intersected(root: Issued) -> None:
    leaked, superseded = ReasonFlags.key_compromise, ReasonFlags.superseded
    certificate = leaf(root, point(URL, reasons=frozenset({leaked, superseded})))
    assert accepted(root, certificate, crl(root)).reasons == {leaked, superseded}
    part = {"only_some_reasons": frozenset({leaked})}
    assert accepted(root, certificate, crl(root, part=part)).reasons == {leaked}


# --------------------------------------------------------------------- what it says


def test_an_unlisted_certificate_is_not_revoked(root: Issued) -> None:
    certificate, other = leaf(root, point(URL)), leaf(root)
    assert (
        find_revocation(certificate, accepted(root, certificate, crl(root, [(other, None)])))
        is None
    )


@pytest.mark.parametrize("reason", [None, *sorted(ALL_REASONS, key=lambda reason: reason.name)])
def test_a_listed_certificate_is_revoked_with_its_reason(
    root: Issued, reason: ReasonFlags | None
) -> None:
    certificate = leaf(root, point(URL))
    found = accepted(root, certificate, crl(root, [(certificate, reason)]))
    expected = RevocationReason.UNSPECIFIED if reason is None else RevocationReason(reason.value)
    assert find_revocation(certificate, found) == RevokedEntry(NOW - 2 * DAY, expected)


def test_a_delta_crl_adds_and_removes_entries(root: Issued) -> None:
    certificate = leaf(root, point(URL))

    def listed(reason: ReasonFlags | None, **changes: Any) -> VerifiedCrl:  # noqa: ANN401 - see crl
        revoked = [(certificate, reason)] if reason else []
        return accepted(root, certificate, crl(root, revoked, **changes))

    base, delta = listed(None), listed(ReasonFlags.superseded, number=8, base=7)
    assert delta_applies(base, delta)
    assert find_revocation(certificate, base, delta) == RevokedEntry(
        NOW - 2 * DAY, RevocationReason.SUPERSEDED
    )
    held = listed(ReasonFlags.certificate_hold)
    released = listed(ReasonFlags.remove_from_crl, number=8, base=6)
    assert find_revocation(certificate, held) is not None
    assert delta_applies(held, released)
    assert find_revocation(certificate, held, released) is None
    empty = listed(None, number=8, base=7)
    assert find_revocation(certificate, held, empty) == find_revocation(certificate, held)


FOR_ONE_REASON = {"only_some_reasons": frozenset({ReasonFlags.superseded})}


@pytest.mark.parametrize(
    ("base", "delta"),
    [
        ({}, {}),  # no delta at all
        ({}, {"number": 9, "base": 8}),  # based on a newer one
        ({}, {"number": 7, "base": 6}),  # no newer than the complete one
        ({"number": None}, {"number": 8, "base": 7}),
        ({}, {"number": None, "base": 7}),
        (
            {},
            {
                "number": 8,
                "base": 7,
                "part": FOR_ONE_REASON,
            },
        ),
    ],
)
def test_a_delta_crl_that_does_not_apply(
    root: Issued, base: dict[str, Any], delta: dict[str, Any]
) -> None:
    certificate = leaf(root, point(URL))
    whole = accepted(root, certificate, crl(root, **base))
    assert not delta_applies(whole, accepted(root, certificate, crl(root, **delta)))
