"""Tests of which certificates can be adopted, and under which names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.client_directories import SHOP, traditional
from tests.fakes.clock import DAY, NOW

from gatecert.adoption.adoptable import Adoptable, gateway_name, judge
from gatecert.adoption.found import Refusal

if TYPE_CHECKING:
    from tests.fakes.client_directories import Office

    from gatecert.adoption.found import FoundCertificate


def adoptable(found: FoundCertificate) -> Adoptable:
    judged = judge(found, "certbot", now=NOW, roots=())
    assert isinstance(judged, Adoptable), judged
    return judged


def refusal(found: FoundCertificate, client: str = "certbot") -> Refusal:
    judged = judge(found, client, now=NOW, roots=())
    assert isinstance(judged, Refusal), judged
    return judged


def test_a_sound_certificate_is_adopted_with_its_names(office: Office) -> None:
    judged = adoptable(office.found("www.example.com", SHOP, "192.0.2.7"))

    assert judged.hostname == "www.example.com"
    assert judged.other_names == (SHOP, "192.0.2.7")
    assert judged.algorithm == "ecdsa"


def test_text_between_the_certificates_is_skipped(office: Office) -> None:
    found = office.found(SHOP)
    spaced = found.fullchain.replace(b"-----BEGIN", b"\nsubject=x\n-----BEGIN")

    assert adoptable(replace(found, fullchain=spaced)).hostname == SHOP


def test_a_key_in_a_plain_block_is_kept_as_it_is(office: Office) -> None:
    leaf = office.issue(SHOP)
    old = traditional(leaf)

    assert adoptable(replace(office.found(SHOP), private_key=old)).private_key == old
    beside = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + old
    again = adoptable(replace(office.found(SHOP), private_key=beside))
    assert again.private_key == leaf.key_pem


def test_a_name_of_its_settings_is_the_hostname_if_the_certificate_has_it(office: Office) -> None:
    found = replace(office.found(f"*.{SHOP}", SHOP), name="wild", names=(SHOP,))

    judged = adoptable(found)

    assert judged.hostname == SHOP
    assert judged.differing_names == (
        f"the certificate also has *.{SHOP}, unlike its settings; its names are used"
    )


def test_names_that_were_not_issued_are_not_added(office: Office) -> None:
    judged = adoptable(replace(office.found(SHOP), names=(SHOP, "new.example.com")))

    assert judged.other_names == ()
    assert "lacks new.example.com" in judged.differing_names


def test_a_key_of_another_size_is_used_as_it_is(office: Office) -> None:
    judged = adoptable(office.found("large.example.com", key_kind="2560"))

    assert (judged.key_type, judged.algorithm) == (None, "rsa")


@pytest.mark.parametrize("kind", ["curve", "1024"])
def test_a_key_that_clients_refuse_is_refused(office: Office, kind: str) -> None:
    judged = judge(office.found(SHOP, key_kind=kind), "certbot", now=NOW, roots=())

    assert isinstance(judged, Refusal)
    assert judged.reason


def test_each_certificate_that_cannot_be_adopted_has_a_reason(office: Office) -> None:
    found = office.found(SHOP)
    other = office.found("other.example.com")

    expired = refusal(office.found(SHOP, end=NOW - DAY))
    assert "expired on 2026-11-22" in expired.reason
    assert f"certbot delete --cert-name {SHOP}" in expired.fix
    assert "not valid before" in refusal(office.found(SHOP, begin=NOW + DAY)).reason
    wrong_key = replace(found, private_key=other.private_key)
    assert "private key does not belong" in refusal(wrong_key).reason
    assert "private key cannot be read" in refusal(replace(found, private_key=b"x")).reason
    assert "is empty" in refusal(replace(found, fullchain=b" ")).reason
    assert "truncated" in refusal(replace(found, fullchain=found.fullchain[:-30])).reason
    assert "only IP addresses" in refusal(office.found("192.0.2.7")).reason
    assert "no name" in refusal(office.found()).reason
    assert "not a valid host name" in refusal(office.found("_x.example.com")).reason
    alone = office.pki.issue(SHOP, names=(SHOP,))
    self_signed = replace(found, fullchain=alone.pem, private_key=alone.key_pem)
    assert "self-signed" in refusal(self_signed, "lego").reason


@pytest.mark.parametrize(
    ("name", "taken", "chosen"),
    [
        (SHOP, (), SHOP),
        (f"{SHOP}_ecc", (), SHOP),
        (f"*.{SHOP}", (), f"wildcard.{SHOP}"),
        (f"_.{SHOP}", (), f"wildcard.{SHOP}"),
        (f"wildcard_.{SHOP}", (), f"wildcard.{SHOP}"),
        (SHOP, (SHOP, f"{SHOP}-2"), f"{SHOP}-3"),
        ("a/../b", (), "a-.-b"),
        ("x" * 80, (), "x" * 63),
        ("…", (), "gateway"),
    ],
)
def test_the_gateway_gets_a_valid_name(
    office: Office, name: str, taken: tuple[str, ...], chosen: str
) -> None:
    found = replace(office.found(SHOP), name=name)

    assert gateway_name(adoptable(found), taken) == chosen
