from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.certificate.comparison import Trust, rank, rejection_of
from gatecert.errors import InferiorCertificateError, ShortLivedError, UntrustedRootError
from gatecert.model import (
    CertificateSummary,
    Identifier,
    IdentifierType,
    KeyPolicy,
    KeyType,
    Target,
)

if TYPE_CHECKING:
    from gatecert.certificate.comparison import CertificateRank

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
NAME, OTHER = (Identifier(IdentifierType.DNS, f"{label}.example.com") for label in ("vpn", "two"))
TARGET = Target("vpn", (NAME, OTHER), NAME.value)
GOOD = CertificateSummary(
    subject="",
    issuer="CN=CA",
    identifiers=(NAME, OTHER),
    not_before=NOW - 30 * DAY,
    not_after=NOW + 60 * DAY,
    fingerprint="aa",
    chain_fingerprints=("bb",),
    key_fingerprint="cc",
    is_bootstrap=False,
    certificate_id="",
)
TRUSTED, UNTRUSTED = Trust(trusted=True, root="CN=Root"), Trust(root="CN=Unknown")


def ranked(
    *, trust: Trust = TRUSTED, revoked: bool = False, target: Target = TARGET, **changes: object
) -> CertificateRank:
    summary = replace(GOOD, **changes)  # type: ignore[arg-type] # each names fields that exist
    return rank(summary, trust, revoked=revoked, target=target, now=NOW)


PAIR = replace(TARGET, key=KeyPolicy(KeyType.ECDSA_P256, second=KeyType.RSA_2048))
RANKING = {
    "trusted": ranked(),
    "trusted, must-staple": ranked(must_staple=True),
    "trusted, one name missing": ranked(identifiers=(NAME,)),
    "trusted, revoked": ranked(revoked=True),
    "from an unknown root": ranked(trust=UNTRUSTED),
    "from an unknown root, incomplete chain": ranked(
        trust=replace(UNTRUSTED, chain_complete=False)
    ),
    "trusted, for another hostname": ranked(identifiers=(OTHER,)),
    "self-signed": ranked(trust=Trust(), is_bootstrap=True),
    "expired, for another hostname": ranked(
        trust=UNTRUSTED, identifiers=(OTHER,), not_after=NOW - DAY
    ),
}


def test_each_is_better_than_the_next() -> None:
    ranked = sorted(RANKING, key=lambda name: RANKING[name], reverse=True)
    assert ranked == list(RANKING)


def test_a_missing_second_key_counts_less_than_a_missing_name() -> None:
    assert ranked() > ranked(target=PAIR) > ranked(target=PAIR, identifiers=(NAME,))


def test_a_wildcard_covers_its_names() -> None:
    wildcard = (Identifier(IdentifierType.DNS, "*.example.com"),)
    assert ranked(identifiers=wildcard) == ranked()


@pytest.mark.parametrize(
    ("left", "other", "better"),
    [
        (10 * MINUTE, 60 * DAY, "second"),
        (DAY - MINUTE, DAY, "second"),
        (6 * DAY, 60 * DAY, "neither"),
        (MINUTE, 2 * MINUTE, "second"),
        (-DAY, MINUTE, "second"),
    ],
)
def test_time_left_counts_up_to_a_day(left: timedelta, other: timedelta, better: str) -> None:
    first, second = ranked(not_after=NOW + left), ranked(not_after=NOW + other)
    assert better == ("neither" if first == second else "first" if first > second else "second")


@pytest.mark.parametrize(
    ("trust", "changes", "kind", "words"),
    [
        (UNTRUSTED, {}, UntrustedRootError, "ends in 'CN=Unknown', which neither trusted_roots"),
        (
            TRUSTED,
            {"not_after": NOW + MINUTE},
            ShortLivedError,
            "expires at 2026-11-23 08:16:00 UTC",
        ),
        (
            TRUSTED,
            {"identifiers": (NAME,)},
            InferiorCertificateError,
            "not for every configured name",
        ),
        (TRUSTED, {"must_staple": True}, InferiorCertificateError, "OCSP stapling"),
        (TRUSTED, {"not_after": NOW - DAY}, InferiorCertificateError, "self-signed or expired"),
    ],
)
def test_the_rejection_names_the_defect(
    trust: Trust, changes: dict[str, object], kind: type[InferiorCertificateError], words: str
) -> None:
    summary = replace(GOOD, **changes)  # type: ignore[arg-type] # each names fields that exist
    worse = ranked(trust=trust, **changes)  # type: ignore[arg-type] # as above
    error = rejection_of(summary, trust, worse, ranked(), other_ends=GOOD.not_after)
    assert type(error) is kind
    assert words in error.message
    assert "2027-01-22" in error.message
    assert "\n" not in str(error)


@given(
    trusted=st.booleans(),
    revoked=st.booleans(),
    minutes=st.integers(1, 10**6),
    names=st.sets(st.sampled_from([NAME, OTHER]), min_size=1),
)
def test_nothing_ranks_above_a_certificate_that_clients_accept(
    *, trusted: bool, revoked: bool, minutes: int, names: set[Identifier]
) -> None:
    any_other = ranked(
        trust=Trust(trusted=trusted),
        revoked=revoked,
        not_after=NOW + minutes * MINUTE,
        identifiers=tuple(names),
    )
    assert any_other <= ranked()
