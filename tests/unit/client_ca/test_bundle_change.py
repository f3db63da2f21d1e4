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


def test_a_root_is_added(office: Office) -> None:
    one, two = office.root("one"), office.root("two")

    change = added(bundle(one), two)

    assert change.bundle == bundle(one, two)
    assert change.added == (two.certificate,)
    assert not change.notes
    assert str(change) == "added 'CN=two'"


def test_intermediates_come_beside_their_root(office: Office) -> None:
    root = office.root()
    upper = office.intermediate(root, "Upper")
    lower = office.intermediate(upper, "Lower")

    assert added(Bundle(), lower, upper, root).bundle == bundle(lower, upper, root)
    later = added(bundle(root), root, upper)
    assert later.bundle == bundle(root, upper)
    assert later.notes == ("already there: 'CN=Users'",)


def test_an_intermediate_without_its_root_is_refused(office: Office) -> None:
    root = office.root()
    upper = office.intermediate(root, "Upper")
    lower = office.intermediate(upper, "Lower")

    alone = refused(bundle(office.root("other")), upper)
    assert "not self-signed" in alone.message
    assert "'CN=Users' is neither in the file nor among" in alone.message
    assert "'CN=Upper'" in refused(Bundle(), root, lower).message


def test_an_intermediate_of_a_namesake_of_the_root_is_refused(office: Office) -> None:
    namesake = office.root("Users", key_name="another key")

    assert (
        "root above it is missing"
        in refused(bundle(office.root()), office.intermediate(namesake)).message
    )


def test_what_is_there_already_is_refused(office: Office) -> None:
    root = office.root()
    middle = office.intermediate(root)

    assert "is already an authority" in refused(bundle(root), root).message
    assert "are already authorities" in refused(bundle(root, middle), root, middle).message


def test_a_certificate_that_stands_twice_in_the_file_is_refused(office: Office) -> None:
    root = office.root()

    assert "stands twice in the file" in refused(Bundle(), root, root).message


def test_the_placeholder_is_no_authority() -> None:
    with pytest.raises(CertificateError, match="placeholder"):
        add(Bundle(), [bundles.placeholder(now=NOW)], now=NOW)


def test_a_root_that_is_not_right_is_refused(office: Office) -> None:
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
        "ended on 2026-11-22": office.root("old", begin=NOW - 9 * DAY, end=NOW - DAY),
        "is not valid before 2026-11-24": office.root("early", begin=NOW + DAY),
        "RSA key of 1024 bits": office.root("short", key_kind="1024"),
        "secp256k1": office.root("curve", key_kind="curve"),
    }
    for words, issued in cases.items():
        assert words in refused(bundle(office.root("there")), issued).message


def test_nothing_is_taken_of_a_file_with_one_bad_certificate(office: Office) -> None:
    good = office.root("good")

    assert "lack CA:TRUE" in refused(Bundle(), good, office.user(good)).message


def test_an_intermediate_that_can_be_forged_is_refused(office: Office) -> None:
    root = office.root()

    weak = refused(bundle(root), office.intermediate(root, "weak", sha1=True))

    assert "MD5 or SHA-1" in weak.message
    assert added(Bundle(), office.root("old style", sha1=True)).added


def test_what_is_unusual_is_said(office: Office) -> None:
    silent = office.root("silent", without_usage=True)
    assert added(Bundle(), silent).notes == (
        "'CN=silent' has no key usage; some servers want keyCertSign said",
    )
    again = office.root("Users", key_name="the next key")
    (note,) = added(bundle(office.root()), again).notes
    assert "another authority by the name 'CN=Users'" in note


def test_an_authority_whose_key_cannot_be_judged_is_said(office: Office) -> None:
    (note,) = added(Bundle(), office.root("Edwards", key_kind="ed25519")).notes
    assert "'CN=Edwards' has an Ed25519 key: gatecert cannot judge" in note


def test_an_authority_without_a_list_is_said_where_others_have_one(
    office: Office, tmp_path: Path
) -> None:
    old, new = office.root("old"), office.root("new")
    lists = [CrlFile(tmp_path, office.crl(old))]
    (note,) = add(bundle(old), [new.certificate], lists, now=NOW).notes
    assert note.startswith("nginx refuses every user of 'CN=new' while it has no revocation list")
    lists.append(CrlFile(tmp_path, office.crl(new)))
    assert not add(bundle(old), [new.certificate], lists, now=NOW).notes


# --------------------------------------------------------------------------- removing


def test_the_last_authority_can_be_removed(office: Office) -> None:
    root = office.root()

    change = remove(bundle(root), "Users")

    assert change.bundle == Bundle()
    assert change.removed == (root.certificate,)
    assert str(change) == "removed 'CN=Users'"
    assert change.notes == ("no authority is left: nobody can log in with a certificate any more",)


def test_intermediates_leave_with_their_root(office: Office) -> None:
    root, other = office.root(), office.root("other")
    upper = office.intermediate(root, "Upper")
    lower = office.intermediate(upper, "Lower")

    change = remove(bundle(root, upper, lower, other), "CN=Users")

    assert change.bundle == bundle(other)
    assert set(change.removed) == {root.certificate, upper.certificate, lower.certificate}
    assert "'CN=Upper', 'CN=Lower'" in change.notes[0]
    assert remove(bundle(root, upper, other), "Upper").bundle == bundle(root, other)


def test_circles_of_intermediates_have_no_end_and_are_left(office: Office) -> None:
    root = office.root()
    one = office.intermediate(root, "one")
    two = office.intermediate(one, "two")
    back = office.pki.authority("one", two)

    assert remove(bundle(root, two, back), "Users").bundle == Bundle()


def test_many_ways_to_name_an_authority() -> None:
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
def test_an_authority_that_is_not_there(office: Office, selector: str) -> None:
    with pytest.raises(WrongUsageError, match="no authority") as caught:
        remove(bundle(office.root()), selector)
    assert "CN=Users" in caught.value.message


def test_there_is_none_to_remove() -> None:
    with pytest.raises(WrongUsageError, match="there is none"):
        remove(Bundle(), "Users")


def test_namesakes_are_told_apart_by_fingerprint(office: Office) -> None:
    one, two = office.root(), office.root("Users", key_name="the next key")

    with pytest.raises(WrongUsageError, match="several") as caught:
        remove(bundle(one, two), "Users")
    assert fingerprint(two.certificate) in caught.value.message
    assert remove(bundle(one, two), fingerprint(two.certificate)).bundle == bundle(one)


def test_a_name_of_hexadecimal_digits_is_a_name_too() -> None:
    root = Pki().root("deadbeef")

    assert remove(bundle(root), "deadbeef").bundle == Bundle()
