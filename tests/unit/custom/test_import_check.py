"""Tests of import checks: certificates are found by key, errors name the best reason."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.x509.oid import NameOID
from tests.fakes.custom_office import HOST, PAIR, PRIMARY, SPARE, Office

from gatecert.certificate.imported import FAILED
from gatecert.errors import CertificateError, WrongUsageError
from gatecert.model import Identifier, IdentifierType, Member, Mode, Origin

if TYPE_CHECKING:
    from pathlib import Path


LATER = Identifier(IdentifierType.DNS, SPARE.common_name)


def refusal(office: Office, certificate: bytes, chain: bytes | None = None) -> CertificateError:
    with pytest.raises(CertificateError) as caught:
        office.check_import(certificate, chain)
    return caught.value


def test_a_certificate_is_accepted_with_its_key(office: Office) -> None:
    request = office.request().pending.request
    certificate = office.sign(office.csr())
    accepted = office.check_import(certificate)
    assert accepted.issued.origin is Origin.IMPORTED
    assert accepted.issued.private_key == request.private_key
    assert accepted.issued.certificate == certificate
    assert accepted.issued.chain == office.middle.pem
    assert accepted.issued.root == office.root.pem
    assert accepted.version is None
    assert accepted.summary.issuer == "CN=Company Issuing"


def test_a_later_request_does_not_orphan_an_earlier_one(office: Office) -> None:
    first = office.request().pending.request
    early = office.csr()
    office.request(renew=True)
    assert office.check_import(office.sign(early)).issued.private_key == first.private_key


def test_files_may_be_swapped_or_one(office: Office) -> None:
    certificate = office.sign(office.csr())
    swapped = office.check_import(office.chain, certificate)
    together = office.check_import(certificate + office.chain, certificate + office.chain)
    assert swapped.issued == together.issued


def test_an_unknown_key_lists_the_pending_csrs(office: Office) -> None:
    foreign = office.pki.issue(HOST, office.middle, names=(HOST,))
    error = refusal(office, foreign.pem)
    assert "no CSR is pending" in error.message
    assert "gatecert csr hq" in error.fix
    first = office.request().pending
    second = office.request(renew=True).pending
    error = refusal(office, foreign.pem)
    for pending in (first, second):
        assert pending.key_fingerprint in error.message
    assert "made 2026-11-23 08:15:00 UTC" in error.message


def test_issuers_alone_are_refused(office: Office) -> None:
    office.request()
    assert "'CN=Company Issuing'" in refusal(office, office.chain).message


def test_a_chain_without_its_root_is_refused(office: Office) -> None:
    certificate = office.sign(office.csr())
    assert refusal(office, certificate, office.middle.pem).message.startswith(FAILED)
    assert refusal(office, certificate, certificate).message.startswith(FAILED)


def test_a_private_key_in_either_file_is_refused(office: Office) -> None:
    certificate = office.sign(office.csr())
    secret = office.pki.issue("x").key_pem
    assert "private key" in refusal(office, certificate + secret).message
    assert "private key" in refusal(office, certificate, office.chain + secret).message


def test_an_automatic_gateway_refuses_imports(office: Office) -> None:
    certificate = office.sign(office.csr())
    office.target = replace(office.target, mode=Mode.AUTOMATIC)
    with pytest.raises(WrongUsageError, match="certificates cannot be imported"):
        office.check_import(certificate)


def imported(office: Office, certificate: bytes) -> None:
    issued = office.check_import(certificate).issued
    office.store.add_version("hq", issued, now=office.now)
    for each in office.store.requests("hq"):
        office.store.remove_request("hq", each.id)


def test_a_repeated_certificate_is_recognised(office: Office) -> None:
    certificate = office.sign(office.csr())
    imported(office, certificate)
    version = office.check_import(certificate).version
    assert version is not None
    assert version.certificate == certificate


def test_a_certificate_reissued_for_a_key_in_use_is_accepted(office: Office) -> None:
    csr = office.csr()
    imported(office, office.sign(csr))
    again = office.check_import(office.sign(csr, days=700))
    assert again.version is None
    (version,) = office.store.versions("hq")
    assert again.issued.private_key == office.store.private_key(version)


def test_the_previous_certificate_in_the_chain_file_is_left_out(office: Office) -> None:
    csr = office.csr()
    old, new = office.sign(csr), office.sign(csr, days=700)
    imported(office, old)

    accepted = office.check_import(new, old + office.chain)

    assert accepted.issued.certificate == new
    assert accepted.issued.chain == office.middle.pem
    assert any("not served" in note for note in accepted.issued.notes)


def test_two_certificates_for_a_key_are_distinguished(office: Office) -> None:
    csr = office.csr()
    both = [office.sign(csr), office.sign(csr, days=700)]
    for certificate, chain in ((b"".join(both), None), (office.chain, b"".join(both))):
        error = refusal(office, certificate, chain)
        assert "2 different certificates for the same private key" in error.message
        for each in both:
            issued = x509.load_pem_x509_certificate(each)
            assert f"(serial {issued.serial_number:x}, 2026-11-22 08:15:00 UTC to " in error.message
            assert f"{issued.not_valid_after_utc:%Y-%m-%d}" in error.message


def test_the_same_certificate_with_another_chain_is_accepted(office: Office) -> None:
    certificate = office.sign(office.csr())
    imported(office, certificate)
    crossed = office.pki.authority("Company Root", office.pki.root("Old Root"))
    more = office.check_import(certificate, office.chain + crossed.pem)
    assert more.version is None
    assert more.issued.chain == office.middle.pem + crossed.pem


def test_the_key_of_a_bootstrap_certificate_is_not_a_csr(office: Office) -> None:
    office.pipeline.prepare(office.target)
    key = office.live.public_key()
    assert isinstance(key, EllipticCurvePublicKey)
    signed = office.sign(office.csr(), public_key=key)
    assert "belongs to no key" in refusal(office, signed).message


# --------------------------------------------------------------------- pairs


@pytest.fixture
def spare(tmp_path: Path, office: Office) -> Office:
    """Return the other host: its own state, the same CA."""
    office.target = replace(PAIR)
    other = Office(tmp_path / "spare", target=replace(PAIR), pki=office.pki)
    other.root, other.middle = office.root, office.middle
    return other


def test_each_member_imports_its_own_certificate(office: Office, spare: Office) -> None:
    for host, member in ((office, "primary"), (spare, "spare")):
        accepted = host.check_import(host.sign(host.csr(member=member)))
        names = [str(name) for name in accepted.summary.identifiers]
        assert names == [HOST, {"primary": PRIMARY, "spare": SPARE}[member].common_name]


@pytest.mark.parametrize("configured", ["", "primary"])
def test_another_members_certificate_is_identified(
    office: Office, spare: Office, configured: str
) -> None:
    office.target = replace(office.target, member=configured)
    office.request(member="primary")
    error = refusal(office, spare.sign(spare.csr(member="spare")))
    assert "belongs to member spare (secondaryvpn.company.com)" in error.message
    assert "this host is member primary" in error.message
    assert "import it on the host of spare" in error.fix


def test_a_member_whose_name_is_too_long_for_a_common_name(office: Office) -> None:
    long = Member("primary", f"{'p' * 60}.company.com")
    office.target = replace(PAIR, members=(long, SPARE), identifiers=(*PAIR.identifiers, LATER))
    csr = office.csr(member="primary")
    assert not csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    names = [str(name) for name in office.check_import(office.sign(csr)).summary.identifiers]
    assert names == [HOST, long.common_name, SPARE.common_name]


def test_a_member_without_a_csr_is_refused_with_that_reason(office: Office, spare: Office) -> None:
    error = refusal(office, spare.sign(spare.csr(member="spare")))
    assert "this host is a host without a CSR of that member" in error.message


def test_a_certificate_with_another_members_name_is_identified(
    office: Office,
) -> None:
    office.target = PAIR
    wrong = office.sign(office.csr(member="primary"), names=(SPARE.common_name, HOST))
    assert "belongs to member spare" in refusal(office, wrong).message


def test_a_missing_shared_name_is_refused(office: Office) -> None:
    office.target = PAIR
    wrong = office.sign(office.csr(member="primary"), names=(PRIMARY.common_name,))
    assert f"is not for {HOST}" in refusal(office, wrong).message


def test_a_csr_without_a_member_does_not_set_the_member(office: Office) -> None:
    certificate = office.sign(office.csr())
    office.target = PAIR
    assert office.check_import(certificate).summary.identifiers == office.target.identifiers


def test_a_certificate_for_another_key_is_refused(office: Office) -> None:
    imported(office, office.sign(office.csr()))
    foreign = office.pki.issue(HOST, office.middle, names=(HOST,))
    assert "no CSR is pending" in refusal(office, foreign.pem).message
