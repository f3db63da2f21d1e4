"""The providers of the real dns-lexicon, and wrong ones in a configuration."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from lexicon._private import discovery
from lexicon._private.providers import powerdns

from gatecert.challenge.dns01.lexicon_catalogue import findings, option_names, provider_class
from gatecert.config.schema import Dns01Settings
from gatecert.errors import ProviderNotContactedError

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = ("challenges", "dns-01")
TOKEN = {"auth_token": "/etc/gatecert/token"}


def complaints(provider: str, **groups: dict[str, str]) -> list[tuple[str, str]]:
    """Return the last steps of each key, and what is wrong with it."""
    settings = Dns01Settings.model_validate({"provider": provider, **groups})
    return [(".".join(map(str, each.location[2:])), each.what) for each in findings(HERE, settings)]


def usable() -> Iterable[str]:
    return (name for name, complete in discovery.find_providers().items() if complete)


@pytest.mark.parametrize("name", ["rfc2136", "exec"])
def test_own_providers_are_not_looked_up(name: str) -> None:
    assert complaints(name) == []


@pytest.mark.parametrize(
    ("provider", "what"),
    [
        ("cloudfare", "there is no DNS provider cloudfare; did you mean cloudflare?"),
        ("auto", "there is no DNS provider auto; did you mean"),
        ("qqq", "there is no DNS provider qqq; one of rfc2136, exec, aliyun,"),
    ],
)
def test_a_provider_that_does_not_exist(provider: str, what: str) -> None:
    ((key, said),) = complaints(provider, credentials=TOKEN)

    assert key == "provider"
    assert said.startswith(what)


def test_a_provider_that_needs_further_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "find_providers", lambda: {"powerdns": False})

    ((key, said),) = complaints("powerdns", credentials=TOKEN)

    assert key == "provider"
    assert said.endswith("; install dns-lexicon[powerdns] where gatecert is installed")


@pytest.mark.parametrize(
    ("group", "option", "what"),
    [
        (
            "credentials",
            "api_token",
            "cloudflare has no such option; did you mean auth_token? it has auth_token, ",
        ),
        ("options", "zone", "cloudflare has no such option; did you mean zone_id? it has auth_tok"),
        (
            "options",
            "xyz",
            "cloudflare has no such option; it has auth_token, auth_username, zone_",
        ),
    ],
)
def test_an_option_that_the_provider_does_not_have(group: str, option: str, what: str) -> None:
    ((key, said),) = complaints("cloudflare", **{group: {option: "/etc/gatecert/x"}})

    assert key == f"{group}.{option}"
    assert said.startswith(what)


def test_options_that_only_the_source_shows_are_accepted() -> None:
    options = {"api_endpoint": "https://127.0.0.1/api"}

    assert complaints("dnsmadeeasy", options=options, credentials=TOKEN) == []


def test_a_provider_needs_a_credential() -> None:
    ((key, said),) = complaints("CloudFlare", options={"zone_id": "1"})

    assert key == "credentials"
    assert said == (
        "is empty, and CloudFlare needs a credential, each in a file; it has auth_token, "
        "auth_username"
    )
    assert complaints("cloudflare", options={"auth_username": "ops"}) == []


@pytest.mark.parametrize("name", sorted(usable()))
def test_no_provider_complains_of_its_own_options(name: str) -> None:
    if name == "auto":
        return
    kind = provider_class(name, "", ())

    assert complaints(name, credentials=dict.fromkeys(option_names(kind), "/etc/x")) == []


def test_a_provider_that_cannot_list_its_options_is_not_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        powerdns.Provider,
        "configure_parser",
        lambda parser: parser.add_argument("--needed", required=True),
    )

    assert complaints("powerdns", options={"anything": "1"}) == []


def test_the_library_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lexicon._private.discovery", None)

    with pytest.raises(ProviderNotContactedError, match="needs dns-lexicon, which is not install"):
        provider_class("powerdns", "challenges.dns-01", ("rfc2136",))
