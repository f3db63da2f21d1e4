from __future__ import annotations

import pytest

from gatecert.config.configuration_finding import Finding, Location, WrongKeys


@pytest.mark.parametrize(
    ("location", "touched"),
    [
        (("a", "b"), True),
        (("a", "b", 0, "c"), True),
        (("a",), True),
        ((), True),
        (("a", "c"), False),
        (("b",), False),
    ],
)
def test_a_wrong_key_touches_what_is_inside_and_around_it(
    location: Location, *, touched: bool
) -> None:
    wrong = WrongKeys()
    wrong.add(("a", "b"))
    assert Finding(location, "").concerns(wrong) is touched
    assert Finding(("z",), "", (location,)).concerns(wrong) is touched


def test_nothing_is_wrong_at_first() -> None:
    assert not Finding(("a",), "", ((),)).concerns(WrongKeys())
