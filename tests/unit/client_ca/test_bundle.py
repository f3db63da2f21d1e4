from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from tests.fakes.clock import DAY, NOW
from tests.fakes.users_office import bundle

from gatecert.client_ca import bundle as bundles
from gatecert.client_ca.bundle import NO_END, PLACEHOLDER_NAME, Bundle
from gatecert.errors import CertificateError

if TYPE_CHECKING:
    from tests.fakes.users_office import Office


def test_bundle_survives_a_round_trip(office: Office) -> None:
    root = office.root()
    both = bundle(root, office.intermediate(root))

    assert bundles.from_pem(both.to_pem(now=NOW)) == both
    assert both.to_pem(now=NOW).count(b"BEGIN CERTIFICATE") == 2


def test_bundle_separates_roots_and_intermediates(office: Office) -> None:
    root = office.root()
    middle = office.intermediate(root)
    both = bundle(middle, root)

    assert both.roots == (root.certificate,)
    assert both.intermediates == (middle.certificate,)
    assert both.root_names == {"CN=Users"}
    assert both.intermediate_names == {"CN=Branch"}
    assert both.issuers_of(middle.certificate) == (root.certificate,)
    assert both.issuers_of(root.certificate) == (root.certificate,)


def test_bundle_describes_its_cas(office: Office) -> None:
    root = office.root(end=NOW + 9 * DAY)
    middle = office.intermediate(root)

    first, second = bundle(root, middle).client_cas()

    assert (first.subject, first.issuer, first.is_root) == ("CN=Users", "CN=Users", True)
    assert first.not_after == NOW + 9 * DAY
    assert len(first.fingerprint) == 64
    assert (second.subject, second.issuer, second.is_root) == ("CN=Branch", "CN=Users", False)


def test_bundle_id_does_not_depend_on_order(office: Office) -> None:
    one, two = office.root("one"), office.root("two")

    assert bundle(one, two).id == bundle(two, one).id
    assert bundle(one, two).id != bundle(one).id != Bundle().id == "none"


def test_bundle_without_a_ca_holds_a_placeholder() -> None:
    written = Bundle().to_pem(now=NOW)
    again = Bundle().to_pem(now=NOW)

    certificate = x509.load_pem_x509_certificate(written)
    certificate.verify_directly_issued_by(certificate)
    assert certificate.subject == PLACEHOLDER_NAME
    assert certificate.not_valid_after_utc == NO_END
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert written != again  # each placeholder has a new key
    assert bundles.from_pem(written) == Bundle()
    assert Bundle().root_names == {PLACEHOLDER_NAME.rfc4514_string()}
    assert Bundle().intermediate_names == frozenset()


def test_only_a_placeholder_is_a_placeholder(office: Office) -> None:
    namesake = office.user(office.root(), subject=PLACEHOLDER_NAME)

    assert bundles.is_placeholder(bundles.placeholder(now=NOW))
    assert not bundles.is_placeholder(namesake.certificate)
    assert not bundles.is_placeholder(office.root().certificate)


@pytest.mark.parametrize("garbage", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nMIIB"])
def test_invalid_bundle_is_refused(garbage: bytes) -> None:
    with pytest.raises(CertificateError):
        bundles.from_pem(garbage)
