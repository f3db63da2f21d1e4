"""JSON with an indent: the bytes that the standard library writes."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tests.fakes.gateway_statuses import EVERY_STATE, FULL
from tests.fakes.many_statuses import many

from gatecert.report.indented_json import indented

VALUES = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
)


def text(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat(timespec="seconds").replace("+00:00", "Z")


@given(VALUES)
def test_every_value_is_written_as_the_standard_library_does(value: object) -> None:
    assert indented(value) == json.dumps(value, indent=2)


@pytest.mark.parametrize("one", [*EVERY_STATE, FULL, *many(5)], ids=lambda one: one.name)
def test_a_status_is_written_with_all_of_its_fields(one: object) -> None:
    plain = asdict(one)  # type: ignore[call-overload] # a status
    assert indented(one) == json.dumps(plain, indent=2, default=text)


def test_what_json_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="set is not JSON serializable"):
        indented({"one": {1, 2}})
