from __future__ import annotations

import pytest
from tests.fakes.dynamic_dns import Service

from gatecert.ddns.update_request import send
from gatecert.errors import DdnsUnreachableError
from gatecert.http.fetcher import FailureKind, FetchError, Response

URL = "https://ddns.example/update"


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404])
def test_an_answer_is_returned(status: int) -> None:
    assert send(Service((status, "good")), URL, service="ddns.example").status == status


def test_retry_after_is_passed_on() -> None:
    limited = Response(429, {"Retry-After": "120"}, b"slow down", URL)
    with pytest.raises(DdnsUnreachableError, match="asks to wait") as raised:
        send(Service(limited), URL, service="ddns.example")
    assert raised.value.pause == 120


@pytest.mark.parametrize(
    ("kind", "fix"),
    [
        (FailureKind.UNTRUSTED, "ca_bundle"),
        (FailureKind.EXPIRED, "clock"),
        (FailureKind.REDIRECT, "name the final URL"),
        (FailureKind.CONNECTION, "network"),
    ],
)
def test_each_failure_has_a_fix(kind: FailureKind, fix: str) -> None:
    with pytest.raises(DdnsUnreachableError) as raised:
        send(Service(FetchError(kind, URL, "it fails")), URL, service="ddns.example")
    assert fix in raised.value.fix
    assert raised.value.pause is None
