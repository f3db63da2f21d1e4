"""CAA records: the CAs that may issue for a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.resolve.caa import (
    CaaAnswer,
    CaaPolicy,
    CaaRequest,
    Property,
    domains_to_query,
    issuance_refusal,
    relevant_policy,
)

NAME = "boston.vpn.example.com"
ISSUER = "ca.example.net"
US = CaaRequest(
    identities=("CA.example.net",), methods=("http-01", "dns-01"), account_url="https://a/1"
)


def issue(value: str, tag: str = "issue", *, critical: bool = False) -> Property:
    return Property(critical, tag, value)


def refusal(*properties: Property, name: str = NAME, request: CaaRequest = US) -> str:
    return issuance_refusal(CaaPolicy(name, "example.com", properties), request)


def test_tree_climbing_ends_at_the_top_level_domain() -> None:
    assert domains_to_query("boston.example.com") == ("boston.example.com", "example.com", "com")
    assert domains_to_query("*.example.com.") == ("example.com", "com")


def test_only_the_nearest_record_set_is_relevant() -> None:
    answers = dict.fromkeys(domains_to_query(NAME), CaaAnswer())
    assert relevant_policy(NAME, answers) == CaaPolicy(NAME)
    answers["example.com"] = CaaAnswer((issue("above.example"),))
    answers["com"] = CaaAnswer((issue("far.example"),))
    assert relevant_policy(NAME, answers) == CaaPolicy(
        NAME, "example.com", (issue("above.example"),)
    )
    answers[NAME] = CaaAnswer((issue(ISSUER),))
    assert relevant_policy(NAME, answers).domain == NAME


def test_a_failed_lookup_hides_the_domains_above() -> None:
    answers = dict.fromkeys(domains_to_query(NAME), CaaAnswer())
    answers["example.com"] = CaaAnswer((issue("above.example"),))
    answers["vpn.example.com"] = CaaAnswer(failure="SERVFAIL")
    found = relevant_policy(NAME, answers)
    assert (found.domain, found.failure) == ("vpn.example.com", "SERVFAIL")
    assert issuance_refusal(found, US) == ""


@pytest.mark.parametrize(
    "properties",
    [
        (),
        (issue("mailto:security@example.com", "iodef"),),
        (issue(ISSUER),),
        (issue("CA.EXAMPLE.NET"),),
        (issue("other.example"), issue(ISSUER)),
        (issue(f"  {ISSUER} ; validationmethods=dns-01,http-01 ; "),),
        (issue(f"{ISSUER}; accounturi=https://a/1"),),
        (issue(f"{ISSUER}; policy=ev"),),
        (issue(f"{ISSUER}; accounturi=https://b/2"), issue(f"{ISSUER}; accounturi=https://a/1")),
        (issue(";", "issuewild"),),
        (issue("x", "future"),),
        (issue("x", "iodef", critical=True),),
    ],
)
def test_the_ca_may_issue(properties: tuple[Property, ...]) -> None:
    assert refusal(*properties) == ""


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ((issue("other.example"),), "allow only other.example to issue"),
        ((issue(";"),), "allow no CA to issue"),
        ((issue(""),), "allow no CA to issue"),
        ((issue("-ca.example.net"),), "allow no CA to issue"),
        ((issue(f"{ISSUER}; %%%"),), "allow no CA to issue"),
        ((issue(f"{ISSUER}; validationmethods=tls-alpn-01"),), "only by tls-alpn-01"),
        ((issue(f"{ISSUER}; accounturi=https://b/2"),), "only to the account https://b/2"),
        ((issue(ISSUER), issue("x", "future", critical=True)), "critical property future"),
    ],
)
def test_the_ca_must_not_issue(properties: tuple[Property, ...], why: str) -> None:
    found = refusal(*properties)
    assert why in found
    assert "the CAA records of example.com" in found


def test_issuewild_replaces_issue_for_a_wildcard() -> None:
    wildcard = f"*.{NAME}"
    assert refusal(issue(ISSUER), name=wildcard) == ""
    assert refusal(issue("other.example"), issue(ISSUER, "issuewild"), name=wildcard) == ""
    assert "allow no CA to issue for *." in refusal(
        issue(ISSUER), issue(";", "issuewild"), name=wildcard
    )


def test_unknown_request_parameters_forbid_nothing() -> None:
    nobody = CaaRequest()
    assert refusal(issue("other.example"), request=nobody) == ""
    assert "allow no CA" in refusal(issue(";"), request=nobody)
    stranger = CaaRequest(identities=(ISSUER,))
    limits = f"{ISSUER}; validationmethods=tls-alpn-01; accounturi=https://b/2"
    assert refusal(issue(limits), request=stranger) == ""


def test_published_text_is_shown_on_one_line() -> None:
    found = refusal(issue("x", "evil\n\x1b[31m", critical=True))
    assert found.isprintable()


@given(st.lists(st.tuples(st.booleans(), st.text(max_size=12), st.text(max_size=40))))
def test_no_published_record_raises(records: list[tuple[bool, str, str]]) -> None:
    found = refusal(*(Property(*record) for record in records))
    assert found.isprintable() or not found


@given(st.sampled_from(["issue", "issuewild"]), st.text(max_size=40))
def test_a_matching_property_allows_issuance_beside_any_other(tag: str, value: str) -> None:
    assert refusal(issue(value, tag), issue(ISSUER)) == ""
