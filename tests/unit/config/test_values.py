from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.config.values import (
    BadValueError,
    duration,
    duration_text,
    fraction,
    kept_versions,
    quoted,
    switch,
    text,
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("30s", timedelta(seconds=30)),
        ("6h", timedelta(hours=6)),
        ("10d", timedelta(days=10)),
        ("1h30m", timedelta(minutes=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("2W", timedelta(weeks=2)),
        (" 1w2d3h4m5s6ms ", timedelta(9, 3 * 3600 + 4 * 60 + 5, 6000)),
        (timedelta(seconds=7), timedelta(seconds=7)),
    ],
)
def test_durations_are_parsed(written: object, meant: timedelta) -> None:
    assert duration(written) == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("30", '"30" has no unit; write 30s for seconds (or m, h, d)'),
        (30, '"30" has no unit'),
        ("1.5", "has no unit"),
        ("30m1h", "largest first"),
        ("soon", "is not a duration"),
        ("", "is not a duration"),
        ("-5s", "is not a duration"),
        ("1.5h", "is not a duration"),
        (None, "is not a duration"),
        (["30s"], "a list is not a duration"),
        ("0s", "longer than zero"),
        ("99999d", "at most ten years"),
        ("9" * 12 + "s", "at most ten years"),
        ("9" * 5000 + "s", "is not a duration"),
        ("9" * 5000, "is not a duration"),
    ],
)
def test_other_durations_are_refused(written: object, said: str) -> None:
    with pytest.raises(BadValueError) as caught:
        duration(written)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 250


@given(st.timedeltas(timedelta(milliseconds=1), timedelta(days=3650)))
def test_durations_round_trip(value: timedelta) -> None:
    whole = value - timedelta(microseconds=value.microseconds % 1000)
    if whole:
        assert duration(duration_text(whole)) == whole


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (timedelta(seconds=30), "30s"),
        (timedelta(minutes=90), "1h30m"),
        (timedelta(days=14), "2w"),
        (timedelta(days=10), "10d"),
    ],
)
def test_durations_are_formatted_briefly(value: timedelta, written: str) -> None:
    assert duration_text(value) == written


@pytest.mark.parametrize(
    ("written", "meant"),
    [("true", True), ("Yes", True), ("on", True), ("false", False), ("NO", False), (True, True)],
)
def test_booleans_are_parsed(written: object, meant: bool) -> None:  # noqa: FBT001 - the expected value
    assert switch(written) is meant


@pytest.mark.parametrize("written", ["maybe", "1", 1, None, [], {}])
def test_other_booleans_are_refused(written: object) -> None:
    with pytest.raises(BadValueError, match="is neither true nor false"):
        switch(written)


@pytest.mark.parametrize(
    ("written", "meant"), [("0.33", 0.33), (".5", 0.5), ("1/3", 1 / 3), ("33%", 0.33), (0.25, 0.25)]
)
def test_fractions_are_parsed(written: object, meant: float) -> None:
    assert fraction(written) == pytest.approx(meant)


@pytest.mark.parametrize(
    "written",
    ["0", "1", "100%", "3/2", "1/0", "-0.5", "half", None, "0.5.5", f"1/{'9' * 400}", "9" * 5000],
)
def test_other_fractions_are_refused(written: object) -> None:
    with pytest.raises(BadValueError, match="is not a fraction between 0 and 1"):
        fraction(written)


def test_at_least_two_versions_are_kept() -> None:
    assert kept_versions("2") == 2
    for written in ("1", "0", "1001"):
        with pytest.raises(BadValueError, match="which a failed deployment rolls back to"):
            kept_versions(written)


@pytest.mark.parametrize("written", ["many", "-1", "2.5", True, None, ""])
def test_versions_are_whole_numbers(written: object) -> None:
    with pytest.raises(BadValueError, match="is not a whole number"):
        kept_versions(written)


def test_a_number_that_is_too_large_is_a_number() -> None:
    with pytest.raises(BadValueError, match=r'"1000000000" is too large; .* at most nine digits'):
        kept_versions("1000000000")


def test_text_is_one_line_and_not_empty() -> None:
    assert text("  ab ") == "ab"
    assert text(12) == "12"
    for written, said in [
        ("", "is empty"),
        ("  ", "is empty"),
        ("a\nb", "control characters"),
        ("\x1b[0m", "control characters"),
        (True, '"True" is not plain text'),
        (None, "an empty value is not plain text"),
        ({}, "a mapping is not plain text"),
    ]:
        with pytest.raises(BadValueError, match=said):
            text(written)


def test_values_are_quoted_on_one_short_line() -> None:
    assert quoted("a\nb\x1b") == '"a b"'
    assert len(quoted("x" * 1000)) < 90
    assert quoted(()) == "a list"
