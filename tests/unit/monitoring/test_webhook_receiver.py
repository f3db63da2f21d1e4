"""Tests: URLs that are refused before a connection; tests/integration has the rest."""

from __future__ import annotations

import pytest

from gatecert.monitoring.webhook_receiver import post

MESSAGE: dict[str, object] = {"id": "1"}


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/s3cret",
        "http://127.0.0.1.example/s3cret",
        "https://user:s3cret@hooks.example/",
        "https:///s3cret",
        "https://hooks.example:0/s3cret",
        "https://hooks.example:s3cret/",
        "file:///s3cret",
        "s3cret",
        "http://[s3cret/",
        "",
    ],
)
def test_a_url_that_is_unsafe_is_not_used(url: str) -> None:
    answer = post(url, MESSAGE, 1.0)
    assert answer.refused
    assert answer.problem == (
        "the URL is not https://HOST/… without a password, or http:// of this machine"
    )
    assert "s3cret" not in f"{answer}"
