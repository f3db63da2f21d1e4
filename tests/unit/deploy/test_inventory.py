from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatecert.deploy.inventory import Inventory
from gatecert.deploy.parsed_versions import StoredCertificate
from gatecert.model import CertificateSummary, Identifier, IdentifierType, Target, Version

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
DAY = timedelta(days=1)
TARGET = Target("vpn", (Identifier(IdentifierType.DNS, "vpn.example.com"),), "vpn.example.com")


def held(
    version: str, *, is_bootstrap: bool = False, left: timedelta = 9 * DAY
) -> StoredCertificate:
    summary = CertificateSummary(
        subject="CN=gate",
        issuer="CN=first",
        identifiers=(),
        not_before=NOW - 30 * DAY,
        not_after=NOW + left,
        fingerprint=version,
        chain_fingerprints=(),
        key_fingerprint="",
        is_bootstrap=is_bootstrap,
        certificate_id="",
    )
    return StoredCertificate(Version(version, Path("/versions") / version, b"", b""), summary)


BOOTSTRAP, TRUSTED = held("3", is_bootstrap=True), held("2")
ENDED, ENDED_BEFORE = held("2", left=-DAY), held("1", left=-2 * DAY)


@pytest.mark.parametrize(
    ("versions", "live", "wanted"),
    [
        ((BOOTSTRAP, TRUSTED), BOOTSTRAP, TRUSTED),
        ((BOOTSTRAP, TRUSTED), None, TRUSTED),
        ((BOOTSTRAP, ENDED), BOOTSTRAP, BOOTSTRAP),
        ((ENDED, ENDED_BEFORE), ENDED_BEFORE, ENDED_BEFORE),
        ((BOOTSTRAP, ENDED), None, BOOTSTRAP),
        ((TRUSTED, ENDED_BEFORE), ENDED_BEFORE, TRUSTED),
        ((), None, None),
    ],
    ids=[
        "a newer bootstrap certificate never takes the place of a trusted one",
        "nor where nothing is live",
        "but that of one that has ended",
        "of ended ones the live one stays",
        "where nothing is live, the newest",
        "the newest that has not ended",
        "none at all",
    ],
)
def test_the_wanted_version_is_the_best_usable_one(
    versions: tuple[StoredCertificate, ...],
    live: StoredCertificate | None,
    wanted: StoredCertificate | None,
) -> None:
    assert Inventory(versions, live, TARGET).wanted(NOW) == wanted
