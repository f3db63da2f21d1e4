"""Tests of names configured after the import."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.custom_office import HOST, SINGLE
from tests.fakes.pki import dns

from gatecert.custom.missing_names import missing_names_warning
from gatecert.model import CertificateSummary, Identifier, IdentifierType, Mode

if TYPE_CHECKING:
    from tests.fakes.custom_office import Office

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LIVE = CertificateSummary(
    subject="",
    issuer="",
    identifiers=dns(HOST, "*.company.com"),
    not_before=NOW,
    not_after=NOW + timedelta(days=300),
    fingerprint="f",
    chain_fingerprints=(),
    key_fingerprint="k",
    is_bootstrap=False,
    certificate_id="",
)


@pytest.mark.parametrize("names", [(HOST,), (HOST, "remote.company.com"), (HOST, "*.company.com")])
def test_present_names_and_names_below_a_wildcard_are_covered(names: tuple[str, ...]) -> None:
    assert missing_names_warning(replace(SINGLE, identifiers=dns(*names)), LIVE) == ("", "")


@pytest.mark.parametrize(
    "missing", [*dns("a.remote.company.com", "company.com"), Identifier(IdentifierType.IP, "::1")]
)
def test_a_missing_name_is_reported_with_its_fix(missing: Identifier) -> None:
    what, fix = missing_names_warning(replace(SINGLE, identifiers=(*dns(HOST), missing)), LIVE)
    assert f"does not cover {missing.value}" in what
    assert fix.startswith("gatecert csr hq")


@pytest.mark.parametrize(
    ("live", "mode"),
    [
        (None, Mode.CUSTOM),
        (replace(LIVE, is_bootstrap=True), Mode.CUSTOM),
        (LIVE, Mode.AUTOMATIC),
    ],
)
def test_automatic_and_bootstrap_certificates_are_not_warned_about(
    live: CertificateSummary | None, mode: Mode
) -> None:
    other = replace(SINGLE, identifiers=dns("other.example"), mode=mode)
    assert missing_names_warning(other, live) == ("", "")


def test_a_missing_name_is_logged_when_the_configuration_is_read(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    certificate = office.sign(office.csr())
    office.pipeline.import_certificate(office.target, office.uploads(certificate), wait=0)
    caplog.set_level(logging.WARNING)
    office.pipeline.prepare(office.target)
    assert not caplog.records
    office.pipeline.prepare(replace(office.target, identifiers=dns(HOST, "new.company.com")))
    (said,) = caplog.messages
    assert "does not cover new.company.com" in said
    assert "gatecert csr hq" in said
