from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from gatecert.config import explain

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.config.configuration_finding import Location

GATEWAY = "hostname: x.cn"


@pytest.mark.parametrize(
    ("gateway", "told"),
    [
        ("hostnam: x.cn, hostname: x.cn", "hostnam: unknown key; did you mean hostname?"),
        (
            f"{GATEWAY}, reload: [x]",
            "reload: unknown key; it belongs to gateways.NAME.install",
        ),
        (
            f"{GATEWAY}, excluded_regions: []",
            "excluded_regions: unknown key; it belongs to the top level",
        ),
        (f"{GATEWAY}, key: {{zzz: 1}}", "key.zzz: unknown key; known keys: type, reuse"),
        (f"{GATEWAY}, key: ecdsa-p256", "key: must contain keys and values"),
        (f"{GATEWAY}, members: [a]", "members: must contain names with settings"),
        (f"{GATEWAY}, addresses: '::1'", "addresses: must be a list; write it in brackets [ ]"),
        (
            f"{GATEWAY}, mode: custom, members: {{a: {{}}}}",
            "members.a.common_name: is missing: The host's own name",
        ),
        (
            f"{GATEWAY}, install: {{copy_to: [{{contents: cert}}]}}",
            "install.copy_to[0].path: is missing: Path of the file",
        ),
        (
            f"{GATEWAY}, install: {{copy_to: [{{path: /x, contents: cert, ownr: x}}]}}",
            "install.copy_to[0].ownr: unknown key; did you mean owner?",
        ),
        (f"{GATEWAY}, members: {{'a b': {{}}}}", 'members.a b: "a b" is not a valid name'),
    ],
)
def test_structural_errors_are_explained(
    complaints: Callable[[str], list[str]], gateway: str, told: str
) -> None:
    found = complaints(f"gateways:\n  g: {{{gateway}}}\n")
    assert any(line.startswith(f"2: gateways.g.{told}") for line in found)


def test_a_key_named_like_a_pydantic_marker(complaints: Callable[[str], list[str]]) -> None:
    found = complaints("'[key]': 1\ngateways: {'[key]': {hostname: x.cn}}\n")
    assert found[0].startswith("1: [key]: unknown key; known keys: state_directory")
    assert found[1].startswith('2: gateways.[key]: "[key]" is not a valid name')


@pytest.mark.parametrize(
    ("kind", "location", "told"),
    [
        ("int_parsing", ("resolver", "interval"), "has an invalid value"),
        ("missing", ("nowhere", "x"), "is missing"),
        ("missing", ("gateways", "g", "unknown"), "is missing"),
    ],
)
def test_other_pydantic_errors_have_a_text(kind: str, location: Location, told: str) -> None:
    error = ValidationError.from_exception_data(
        "x", [InitErrorDetails(type=kind, loc=location, input="S3cr3t")]
    )
    (finding,) = explain.findings(error)
    assert (finding.location, finding.what) == (location, told)


def test_an_unknown_key_outside_any_group() -> None:
    error = ValidationError.from_exception_data(
        "x", [InitErrorDetails(type="extra_forbidden", loc=("a", "zzz"), input=1)]
    )
    (finding,) = explain.findings(error)
    assert finding.what == "unknown key; no key has this name"
