from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gatecert.certificate.comparison import Trust
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
    return StoredCertificate(Version(version, "boston", b"", b""), summary)


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


def of_generation(stored: StoredCertificate, generation: int) -> StoredCertificate:
    """One that clients accept."""
    return replace(
        stored,
        version=replace(stored.version, generation=generation),
        summary=replace(stored.summary, identifiers=TARGET.identifiers),
        trust=Trust(trusted=True),
    )


NEW, OLD = of_generation(held("5"), 7), of_generation(held("4"), 6)


@pytest.mark.parametrize(
    ("others", "live", "served"),
    [
        ((OLD,), OLD, OLD),
        ((OLD,), None, OLD),
        ((BOOTSTRAP, OLD), BOOTSTRAP, OLD),
        ((), None, NEW),
        ((BOOTSTRAP,), BOOTSTRAP, NEW),
        ((ENDED,), ENDED, NEW),
        ((replace(OLD, revoked=True),), OLD, NEW),
        ((replace(OLD, trust=Trust()),), OLD, NEW),
        ((OLD,), NEW, NEW),
    ],
    ids=[
        "the old one is served",
        "also where nothing is live",
        "and in place of a bootstrap certificate",
        "there is no other one",
        "the other one is self-signed",
        "has ended",
        "is revoked",
        "is one that clients refuse",
        "the new one is live already",
    ],
)
def test_a_generation_waits_only_behind_one_that_is_as_good(
    others: tuple[StoredCertificate, ...],
    live: StoredCertificate | None,
    served: StoredCertificate,
) -> None:
    inventory = Inventory((NEW, *others), live, TARGET)
    assert inventory.in_turn(NOW, 7) == served
    assert inventory.in_turn(NOW, 0) == inventory.in_turn(NOW, 6) == NEW
