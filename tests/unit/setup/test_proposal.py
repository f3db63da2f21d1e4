"""The configuration that follows from the answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.server_files import HOSTNAME, ServerFiles

from gatecert.errors import WrongUsageError
from gatecert.setup.challenge_choice import ChallengeChoice
from gatecert.setup.nginx_settings import plan
from gatecert.setup.proposal import AuthorityChoice, additions, choose_authority, gateway_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.config.schema import Configuration

WRITTEN = """\
authorities:
  inside: {directory_url: "https://ca.widgets.test/dir", terms_of_service_agreed: true}
  silent: {directory_url: "https://ca2.widgets.test/dir"}
gateways: {a: {hostname: a.test, mode: custom}}
"""
HTTP_01 = ChallengeChoice("http-01", "")
REQUIRES = "requires an external account"


def test_the_default_authority() -> None:
    found = choose_authority(None)

    assert (found.name, found.needs_terms) == ("letsencrypt", True)
    assert found.settings("ops@widgets.test") == {
        "contact": ["ops@widgets.test"],
        "terms_of_service_agreed": True,
    }


def test_a_private_authority() -> None:
    more = {"ca_bundle": "/etc/ca.pem"}

    found = choose_authority(None, directory_url="https://ca.test/dir", more=more)

    assert found.name == "private"
    assert found.settings("") == {
        "directory_url": "https://ca.test/dir",
        "terms_of_service_agreed": True,
        "ca_bundle": "/etc/ca.pem",
    }
    named = choose_authority(None, name="lab", directory_url="https://ca.test/dir")
    assert named.name == "lab"
    assert choose_authority(None, directory_url="letsencrypt-staging").name == "letsencrypt-staging"


def test_a_written_authority_needs_no_answers(
    configuration: Callable[[str], Configuration],
) -> None:
    written = configuration(WRITTEN)

    found = choose_authority(written)

    assert found == AuthorityChoice("inside", is_written=True, needs_terms=False)


@pytest.mark.parametrize(
    ("name", "url", "what"),
    [
        ("zerossl", "", REQUIRES),
        ("", "https://acme.zerossl.com/v2/DV90", REQUIRES),
        ("unknown", "", "--directory-url"),
        ("silent", "", "terms_of_service_agreed is not set"),
        ("inside", "https://other.test/", "has another directory"),
    ],
)
def test_what_only_the_operator_knows(
    name: str, url: str, what: str, configuration: Callable[[str], Configuration]
) -> None:
    with pytest.raises(WrongUsageError, match=what):
        choose_authority(configuration(WRITTEN), name=name, directory_url=url)


def test_names_of_gateways() -> None:
    assert gateway_name("boston.widgets.test", []) == "boston"
    assert gateway_name("boston.widgets.test", ["boston"]) == "boston-widgets"
    assert gateway_name("*.widgets.test", []) == "widgets"
    with pytest.raises(WrongUsageError, match="--name"):
        gateway_name("a.b", ["a", "a-b"])


def test_additions(configuration: Callable[[str], Configuration]) -> None:
    server = plan(ServerFiles().wanted())
    choice = choose_authority(None)

    alone = additions("gate", HOSTNAME, server, HTTP_01, choice, None, contact="a@b.test")
    beside = additions(
        "gate",
        HOSTNAME,
        server,
        HTTP_01,
        choice,
        configuration(WRITTEN + "defaults: {install: {reload: [/bin/true]}}\n"),
        addresses=["192.0.2.1"],
        is_challenge_fixed=True,
    )

    assert alone.gateways == {
        "gate": {"hostname": HOSTNAME, "install": {"verify": ["127.0.0.1:443"]}}
    }
    assert list(alone.authorities) == ["letsencrypt"]
    assert beside.gateways["gate"] == {
        "hostname": HOSTNAME,
        "addresses": ["192.0.2.1"],
        "challenge": "http-01",
        "authorities": ["letsencrypt"],
        "install": {"verify": ["127.0.0.1:443"], "reload": []},
    }
