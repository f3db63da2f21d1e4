from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.fakes.acme_server import PROBLEM

from gatecert.acme.resources import (
    Authorization,
    ChallengeOffer,
    Directory,
    Order,
    ProblemDocument,
    SuggestedWindow,
    UnusableResponseError,
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


def test_a_minimal_directory() -> None:
    directory = Directory.read(DIRECTORY)

    assert directory == Directory("https://n", "https://a", "https://o")


def test_a_full_directory_with_unknown_fields() -> None:
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
def test_malformed_optional_fields_of_a_directory_are_ignored(meta: object) -> None:
    assert Directory.read({**DIRECTORY, "meta": meta}) == Directory.read(DIRECTORY)


@pytest.mark.parametrize("missing", ["newNonce", "newAccount", "newOrder"])
def test_a_directory_without_a_required_field(missing: str) -> None:
    with pytest.raises(UnusableResponseError, match=missing):
        Directory.read({**DIRECTORY, missing: None})


def test_an_order_with_an_unknown_status() -> None:
    order = Order.read({**ORDER, "status": "dreaming"}, url=URL, retry_after=3.0)

    assert order == Order(URL, "dreaming", ("https://z/1",), "https://f", retry_after=3.0)


def test_the_error_of_a_failed_order() -> None:
    failure = {"type": f"{PROBLEM}caa", "detail": "CAA forbids it"}
    order = Order.read({**ORDER, "status": "invalid", "error": failure}, url=URL)

    assert order.error == ProblemDocument("caa", "CAA forbids it")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"status": 7}, "status"),
    ],
)
def test_an_unusable_order(change: dict[str, Any], why: str) -> None:
    with pytest.raises(UnusableResponseError, match=why):
        Order.read({**ORDER, **change}, url=URL)


@pytest.mark.parametrize("missing", ["finalize", "authorizations", "certificate"])
def test_optional_fields_of_an_order_may_be_missing(missing: str) -> None:
    order = Order.read({**ORDER, "status": "valid", missing: None}, url=URL)
    assert not getattr(order, missing)


def test_relative_urls_refer_to_the_response_url() -> None:
    relative = {"finalize": "f/1", "authorizations": ["/z/1"], "certificate": "../c/1"}
    order = Order.read({**ORDER, **relative}, url=URL, base="https://ca.example/acme/order")
    assert order.finalize == "https://ca.example/acme/f/1"
    assert order.authorizations == ("https://ca.example/z/1",)
    assert order.certificate == "https://ca.example/c/1"


def test_an_order_without_a_url() -> None:
    with pytest.raises(UnusableResponseError, match="URL"):
        Order.read(ORDER, url="")


@pytest.mark.parametrize("value", [None, [], "<html>", 3])
def test_an_order_must_be_a_json_object(value: object) -> None:
    with pytest.raises(UnusableResponseError, match="object"):
        Order.read(value, url=URL)


def test_malformed_challenges_are_ignored() -> None:
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
def test_the_issuer_domain_names_of_dns_persist_01_are_read(
    sent: object, read: tuple[str, ...]
) -> None:
    challenge = {"type": "dns-persist-01", "url": "https://c/1", "issuer-domain-names": sent}
    authorization = Authorization.read({**AUTHORIZATION, "challenges": [challenge]}, url=URL)

    assert authorization.challenges[0].issuer_domain_names == read


@pytest.mark.parametrize(("wildcard", "name"), [(True, "*.example.com"), (None, "example.com")])
def test_the_name_of_an_authorization(wildcard: object, name: str) -> None:
    value = {**AUTHORIZATION, "identifier": {"type": "dns", "value": "example.com"}}
    authorization = Authorization.read({**value, "wildcard": wildcard}, url=URL)

    assert authorization.identifier == Identifier(IdentifierType.DNS, "example.com")
    assert authorization.name == name


def test_an_authorization_for_an_unknown_identifier_type() -> None:
    strange = {**AUTHORIZATION, "identifier": {"type": "permanent-identifier", "value": "x"}}

    with pytest.raises(UnusableResponseError, match="neither a DNS name nor"):
        Authorization.read(strange, url=URL)


@pytest.mark.parametrize(
    "token", ["LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", "a-_Z9", "x" * 200]
)
def test_safe_tokens(token: str) -> None:
    assert ChallengeOffer("http-01", "https://c", "pending", token).has_safe_token


@pytest.mark.parametrize(
    "token", ["", "../../etc/cron.d/x", "a/b", "a.b", "a=", "a b", "a\n", "ä", "a\0", "x" * 201]
)
def test_unsafe_tokens(token: str) -> None:
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
def test_no_problem_document(value: object) -> None:
    assert ProblemDocument.read(value) is None


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
def test_a_malformed_window(window: object) -> None:
    with pytest.raises(UnusableResponseError):
        SuggestedWindow.read({"suggestedWindow": window})


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_window_out_of_range(instant: str) -> None:
    with pytest.raises(UnusableResponseError, match="start is out of range"):
        SuggestedWindow.read({"suggestedWindow": {"start": instant, "end": instant}})
