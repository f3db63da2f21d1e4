"""The urgency of orders that compete for a limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.clock import DAY, HOUR, NOW

from gatecert.model import (
    CertificateSummary,
    EnrolmentState,
    GatewayState,
    Identifier,
    IdentifierType,
    RevocationState,
    Target,
)
from gatecert.model.fleet import Priority, Urgency
from gatecert.schedule.due import Situation
from gatecert.schedule.urgency import urgency

NAME = Identifier(IdentifierType.DNS, "vpn.example.com")
TARGET = Target(name="vpn", identifiers=(NAME,), display_name="vpn.example.com")
LIFETIME = 90 * DAY


def certificate(age: timedelta = DAY, **changes: object) -> CertificateSummary:
    plain = CertificateSummary(
        subject="",
        issuer="",
        identifiers=(NAME,),
        not_before=NOW - age,
        not_after=NOW - age + LIFETIME,
        fingerprint="f",
        chain_fingerprints=(),
        key_fingerprint="k",
        is_bootstrap=False,
        certificate_id="akiid.serial",
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # each test names fields that exist


def situation(live: CertificateSummary | None, **changes: object) -> Situation:
    plain = Situation(target=TARGET, state=GatewayState(), live=live, deployment=None)
    return replace(plain, **changes)  # type: ignore[arg-type] # each test names fields that exist


def revoked(fingerprint: str = "f") -> GatewayState:
    return GatewayState(
        EnrolmentState(revocation=RevocationState(fingerprint, next_look=NOW, revoked=NOW))
    )


BOOTSTRAP = certificate(is_bootstrap=True, fingerprint="b")
OTHER_NAMES = (Identifier(IdentifierType.DNS, "old.example.com"),)


@pytest.mark.parametrize(
    ("found", "priority"),
    [
        (situation(None), Priority.NONE),
        (situation(BOOTSTRAP), Priority.NONE),
        (situation(certificate()), Priority.RENEWAL),
        (situation(certificate(80 * DAY)), Priority.RENEWAL),
        (situation(certificate(81 * DAY)), Priority.ENDING),
        (situation(certificate(100 * DAY)), Priority.ENDING),
        (situation(certificate(identifiers=OTHER_NAMES)), Priority.NONE),
        (situation(certificate(85 * DAY, identifiers=OTHER_NAMES)), Priority.ENDING),
        (situation(certificate(), state=revoked()), Priority.REVOKED),
        (situation(certificate(100 * DAY), state=revoked()), Priority.REVOKED),
        (situation(certificate(), state=revoked("other")), Priority.RENEWAL),
        (
            situation(certificate(), newest=certificate(fingerprint="n"), state=revoked()),
            Priority.REVOKED,  # what is served now, although a newer one is stored
        ),
    ],
)
def test_the_priority_follows_from_the_certificate_in_use(
    found: Situation, priority: Priority
) -> None:
    assert urgency(found, NOW).priority is priority


def test_a_gateway_without_a_certificate_has_no_instants() -> None:
    assert urgency(situation(BOOTSTRAP), NOW) == Urgency(Priority.NONE)


ages = st.timedeltas(timedelta(0), 200 * DAY)


@given(age=ages, later=st.timedeltas(timedelta(0), 200 * DAY))
def test_the_priority_rises_exactly_when_it_said(age: timedelta, later: timedelta) -> None:
    found = situation(certificate(age))
    then: datetime = NOW + later
    before, after = urgency(found, NOW), urgency(found, then)
    assert after.not_after == before.not_after == NOW - age + LIFETIME
    assert before.ending_from is not None
    assert (after.priority is Priority.ENDING) == (then >= before.ending_from)


def test_the_most_urgent_goes_first() -> None:
    waiting = {
        "renewal": situation(certificate(60 * DAY)),
        "new": situation(None),
        "ended": situation(certificate(91 * DAY)),
        "ends in an hour": situation(certificate(LIFETIME - HOUR)),
        "revoked": situation(certificate(), state=revoked()),
    }
    order = sorted(waiting, key=lambda name: urgency(waiting[name], NOW).priority)
    assert order == ["revoked", "ended", "ends in an hour", "new", "renewal"]
