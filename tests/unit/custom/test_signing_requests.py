"""Tests of CSRs: created once, printed repeatedly, never orphaned."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.fakes.custom_office import HOST, PAIR, SPARE, Office
from tests.fakes.pki import dns

from gatecert.custom.signing_requests import PREFIX, pending_requests
from gatecert.errors import WrongUsageError
from gatecert.model import KeyPolicy, KeyRequest, KeyType, Mode

if TYPE_CHECKING:
    from gatecert.model import Target


def names(csr: x509.CertificateSigningRequest) -> list[str]:
    found = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return found.get_values_for_type(x509.DNSName)


def test_a_csr_requests_a_server_certificate(office: Office) -> None:
    csr = office.csr()
    assert csr.is_signature_valid
    assert csr.subject.rfc4514_string() == f"CN={HOST},O=Company,C=US"
    assert names(csr) == [HOST]
    extensions = csr.extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature) == (True, True)
    extended = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_the_pending_csr_is_returned_again(office: Office) -> None:
    first = office.request()
    again = office.request()
    assert (first.is_new, again.is_new) == (True, False)
    assert first.pending == again.pending
    assert first.pending.request.id.startswith(PREFIX)
    assert "key SHA-256" in str(first.pending)


def test_renewal_creates_another_and_keeps_the_first(office: Office) -> None:
    first = office.request()
    office.now += timedelta(hours=1)
    second = office.request(renew=True)
    assert second.is_new
    assert second.outdated is None
    assert pending_requests(office.store, "hq") == (second.pending, first.pending)
    assert office.request().pending == second.pending


@pytest.mark.parametrize(
    "changed",
    [
        {"identifiers": dns(HOST, "other.company.com")},
        {"subject": (("O", "Other"),)},
        {"key": KeyPolicy(KeyType.RSA_2048)},
        {"key": KeyPolicy(KeyType.ECDSA_P384)},
    ],
)
def test_an_outdated_csr_is_followed_by_a_new_one(
    office: Office, changed: dict[str, object]
) -> None:
    first = office.request()
    office.target = _changed(office.target, changed)
    second = office.request()
    assert second.is_new
    assert second.outdated == first.pending
    assert len(pending_requests(office.store, "hq")) == 2
    assert not office.request().is_new


def _changed(target: Target, changed: dict[str, object]) -> Target:
    return replace(target, **changed)  # type: ignore[arg-type] # names of fields


def test_the_key_has_the_configured_type(office: Office) -> None:
    office.target = replace(office.target, key=KeyPolicy(KeyType.RSA_3072))
    csr = office.csr()
    public_key = csr.public_key()
    assert isinstance(public_key, rsa.RSAPublicKey)
    assert public_key.key_size == 3072
    assert csr.extensions.get_extension_for_class(x509.KeyUsage).value.key_encipherment
    assert not office.request().is_new


def test_each_member_has_its_own_csr(office: Office) -> None:
    office.target = PAIR
    with pytest.raises(WrongUsageError, match="this host's member is not set"):
        office.request()
    csr = office.csr(member="spare")
    (common_name,) = csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert common_name.value == SPARE.common_name
    assert names(csr) == [HOST, SPARE.common_name]


def test_an_automatic_gateway_needs_no_csr(office: Office) -> None:
    office.target = replace(office.target, mode=Mode.AUTOMATIC)
    with pytest.raises(WrongUsageError, match="set mode: custom"):
        office.request()


def test_order_keys_and_garbage_are_not_csrs(office: Office) -> None:
    made = office.request().pending.request
    office.store.add_request("hq", replace(made, id="order-1"))
    garbage = b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n"
    office.store.add_request("hq", KeyRequest("csr-garbage", office.now, garbage, made.csr))
    assert [each.request.id for each in pending_requests(office.store, "hq")] == [made.id]


def test_a_key_certified_before_a_crash_is_not_reused(
    office: Office,
) -> None:
    first = office.request()
    csr = x509.load_pem_x509_csr(first.pending.request.csr)
    issued = office.check_import(office.sign(csr)).issued
    office.store.add_version("hq", issued, now=office.now)
    second = office.request()
    assert second.is_new
    assert pending_requests(office.store, "hq") == (second.pending,)


def test_an_unreadable_version_removes_no_csr(office: Office) -> None:
    first = office.request()
    issued = office.check_import(office.sign(office.csr())).issued
    torn = issued.certificate.replace(b"M", b"A", 3)
    office.store.add_version("hq", replace(issued, certificate=torn), now=office.now)
    assert office.request().pending == first.pending


def test_a_private_key_is_never_shown(office: Office) -> None:
    requested = office.request()
    assert "PRIVATE" not in f"{requested!r}{requested.pending}"
    assert requested.pending.request.private_key.decode() not in repr(requested)
