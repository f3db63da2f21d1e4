"""Tokens of other hosts: answered here as well, for as long as there are any."""

from __future__ import annotations

import logging
import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.fleet_news import PLACE, foreign
from tests.fakes.loopback import LOOPBACK, fetch, free_port

from gatecert.challenge.http_responder import PREFIX
from gatecert.challenge.solver import Challenge
from gatecert.challenge.tls_alpn01 import serves_challenge, token_key
from gatecert.follower.foreign_tokens import ForeignTokens
from gatecert.model import Endpoint, Identifier, IdentifierType
from gatecert.model.following import FollowingPlan, ResponsePlace
from gatecert.store.tokens import TokenFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gatecert.store.postgres.token_rows import SharedToken

pytestmark = pytest.mark.enable_socket

ONE, TWO = foreign("http-01", "one"), foreign("http-01", "two")
NAME = "vpn.example.com"
OF_TLS = foreign("tls-alpn-01", token_key(NAME), "abc.thumbprint")


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint(LOOPBACK, free_port())


@pytest.fixture
def plan(endpoint: Endpoint, tmp_path: Path) -> FollowingPlan:
    return FollowingPlan(tmp_path / "state", PLACE, ResponsePlace((endpoint,)))


@pytest.fixture
def make() -> Iterator[Callable[..., ForeignTokens]]:
    made: list[ForeignTokens] = []

    def make(plan: FollowingPlan, *, listening: bool = False) -> ForeignTokens:
        made.append(ForeignTokens(plan, listening=listening))
        return made[-1]

    yield make
    for each in made:
        each.close()


def is_listening(endpoint: Endpoint) -> bool:
    try:
        socket.create_connection((endpoint.host, endpoint.port), timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def files(plan: FollowingPlan) -> list[str]:
    return sorted(each.name for each in (plan.state_directory / "challenges").iterdir())


def test_a_token_is_answered_while_its_row_exists(
    plan: FollowingPlan, endpoint: Endpoint, make: Callable[..., ForeignTokens]
) -> None:
    tokens = make(plan)
    assert tokens.keep([]) == []
    assert not is_listening(endpoint)
    assert tokens.keep([ONE, TWO]) == [ONE, TWO]
    assert fetch(endpoint, f"{PREFIX}one")[:2] == (200, b"one.thumbprint")
    assert tokens.keep([ONE._replace(is_acknowledged=True)]) == []
    assert fetch(endpoint, f"{PREFIX}one")[0] == 200
    assert fetch(endpoint, f"{PREFIX}two")[0] == 404
    tokens.keep([])
    assert not is_listening(endpoint)
    assert files(plan) == []


def test_a_token_that_this_host_has_taken_over_stays(
    plan: FollowingPlan, make: Callable[..., ForeignTokens]
) -> None:
    """Its order, too; what this host presents by now is not the follower's to remove."""
    tokens = make(plan)
    tokens.keep([ONE, TWO])
    TokenFiles(plan.state_directory).put_token("http-01", "two", "two.another-account")
    own = [each._replace(is_foreign=False) for each in (ONE, TWO)]
    assert tokens.keep([own[0], own[1]._replace(key_authorization="two.another-account")]) == []
    assert {"one", "two"} <= set(files(plan))
    tokens.keep([])
    assert files(plan) == ["two"]


def test_another_answer_for_the_same_token_takes_the_place_of_the_first(
    plan: FollowingPlan, endpoint: Endpoint, make: Callable[..., ForeignTokens]
) -> None:
    tokens = make(plan)
    tokens.keep([ONE])
    later = ONE._replace(key_authorization="one.later")
    assert tokens.keep([later]) == [later]
    assert fetch(endpoint, f"{PREFIX}one")[1] == b"one.later"


def test_tls_alpn_01_is_answered_where_it_is_configured(
    plan: FollowingPlan, endpoint: Endpoint, make: Callable[..., ForeignTokens]
) -> None:
    challenge = Challenge(
        "tls-alpn-01", Identifier(IdentifierType.DNS, NAME), "abc", OF_TLS.key_authorization
    )
    assert make(plan).keep([OF_TLS]) == []
    configured = replace(plan, http_01=ResponsePlace(), tls_alpn_01=ResponsePlace((endpoint,)))
    tokens = make(configured)
    assert tokens.keep([OF_TLS]) == [OF_TLS]
    assert serves_challenge(endpoint, challenge)
    tokens.keep([])
    assert not is_listening(endpoint)


def test_on_sockets_of_the_service_manager_the_core_answers(
    plan: FollowingPlan, endpoint: Endpoint, make: Callable[..., ForeignTokens]
) -> None:
    assert make(plan, listening=True).keep([ONE]) == [ONE]
    assert not is_listening(endpoint)
    assert files(plan) == ["one"]


def test_with_a_webroot_the_web_server_answers(
    plan: FollowingPlan, tmp_path: Path, make: Callable[..., ForeignTokens]
) -> None:
    root = tmp_path / "www"
    root.mkdir()
    tokens = make(replace(plan, http_01=ResponsePlace(webroot=root)))
    assert tokens.keep([ONE]) == [ONE]
    served = root / ".well-known" / "acme-challenge" / "one"
    assert served.read_text("ascii") == "one.thumbprint"
    tokens.keep([])
    assert not served.exists()


@pytest.mark.parametrize(
    "bad", [foreign("http-01", "../key"), foreign("http-01", "one", "ä"), foreign("dns-01", "one")]
)
def test_what_is_no_token_is_not_answered(
    plan: FollowingPlan, make: Callable[..., ForeignTokens], bad: SharedToken
) -> None:
    tokens = make(plan)
    assert tokens.keep([bad, TWO]) == [TWO]


def test_a_port_that_is_taken_is_said_once_and_tried_again(
    plan: FollowingPlan,
    endpoint: Endpoint,
    make: Callable[..., ForeignTokens],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    tokens = make(plan)
    with socket.create_server((endpoint.host, endpoint.port)):
        assert tokens.keep([ONE]) == []
        assert tokens.keep([ONE]) == []
        assert files(plan) == []
    (line,) = caplog.messages
    assert "validation fails if the CA reaches this host" in line
    assert f"{endpoint} is in use" in line
    assert tokens.keep([ONE]) == [ONE]
