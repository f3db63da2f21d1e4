"""Which authorities the CAA records of a domain keep out."""

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


def refused(*properties: Property, name: str = NAME, applicant: CaaRequest = US) -> str:
    return issuance_refusal(CaaPolicy(name, "example.com", properties), applicant)


def test_the_climb_ends_at_the_top_level_domain() -> None:
    assert domains_to_query("boston.example.com") == ("boston.example.com", "example.com", "com")
    assert domains_to_query("*.example.com.") == ("example.com", "com")


def test_the_nearest_record_set_counts_and_no_other() -> None:
    answers = dict.fromkeys(domains_to_query(NAME), CaaAnswer())
    assert relevant_policy(NAME, answers) == CaaPolicy(NAME)
    answers["example.com"] = CaaAnswer((issue("above.example"),))
    answers["com"] = CaaAnswer((issue("far.example"),))
    assert relevant_policy(NAME, answers) == CaaPolicy(
        NAME, "example.com", (issue("above.example"),)
    )
    answers[NAME] = CaaAnswer((issue(ISSUER),))
    assert relevant_policy(NAME, answers).domain == NAME


def test_a_failure_on_the_way_up_hides_what_lies_above() -> None:
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
def test_who_may_issue(properties: tuple[Property, ...]) -> None:
    assert refused(*properties) == ""


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ((issue("other.example"),), "let only other.example issue"),
        ((issue(";"),), "let nobody issue"),
        ((issue(""),), "let nobody issue"),
        ((issue("-ca.example.net"),), "let nobody issue"),
        ((issue(f"{ISSUER}; %%%"),), "let nobody issue"),
        ((issue(f"{ISSUER}; validationmethods=tls-alpn-01"),), "only by tls-alpn-01"),
        ((issue(f"{ISSUER}; accounturi=https://b/2"),), "only to the account https://b/2"),
        ((issue(ISSUER), issue("x", "future", critical=True)), "critical property future"),
    ],
)
def test_who_must_not_issue(properties: tuple[Property, ...], why: str) -> None:
    found = refused(*properties)
    assert why in found
    assert "the CAA records of example.com" in found


def test_a_wildcard_has_rules_of_its_own() -> None:
    wildcard = f"*.{NAME}"
    assert refused(issue(ISSUER), name=wildcard) == ""
    assert refused(issue("other.example"), issue(ISSUER, "issuewild"), name=wildcard) == ""
    assert "let nobody issue for *." in refused(
        issue(ISSUER), issue(";", "issuewild"), name=wildcard
    )


def test_what_is_not_known_of_the_applicant_keeps_nobody_out() -> None:
    nobody = CaaRequest()
    assert refused(issue("other.example"), applicant=nobody) == ""
    assert "let nobody" in refused(issue(";"), applicant=nobody)
    stranger = CaaRequest(identities=(ISSUER,))
    limits = f"{ISSUER}; validationmethods=tls-alpn-01; accounturi=https://b/2"
    assert refused(issue(limits), applicant=stranger) == ""


def test_what_others_publish_is_shown_on_one_line() -> None:
    found = refused(issue("x", "evil\n\x1b[31m", critical=True))
    assert found.isprintable()


@given(st.lists(st.tuples(st.booleans(), st.text(max_size=12), st.text(max_size=40))))
def test_nothing_that_is_published_is_an_error(records: list[tuple[bool, str, str]]) -> None:
    found = refused(*(Property(*record) for record in records))
    assert found.isprintable() or not found


@given(st.sampled_from(["issue", "issuewild"]), st.text(max_size=40))
def test_our_own_property_lets_us_in_whatever_stands_beside_it(tag: str, value: str) -> None:
    assert refused(issue(value, tag), issue(ISSUER)) == ""
