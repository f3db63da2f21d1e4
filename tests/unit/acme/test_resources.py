from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.fakes.acme_server import PROBLEM
from tests.fakes.clock import NOW

from gatecert.acme.resources import (
    LONGEST_RETRY_AFTER,
    Authorization,
    ChallengeOffer,
    Directory,
    Order,
    ProblemDocument,
    SuggestedWindow,
    UnusableResponseError,
    retry_after_seconds,
)
from gatecert.model import Identifier, IdentifierType

URL = "https://ca.test/order/1"
DIRECTORY = {"newNonce": "https://n", "newAccount": "https://a", "newOrder": "https://o"}
ORDER = {"status": "pending", "authorizations": ["https://z/1"], "finalize": "https://f"}
AUTHORIZATION = {
    "identifier": {"type": "dns", "value": "vpn.example.com"},
    "status": "pending",
    "challenges": [],
}


def test_a_directory_with_the_least_it_must_have() -> None:
    directory = Directory.read(DIRECTORY)

    assert directory == Directory("https://n", "https://a", "https://o")


def test_a_directory_with_all_we_know_and_more() -> None:
    meta = {
        "termsOfService": "https://t",
        "externalAccountRequired": True,
        "profiles": {"shortlived": "six days"},
        "website": 17,
    }
    directory = Directory.read({**DIRECTORY, "renewalInfo": "https://r", "meta": meta, "x": []})

    assert directory.renewal_info == "https://r"
    assert directory.terms_of_service == "https://t"
    assert directory.external_account_required
    assert directory.profiles == {"shortlived": "six days"}


@pytest.mark.parametrize("meta", [None, [], "text", {"profiles": ["a"], "termsOfService": 1}])
def test_nonsense_beside_what_a_directory_must_have_is_ignored(meta: object) -> None:
    assert Directory.read({**DIRECTORY, "meta": meta}) == Directory.read(DIRECTORY)


@pytest.mark.parametrize("missing", ["newNonce", "newAccount", "newOrder"])
def test_a_directory_without_what_it_must_have(missing: str) -> None:
    with pytest.raises(UnusableResponseError, match=missing):
        Directory.read({**DIRECTORY, missing: None})


def test_an_order_with_a_state_that_nobody_knows() -> None:
    order = Order.read({**ORDER, "status": "dreaming"}, url=URL, retry_after=3.0)

    assert order == Order(URL, "dreaming", ("https://z/1",), "https://f", retry_after=3.0)


def test_an_order_that_failed_says_why() -> None:
    failure = {"type": f"{PROBLEM}caa", "detail": "CAA forbids it"}
    order = Order.read({**ORDER, "status": "invalid", "error": failure}, url=URL)

    assert order.error == ProblemDocument("caa", "CAA forbids it")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"status": 7}, "status"),
    ],
)
def test_an_order_that_cannot_be_used(change: dict[str, Any], why: str) -> None:
    with pytest.raises(UnusableResponseError, match=why):
        Order.read({**ORDER, **change}, url=URL)


@pytest.mark.parametrize("missing", ["finalize", "authorizations", "certificate"])
def test_what_an_answer_leaves_out_the_next_one_may_say(missing: str) -> None:
    order = Order.read({**ORDER, "status": "valid", missing: None}, url=URL)
    assert not getattr(order, missing)


def test_relative_urls_start_where_the_answer_came_from() -> None:
    relative = {"finalize": "f/1", "authorizations": ["/z/1"], "certificate": "../c/1"}
    order = Order.read({**ORDER, **relative}, url=URL, base="https://ca.example/acme/order")
    assert order.finalize == "https://ca.example/acme/f/1"
    assert order.authorizations == ("https://ca.example/z/1",)
    assert order.certificate == "https://ca.example/c/1"


def test_an_order_without_a_url() -> None:
    with pytest.raises(UnusableResponseError, match="URL"):
        Order.read(ORDER, url="")


@pytest.mark.parametrize("value", [None, [], "<html>", 3])
def test_what_is_no_object_is_no_order(value: object) -> None:
    with pytest.raises(UnusableResponseError, match="object"):
        Order.read(value, url=URL)


def test_challenges_that_make_no_sense_are_left_out() -> None:
    challenges = [
        {"type": "http-01", "url": "https://c/1", "token": "abc", "status": "pending"},
        {"type": "future-01", "url": "https://c/2", "shape": {"of": "things"}},
        {"type": "http-01"},
        "nonsense",
        None,
    ]
    authorization = Authorization.read({**AUTHORIZATION, "challenges": challenges}, url=URL)

    assert authorization.challenges == (
        ChallengeOffer("http-01", "https://c/1", "pending", "abc"),
        ChallengeOffer("future-01", "https://c/2", "pending"),
    )


@pytest.mark.parametrize(
    ("sent", "read"),
    [(["ca.example", 3, "ca.example.net"], ("ca.example", "ca.example.net")), ("ca.example", ())],
)
def test_the_issuers_names_of_a_standing_record_are_read(
    sent: object, read: tuple[str, ...]
) -> None:
    challenge = {"type": "dns-persist-01", "url": "https://c/1", "issuer-domain-names": sent}
    authorization = Authorization.read({**AUTHORIZATION, "challenges": [challenge]}, url=URL)

    assert authorization.challenges[0].issuer_domain_names == read


@pytest.mark.parametrize(("wildcard", "name"), [(True, "*.example.com"), (None, "example.com")])
def test_an_authorization_knows_its_name_as_people_write_it(wildcard: object, name: str) -> None:
    value = {**AUTHORIZATION, "identifier": {"type": "dns", "value": "example.com"}}
    authorization = Authorization.read({**value, "wildcard": wildcard}, url=URL)

    assert authorization.identifier == Identifier(IdentifierType.DNS, "example.com")
    assert authorization.name == name


def test_an_authorization_for_something_that_is_no_name() -> None:
    strange = {**AUTHORIZATION, "identifier": {"type": "permanent-identifier", "value": "x"}}

    with pytest.raises(UnusableResponseError, match="no DNS name"):
        Authorization.read(strange, url=URL)


@pytest.mark.parametrize(
    "token", ["LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", "a-_Z9", "x" * 200]
)
def test_good_tokens(token: str) -> None:
    assert ChallengeOffer("http-01", "https://c", "pending", token).has_safe_token


@pytest.mark.parametrize(
    "token", ["", "../../etc/cron.d/x", "a/b", "a.b", "a=", "a b", "a\n", "ä", "a\0", "x" * 201]
)
def test_tokens_that_are_refused(token: str) -> None:
    assert not ChallengeOffer("http-01", "https://c", "pending", token).has_safe_token


def test_a_problem_with_subproblems() -> None:
    document = ProblemDocument.read(
        {
            "type": f"{PROBLEM}compound",
            "detail": "two of them",
            "instance": "https://ca.test/help",
            "subproblems": [
                {"type": "x:y", "detail": "one", "identifier": {"type": "new", "value": "a.b"}},
                {"title": "only a title", "subproblems": [{"detail": "too deep"}]},
                "nonsense",
            ],
        }
    )

    assert document == ProblemDocument(
        "compound",
        "two of them",
        instance="https://ca.test/help",
        subproblems=(
            ProblemDocument("x:y", "one", identifier="a.b"),
            ProblemDocument("about:blank", "only a title"),
        ),
    )


@pytest.mark.parametrize("value", [None, [], "text", {}, {"error": "not a problem"}])
def test_what_is_no_problem_document(value: object) -> None:
    assert ProblemDocument.read(value) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("0", 0.0),
        ("Mon, 23 Nov 2026 08:16:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 08:14:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 08:16:00 -0000", 60.0),
        ("9" * 40, LONGEST_RETRY_AFTER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER),
        ("-3", None),
        ("soon", None),
        ("٣", None),
        ("", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after_seconds({"Retry-After": text}, NOW) == seconds


def test_a_date_counts_from_the_date_of_the_answer() -> None:
    headers = {
        "Retry-After": "Wed, 21 Oct 2015 07:28:30 GMT",
        "Date": "Wed, 21 Oct 2015 07:28:00 GMT",
    }
    assert retry_after_seconds(headers, NOW) == 30.0


def test_no_retry_after() -> None:
    assert retry_after_seconds({}, NOW) is None


def test_a_suggested_window() -> None:
    window = SuggestedWindow.read(
        {
            "suggestedWindow": {
                "start": "2026-12-01T02:00:00+02:00",
                "end": "2026-12-03T00:00:00Z",
            },
            "explanationURL": "https://ca.test/why",
        },
        retry_after=60.0,
    )

    assert window == SuggestedWindow(
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2026, 12, 3, tzinfo=UTC),
        "https://ca.test/why",
        60.0,
    )


@pytest.mark.parametrize(
    "window",
    [
        None,
        {},
        {"start": "2026-12-01T00:00:00Z"},
        {"start": "tomorrow", "end": "2026-12-03T00:00:00Z"},
        {"start": "2026-12-01T00:00:00", "end": "2026-12-03T00:00:00Z"},
    ],
)
def test_a_window_that_is_none(window: object) -> None:
    with pytest.raises(UnusableResponseError):
        SuggestedWindow.read({"suggestedWindow": window})


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_window_beyond_all_time_is_none(instant: str) -> None:
    with pytest.raises(UnusableResponseError, match="start is beyond all time"):
        SuggestedWindow.read({"suggestedWindow": {"start": instant, "end": instant}})
