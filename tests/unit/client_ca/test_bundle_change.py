from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from tests.fakes.clock import DAY, NOW
from tests.fakes.pki import Issued, Pki, key_usage
from tests.fakes.users_office import SERVER_ONLY, bundle

from gatecert.client_ca import bundle as bundles
from gatecert.client_ca.bundle import Bundle, fingerprint
from gatecert.client_ca.bundle_change import Change, add, remove
from gatecert.client_ca.crl_files import CrlFile
from gatecert.errors import CertificateError, WrongUsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.users_office import Office


def added(before: Bundle, *issued: Issued) -> Change:
    return add(before, [each.certificate for each in issued], now=NOW)


def refused(before: Bundle, *issued: Issued) -> CertificateError:
    with pytest.raises(CertificateError) as caught:
        added(before, *issued)
    assert caught.value.fix
    return caught.value


# --------------------------------------------------------------------------- adding


def test_root_is_added(office: Office) -> None:
    one, two = office.root("one"), office.root("two")

    change = added(bundle(one), two)

    assert change.bundle == bundle(one, two)
    assert change.added == (two.certificate,)
    assert not change.notes
    assert str(change) == "added 'CN=two'"


def test_intermediates_are_added_with_their_root(office: Office) -> None:
    root = office.root()
    upper = office.intermediate(root, "Upper")
    lower = office.intermediate(upper, "Lower")

    assert added(Bundle(), lower, upper, root).bundle == bundle(lower, upper, root)
    later = added(bundle(root), root, upper)
    assert later.bundle == bundle(root, upper)
    assert later.notes == ("already present: 'CN=Users'",)


def test_intermediate_without_its_root_is_refused(office: Office) -> None:
    root = office.root()
    upper = office.intermediate(root, "Upper")
    lower = office.intermediate(upper, "Lower")

    alone = refused(bundle(office.root("other")), upper)
    assert "is an intermediate, and its root is missing" in alone.message
    assert "'CN=Users' is neither in the file nor a client CA" in alone.message
    assert "'CN=Upper'" in refused(Bundle(), root, lower).message


def test_intermediate_of_a_root_with_the_same_name_but_another_key_is_refused(
    office: Office,
) -> None:
    namesake = office.root("Users", key_name="another key")

    assert (
        "its root is missing"
        in refused(bundle(office.root()), office.intermediate(namesake)).message
    )


def test_present_client_ca_is_refused(office: Office) -> None:
    root = office.root()
    middle = office.intermediate(root)

    assert "is already a client CA" in refused(bundle(root), root).message
    assert "are already client CAs" in refused(bundle(root, middle), root, middle).message


def test_duplicate_certificate_in_the_file_is_refused(office: Office) -> None:
    root = office.root()

    assert "the file holds 'CN=Users' twice" in refused(Bundle(), root, root).message


def test_placeholder_is_refused() -> None:
    with pytest.raises(CertificateError, match="placeholder"):
        add(Bundle(), [bundles.placeholder(now=NOW)], now=NOW)


def test_invalid_root_is_refused(office: Office) -> None:
    forged = office.user(
        office.root("somebody else"),
        "forged",
        ca=True,
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forged")]),
    )
    cases = {
        "lack CA:TRUE": office.root("plain", ca=False),
        "basicConstraints lack": office.root("silent", ca=None),
        "its own key did not sign it": forged,
        "keyCertSign": office.root("usage", usage=key_usage(digital_signature=True)),
        "clientAuth": office.root("servers", extensions=[SERVER_ONLY]),
        "expired on 2026-11-22": office.root("old", begin=NOW - 9 * DAY, end=NOW - DAY),
        "is not valid before 2026-11-24": office.root("early", begin=NOW + DAY),
        "RSA key of 1024 bits": office.root("short", key_kind="1024"),
        "secp256k1": office.root("curve", key_kind="curve"),
    }
    for words, issued in cases.items():
        assert words in refused(bundle(office.root("there")), issued).message


def test_file_with_one_invalid_certificate_adds_nothing(office: Office) -> None:
    good = office.root("good")

    assert "lack CA:TRUE" in refused(Bundle(), good, office.user(good)).message


def test_intermediate_with_a_weak_signature_is_refused(office: Office) -> None:
    root = office.root()

    weak = refused(bundle(root), office.intermediate(root, "weak", sha1=True))

    assert "MD5 or SHA-1" in weak.message
    assert added(Bundle(), office.root("old style", sha1=True)).added


def test_unusual_client_ca_causes_a_note(office: Office) -> None:
    silent = office.root("silent", without_usage=True)
    assert added(Bundle(), silent).notes == (
        "'CN=silent' has no key usage; some servers require keyCertSign",
    )
    again = office.root("Users", key_name="the next key")
    (note,) = added(bundle(office.root()), again).notes
    assert "another client CA has the name 'CN=Users'" in note


def test_client_ca_with_an_unsupported_key_causes_a_note(office: Office) -> None:
    (note,) = added(Bundle(), office.root("Edwards", key_kind="ed25519")).notes
    assert "'CN=Edwards' has an Ed25519 key: gatecert cannot check" in note


def test_client_ca_without_a_crl_causes_a_note_if_others_have_one(
    office: Office, tmp_path: Path
) -> None:
    old, new = office.root("old"), office.root("new")
    crls = [CrlFile(tmp_path, office.crl(old))]
    (note,) = add(bundle(old), [new.certificate], crls, now=NOW).notes
    assert note.startswith("nginx refuses every client of 'CN=new' while this CA has no CRL")
    crls.append(CrlFile(tmp_path, office.crl(new)))
    assert not add(bundle(old), [new.certificate], crls, now=NOW).notes


# --------------------------------------------------------------------------- removing


def test_last_client_ca_can_be_removed(office: Office) -> None:
    root = office.root()

    change = remove(bundle(root), "Users")

    assert change.bundle == Bundle()
    assert change.removed == (root.certificate,)
    assert str(change) == "removed 'CN=Users'"
    assert change.notes == ("no client CA is left: the gateway accepts no client certificate",)


def test_intermediates_are_removed_with_their_root(office: Office) -> None:
    root, other = office.root(), office.root("other")
    upper = office.intermediate(root, "Upper")
    lower = office.intermediate(upper, "Lower")

    change = remove(bundle(root, upper, lower, other), "CN=Users")

    assert change.bundle == bundle(other)
    assert set(change.removed) == {root.certificate, upper.certificate, lower.certificate}
    assert "'CN=Upper', 'CN=Lower'" in change.notes[0]
    assert remove(bundle(root, upper, other), "Upper").bundle == bundle(root, other)


def test_intermediates_that_issued_each_other_are_removed_with_the_root(office: Office) -> None:
    root = office.root()
    one = office.intermediate(root, "one")
    two = office.intermediate(one, "two")
    back = office.pki.authority("one", two)

    assert remove(bundle(root, two, back), "Users").bundle == Bundle()


def test_selector_may_be_a_subject_or_a_fingerprint() -> None:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Users CA"),
        ]
    )
    root, other = Pki().root(subject=subject), Pki().root("other")
    digits = fingerprint(root.certificate)
    colons = ":".join(digits[at : at + 2] for at in range(0, 64, 2)).upper()
    for selector in (
        "CN=Users CA,O=Example,C=US",
        "C = US, O = Example, CN = Users CA",
        "subject=C = US, O = Example, CN = Users CA",
        "/C=US/O=Example/CN=Users CA",
        "users ca",
        digits,
        digits[:8],
        colons,
        f"sha256 Fingerprint={colons}",
    ):
        assert remove(bundle(root, other), selector).bundle == bundle(other), selector


@pytest.mark.parametrize("selector", ["", "nobody", "deadbeef", "CN=", "abc"])
def test_selector_that_matches_no_client_ca_is_refused(office: Office, selector: str) -> None:
    with pytest.raises(WrongUsageError, match="no client CA of this gateway matches") as caught:
        remove(bundle(office.root()), selector)
    assert "CN=Users" in caught.value.message


def test_nothing_can_be_removed_from_an_empty_bundle() -> None:
    with pytest.raises(WrongUsageError, match="its client CAs: none"):
        remove(Bundle(), "Users")


def test_client_cas_with_the_same_name_are_selected_by_fingerprint(office: Office) -> None:
    one, two = office.root(), office.root("Users", key_name="the next key")

    with pytest.raises(WrongUsageError, match="several") as caught:
        remove(bundle(one, two), "Users")
    assert fingerprint(two.certificate) in caught.value.message
    assert remove(bundle(one, two), fingerprint(two.certificate)).bundle == bundle(one)


def test_selector_of_hexadecimal_digits_may_be_a_name() -> None:
    root = Pki().root("deadbeef")

    assert remove(bundle(root), "deadbeef").bundle == Bundle()
