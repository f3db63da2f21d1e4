from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatecert.model import (
    EnrolmentState,
    GatewayState,
    HostState,
    Identifier,
    IdentifierType,
    NameResolution,
    Outcome,
    OutcomeKind,
    PendingOrder,
    RenewalInfo,
    Resolution,
    ResolutionKind,
)
from gatecert.store.codec import decode, encode
from gatecert.store.damaged_files import DamagedRecordError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
instants = st.datetimes(
    datetime(1971, 1, 1),  # noqa: DTZ001 - hypothesis wants bounds without a zone
    datetime(9998, 1, 1),  # noqa: DTZ001 - the same
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7, minutes=-30))]),
)
texts_tuple = st.lists(texts, max_size=3).map(tuple)
identifiers = st.builds(Identifier, st.sampled_from(IdentifierType), texts)
resolutions = st.builds(
    Resolution,
    at=instants,
    names=st.lists(
        st.builds(
            NameResolution,
            name=texts,
            kind=st.sampled_from(ResolutionKind),
            answers=texts_tuple,
            wrong=texts_tuple,
            time_to_live=st.none() | st.timedeltas(),
            detail=texts,
        ),
        max_size=2,
    ).map(tuple),
    expected=texts_tuple,
)
enrolments = st.builds(
    EnrolmentState,
    failures=st.integers(0, 10**6),
    next_attempt=st.none() | instants,
    order=st.none()
    | st.builds(
        PendingOrder,
        authority=texts,
        directory_url=texts,
        url=texts,
        request_id=texts,
        identifiers=st.lists(identifiers, max_size=2).map(tuple),
        created=instants,
    ),
    renewal=st.none()
    | st.builds(
        RenewalInfo,
        certificate_id=texts,
        next_fetch=instants,
        renew_at=st.none() | instants,
        explanation_url=texts,
        failures=st.integers(0, 10),
    ),
)
hosts = st.builds(
    HostState,
    resolution=st.none() | resolutions,
    outcome=st.none()
    | st.builds(
        Outcome,
        gateway=texts,
        at=instants,
        kind=st.sampled_from(OutcomeKind),
        detail=texts,
        seconds=st.floats(allow_nan=False, allow_infinity=False),
    ),
)
states = st.builds(GatewayState, enrolments, hosts)


@dataclass(frozen=True, slots=True)
class Sample:
    when: datetime | None = None
    lasts: timedelta | None = None
    where: Path | None = None
    anything: object = None


@settings(max_examples=60, deadline=None)
@given(states)
def test_a_state_is_decoded_as_it_was_encoded(state: GatewayState) -> None:
    assert decode(GatewayState, encode(state)) == state


@settings(max_examples=40, deadline=None)
@given(st.timedeltas())
def test_durations_keep_their_precision(duration: timedelta) -> None:
    assert decode(Sample, encode(Sample(lasts=duration))).lasts == duration


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_garbage_is_reported_as_damage(garbage: bytes) -> None:
    with pytest.raises(DamagedRecordError):
        decode(GatewayState, garbage)


def test_the_file_format() -> None:
    east = timezone(timedelta(hours=8))
    sample = Sample(datetime(2026, 11, 23, 16, 15, tzinfo=east), timedelta(seconds=30), Path("/a"))
    assert json.loads(encode(sample)) == {
        "schema": 1,
        "when": "2026-11-23T08:15:00Z",
        "lasts": "PT30S",
        "where": "/a",
        "anything": None,
    }


def test_instants_are_decoded_in_utc() -> None:
    when = decode(Sample, b'{"schema": 1, "when": "2026-11-23T16:15:00+08:00"}').when
    assert when == datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
    assert when.tzinfo is UTC


def test_unknown_fields_are_ignored() -> None:
    data = b'{"schema": 1, "failures": 3, "of_tomorrow": {"x": []}}'
    assert decode(GatewayState, data) == GatewayState(EnrolmentState(failures=3))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("", "EOF"),
        ("null", "should be an object"),
        ("{}", "schema"),
        ('{"schema": 2}', "schema 2 is not known"),
        ('{"schema": true}', "schema"),
        ('{"schema": 1, "failures": "3"}', "failures: .*valid integer"),
        ('{"schema": 1, "failures": true}', "failures"),
        ('{"schema": 1, "failures": -5}', "a count is below zero"),
        (f'{{"schema": 1, "failures": {10**30}}}', "a count is too large"),
        ('{"schema": 1, "next_attempt": 17}', "next_attempt"),
        ('{"schema": 1, "next_attempt": "2026-11-23T08:15:00"}', "no time zone"),
        ('{"schema": 1, "next_attempt": "0001-01-01T00:00:00+10:00"}', "out of range"),
        ('{"schema": 1, "order": {}}', "order: authority"),
        ('{"schema": 1, "resolution": [' + "[" * 5000, "recursion|EOF"),
    ],
)
def test_each_damage_is_described_on_one_line(data: str, why: str) -> None:
    with pytest.raises(DamagedRecordError, match=why) as caught:
        decode(GatewayState, data.encode())
    assert "\n" not in str(caught.value)


def test_invalid_unicode_is_replaced() -> None:
    state = GatewayState(
        host=HostState(
            outcome=Outcome("g", datetime(2026, 1, 1, tzinfo=UTC), OutcomeKind.FAILED, "a\udc80b")
        )
    )
    outcome = decode(GatewayState, encode(state)).host.outcome
    assert outcome is not None
    assert outcome.detail == "a?b"


def test_bytes_cannot_be_encoded() -> None:
    with pytest.raises(TypeError, match="bytes has no place"):
        encode(Sample(anything=b"secret"))
