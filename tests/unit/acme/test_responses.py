from __future__ import annotations

from datetime import timedelta
from typing import NoReturn

import pytest
from tests.fakes.acme_server import PROBLEM, answer, problem
from tests.fakes.clock import NOW

from gatecert.acme.resources import UnusableResponseError
from gatecert.acme.responses import ResponseReader, links
from gatecert.errors import (
    ACMEError,
    AuthorityUnreachableError,
    RateLimitedError,
    UserActionRequiredError,
)

READER = ResponseReader("acme", lambda: NOW)


@pytest.mark.parametrize("status", [200, 201, 204])
def test_what_is_no_error_is_passed_on(status: int) -> None:
    assert READER.checked(answer(status)).status == status


def test_a_problem_document_is_raised() -> None:
    with pytest.raises(ACMEError) as caught:
        READER.checked(problem("badCSR", "too short a key"))

    assert caught.value.problem_type == "badCSR"
    message = "CA acme (ca.test) returned an error: badCSR: too short a key"
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("status", "retry_after", "seconds"),
    [(429, "30", 30), (503, "Mon, 23 Nov 2026 08:15:40 GMT", 40), (429, "", None)],
)
def test_a_rate_limit_with_retry_after(status: int, retry_after: str, seconds: int | None) -> None:
    with pytest.raises(RateLimitedError) as caught:
        READER.checked(answer(status, b"<html>busy", {"Retry-After": retry_after}))

    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert caught.value.retry_after == expected
    assert caught.value.problem_type == "rateLimited"


def test_the_detail_of_a_rate_limit_is_kept() -> None:
    with pytest.raises(RateLimitedError, match="Service busy"):
        READER.checked(problem("serverInternal", "Service busy", 503, Retry_After="3"))


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"<html><title>502 Bad Gateway", "returned an error: HTTP 502"),
        ({"type": f"{PROBLEM}serverInternal", "detail": "database"}, "HTTP 502: database"),
        (b"", "HTTP 502"),
    ],
)
def test_a_server_error_is_temporary(body: object, shown: str) -> None:
    with pytest.raises(AuthorityUnreachableError, match=shown) as caught:
        READER.checked(answer(502, body))

    assert caught.value.retryable


def test_an_error_without_a_problem_document() -> None:
    with pytest.raises(AuthorityUnreachableError, match="HTTP 400, an error without"):
        READER.checked(answer(400, b"<html>\x00nope"))


@pytest.mark.parametrize("status", [404, 410])
def test_not_found_without_a_problem_document(status: int) -> None:
    with pytest.raises(ACMEError) as caught:
        READER.checked(answer(status, b""))

    assert (caught.value.problem_type, caught.value.status) == ("notFound", status)


def test_new_terms_of_service_have_a_page() -> None:
    link = {"Link": '<https://ca.test/terms/2>;rel="terms-of-service"'}
    refused = answer(403, {"type": f"{PROBLEM}userActionRequired", "detail": "new terms"}, link)

    with pytest.raises(UserActionRequiredError, match=r"visit https://ca\.test/terms/2"):
        READER.checked(refused)


@pytest.mark.parametrize("body", [b'{"status": "pen', b"", b"\xff\xfe", b"[" * 100_000])
def test_broken_json_is_unusable(body: bytes) -> None:
    def reader(value: object) -> NoReturn:
        assert value is None
        raise UnusableResponseError("it is no object")

    with pytest.raises(AuthorityUnreachableError, match="not ACME: HTTP 200, it is no object"):
        READER.read(answer(200, body), reader)


def test_the_start_of_an_unusable_response_is_shown_cleaned() -> None:
    error = READER.unusable(answer(200, b"<html>\r\n\x1b[31m" + b"x" * 1000), "no")
    assert "it begins with '<html> [31m" in str(error)
    assert len(str(error)) < 200


def test_links_of_one_relation_in_order() -> None:
    headers = {
        "Link": '<https://ca.test/dir>;rel="index", <https://ca.test/c/1>;rel="alternate", '
        '</c/2>; rel="alternate", <>;rel="alternate"'
    }
    found = links(answer(200, headers=headers), "alternate")
    assert found == ["https://ca.test/c/1", "https://ca.test/c/2"]


def test_a_malformed_link_is_ignored() -> None:
    headers = {"Link": '<//[>;rel="alternate", </c/2>;rel="alternate"'}

    assert links(answer(200, headers=headers), "alternate") == ["https://ca.test/c/2"]


def test_no_links() -> None:
    assert links(answer(), "alternate") == []
