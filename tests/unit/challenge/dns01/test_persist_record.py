"""Records of dns-persist-01: generation, and validity as in Pebble 2.10."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gatecert.challenge.dns01 import persist_record

ACCOUNT = "https://ca.example/acct/1"
ISSUER = "ca.example"
NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
WANTED = persist_record.ExpectedRecord("vpn.example.com", (ISSUER, "other.example"), ACCOUNT)
GOOD = f"{ISSUER}; accounturi={ACCOUNT}"


def test_the_record_to_publish() -> None:
    assert WANTED.name == "_validation-persist.vpn.example.com"
    assert WANTED.value() == "ca.example; accounturi=https://ca.example/acct/1"
    assert WANTED.zone_line() == f'_validation-persist.vpn.example.com. IN TXT "{WANTED.value()}"'


@pytest.mark.parametrize("names", [("*.example.com",), ("example.com", "*.example.com")])
def test_the_record_of_a_wildcard(names: tuple[str, ...]) -> None:
    (record,) = persist_record.expected_records(names, (ISSUER,), ACCOUNT)

    assert record.name == "_validation-persist.example.com"
    until = datetime(2030, 1, 1, tzinfo=UTC)
    assert record.value(until) == f"{GOOD}; policy=wildcard; persistUntil=1893456000"


def test_a_long_record_is_cut_into_strings_for_the_zone_file() -> None:
    url = f"https://ca.example/{'x' * 300}"
    record = persist_record.ExpectedRecord("example.com", (ISSUER,), url)

    strings = record.zone_line().split('"')[1::2]
    assert [len(string) for string in strings] == [255, 87]
    assert "".join(strings) == record.value()


@pytest.mark.parametrize("issuer", ["", "CA.example", "ca.example.", "ca example", 'ca";x'])
def test_an_invalid_issuer_is_refused(issuer: str) -> None:
    with pytest.raises(ValueError, match="is not an issuer domain name"):
        persist_record.ExpectedRecord("example.com", (issuer,), ACCOUNT).value()


@pytest.mark.parametrize(
    "account_url", ["", "https://ca.example/a;b", "https://ca.example/ä", "a b"]
)
def test_an_invalid_account_url_is_refused(account_url: str) -> None:
    with pytest.raises(ValueError, match="is not an account URL"):
        persist_record.ExpectedRecord("example.com", (ISSUER,), account_url).value()


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"other.example;accounturi={ACCOUNT}",
        f" {ISSUER} ;\taccounturi = {ACCOUNT} ",
        f"{GOOD}; colour=blue",
        f"{GOOD}; policy=",
        f"{GOOD}; policy=wildcard; persistUntil=1999999999",
        f"{ISSUER}; ACCOUNTURI={ACCOUNT}; Policy=WildCard",
    ],
)
def test_a_valid_record(text: str) -> None:
    assert persist_record.record_problem([text], WANTED, now=NOW) == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("v=spf1 -all", "there is no record for ca.example or other.example"),
        (f"stranger.example; accounturi={ACCOUNT}", "there is no record for"),
        (f"CA.Example.; accounturi={ACCOUNT}", "there is no record for"),
        (ISSUER, f"is for another account than {ACCOUNT}"),
        (f"{ISSUER}; accounturi={ACCOUNT}/", f"is for another account than {ACCOUNT}"),
        (f"{GOOD};", "is malformed: a parameter is empty"),
        (f"{GOOD}; policy", "is malformed: a parameter is empty or not tag=value"),
        (f"{GOOD}; po_licy=x", "is malformed"),
        (f"{GOOD}; accounturi={ACCOUNT}", "is malformed: accounturi is repeated"),
        (f"{GOOD}; persistUntil=soon", "is malformed: persistUntil is not a number of seconds"),
        (f"{GOOD}; persistUntil=1", "expired at 1970-01-01T00:00:01Z"),
    ],
)
def test_an_invalid_record(text: str, problem: str) -> None:
    assert problem in persist_record.record_problem([text], WANTED, now=NOW)


def test_no_record_is_a_problem() -> None:
    assert persist_record.record_problem([], WANTED, now=NOW).startswith("there is no record for")


def test_a_valid_record_beside_others_is_enough() -> None:
    texts = [f"{GOOD};", f"{ISSUER}; accounturi=https://else.example/", "x", GOOD]

    assert persist_record.record_problem(texts, WANTED, now=NOW) == ""


def test_a_wildcard_needs_the_policy() -> None:
    expected = persist_record.ExpectedRecord("example.com", (ISSUER,), ACCOUNT, wildcard=True)

    assert "lacks policy=wildcard" in persist_record.record_problem([GOOD], expected, now=NOW)
    assert (
        persist_record.record_problem([GOOD, f"{GOOD}; policy=wildcard"], expected, now=NOW) == ""
    )


def test_published_text_is_shown_on_one_line() -> None:
    problem = persist_record.record_problem([f"{GOOD}; \x1b[2Jx=\n"], WANTED, now=NOW)

    assert problem.isprintable()


def test_a_wildcard_and_the_name_above_it_share_a_record() -> None:
    names = ("a.example", "*.a.example", "*.b.example", "c.example")
    found = persist_record.expected_records(
        names, ("ca.example", "old.example"), "https://ca.example/1"
    )
    assert [(each.domain, each.wildcard) for each in found] == [
        ("a.example", True),
        ("b.example", True),
        ("c.example", False),
    ]
    assert found[2].value() == "ca.example; accounturi=https://ca.example/1"
    end = datetime(2027, 1, 1, tzinfo=UTC)
    assert found[1].value(end).endswith("policy=wildcard; persistUntil=1798761600")
