"""Name and value of the record of a challenge."""

from __future__ import annotations

import pytest

from gatecert.challenge.dns01 import record
from gatecert.challenge.solver import Challenge
from gatecert.errors import ChallengeError
from gatecert.model import Identifier, IdentifierType

# The key authorization is from RFC 8555 section 8.4; the value was computed with openssl.
KEY_AUTHORIZATION = (
    "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.nP1qzpXGymHBrUEepNY9HCsQk7K8KhOypzEt62jcerQ"
)
VALUE = "NGwKoXBgCT8JhEa0bK7AwfSqHyu_ZWeugV07fLGIVq0"
ACCOUNT = "https://example.com/acme/acct/ExampleAccount"


def challenge(kind: str, name: str, account_url: str = "") -> Challenge:
    return Challenge(
        kind, Identifier(IdentifierType.DNS, name), "token", KEY_AUTHORIZATION, account_url
    )


@pytest.mark.parametrize("name", ["vpn.example.com", "*.vpn.example.com"])
def test_a_name_and_the_wildcard_below_it_have_the_same_record_name(name: str) -> None:
    where = record.validation_name(challenge("dns-01", name))

    assert where == "_acme-challenge.vpn.example.com"


def test_dns_account_01_has_a_record_name_for_each_account() -> None:
    # The example of draft-ietf-acme-dns-account-label section 3.2
    where = record.validation_name(challenge("dns-account-01", "www.example.org", ACCOUNT))

    assert where == "_ujmmovf2vn55tgye._acme-challenge.www.example.org"


def test_dns_account_01_needs_the_account_url() -> None:
    with pytest.raises(ChallengeError, match="the account has no URL"):
        record.validation_name(challenge("dns-account-01", "www.example.org"))


def test_the_value_is_the_hash_of_the_key_authorization() -> None:
    value = record.validation_value(challenge("dns-01", "vpn.example.com"))

    assert value == VALUE
    assert len(value) == 43
