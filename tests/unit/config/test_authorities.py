from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.config.schema.authority import AuthoritySettings, ProfileChoice
from gatecert.config.schema.rate_limit_settings import LimitSettings
from gatecert.config.well_known import LETS_ENCRYPT_STAGING, PUBLIC_CAS, by_directory
from gatecert.model import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.config.schema import Configuration

GATEWAYS = "gateways: {g: {hostname: vpn.example.com}}\n"


def authority(load: Callable[[str], Configuration], written: str) -> AuthoritySettings:
    """Return the only authority of a configuration."""
    (found,) = load(f"authorities: {{{written}}}\n{GATEWAYS}").authorities.values()
    return found


@pytest.mark.parametrize("name", PUBLIC_CAS)
def test_public_cas_are_known_by_short_name(
    configuration: Callable[[str], Configuration], name: str
) -> None:
    url = PUBLIC_CAS[name].directory_url
    assert authority(configuration, f"{name}: {{}}").directory_url == url
    assert authority(configuration, f"a: {{directory_url: {name.upper()}}}").directory_url == url
    known = by_directory(url)
    assert known is not None
    assert known.external_account == PUBLIC_CAS[name].external_account


def test_a_url_overrides_a_short_name(
    configuration: Callable[[str], Configuration],
) -> None:
    url = "https://ca.example/directory"
    assert authority(configuration, f"letsencrypt: {{directory_url: {url}}}").directory_url == url
    assert by_directory(url) is None


def test_the_staging_directory_of_lets_encrypt_is_known() -> None:
    assert PUBLIC_CAS["letsencrypt"].staging_directory_url == LETS_ENCRYPT_STAGING
    assert by_directory(LETS_ENCRYPT_STAGING) == PUBLIC_CAS["letsencrypt-staging"]


@pytest.mark.parametrize("written", ["buypass: {}", "a: {directory_url: Buypass}"])
def test_a_discontinued_ca_is_named(complaints: Callable[[str], list[str]], written: str) -> None:
    (said,) = complaints(f"authorities: {{{written}}}\n{GATEWAYS}")
    assert "is not available any more: Buypass ended its certificates in October 2025" in said


def test_any_other_name_requires_a_directory(complaints: Callable[[str], list[str]]) -> None:
    (said,) = complaints(f"authorities: {{ours: {{}}}}\n{GATEWAYS}")
    assert said.startswith("1: authorities.ours.directory_url: is missing: URL of the ACME")
    assert "letsencrypt-staging" in said


# --------------------------------------------------------------------- profiles


@pytest.mark.parametrize(
    ("written", "choice"),
    [
        ("shortlived", ProfileChoice("shortlived")),
        ("{required: shortlived}", ProfileChoice("shortlived")),
        ("{preferred: shortlived}", ProfileChoice("shortlived", required=False)),
    ],
)
def test_a_profile_is_required_or_preferred(
    configuration: Callable[[str], Configuration], written: str, choice: ProfileChoice
) -> None:
    found = authority(configuration, f"letsencrypt: {{profile: {written}}}")
    assert found.profile == choice
    again = AuthoritySettings.model_validate(found.model_dump(mode="json"))
    assert again.profile == choice


@pytest.mark.parametrize(
    "written", ["{}", "{wanted: x}", "{required: x, preferred: y}", "{preferred: ''}", "[x]"]
)
def test_other_profiles_are_refused(complaints: Callable[[str], list[str]], written: str) -> None:
    (said,) = complaints(f"authorities: {{letsencrypt: {{profile: {written}}}}}\n{GATEWAYS}")
    assert "authorities.letsencrypt.profile" in said


# --------------------------------------------------------------------- limits


def test_limits_default_to_lets_encrypts(
    configuration: Callable[[str], Configuration],
) -> None:
    found = authority(configuration, "letsencrypt: {limits: {duplicates: 9/2d, orders: off}}")
    assert found.limits.duplicates == RateLimit(9, timedelta(days=2))
    assert found.limits.orders is None
    assert found.limits.failed_validations == RateLimit(5, timedelta(hours=1))
    assert AuthoritySettings.model_validate(found.model_dump(mode="json")).limits == found.limits


def test_all_limits_can_be_disabled(configuration: Callable[[str], Configuration]) -> None:
    found = authority(configuration, "letsencrypt: {limits: off}")
    assert all(getattr(found.limits, name) is None for name in LimitSettings.model_fields)


@pytest.mark.parametrize("written", ["9", "x/2d", "9/", "0/1h", "9/soon", "1/0s"])
def test_invalid_limits_are_refused(complaints: Callable[[str], list[str]], written: str) -> None:
    (said,) = complaints(
        f"authorities: {{letsencrypt: {{limits: {{orders: {written}}}}}}}\n{GATEWAYS}"
    )
    assert said.startswith("1: authorities.letsencrypt.limits.orders: ")


# --------------------------------------------------------------------- refused with a reason


@pytest.mark.parametrize("key", ["must_staple", "ocsp_must_staple", "must-staple"])
def test_must_staple_is_refused_with_the_reason(
    complaints: Callable[[str], list[str]], key: str
) -> None:
    (said,) = complaints(f"gateways: {{g: {{hostname: x.cn, {key}: true}}}}\n")
    assert f"gateways.g.{key}: is not supported: Must-Staple (RFC 7633)" in said
