"""The lines of the live display at several widths."""

from __future__ import annotations

import pytest

from gatecert.cli.progress_frame import Activity, Count, clip, frame, said_lines
from gatecert.model import Message, Stage, Wait
from gatecert.report.terminal import Terminal, cells

SERVING = Wait("127.0.0.1:443 to serve it", 15.0)


def activity(gateway: str, stage: Stage, *messages: Message) -> Activity:
    """Return the activity after messages at 100 s, 101 s …"""
    first, *rest = messages
    found = Activity.first(gateway, stage, first, 100.0)
    for number, message in enumerate(rest, 1):
        found = found.followed_by(stage, message, 100.0 + number)
    return found


def shown(
    activities: list[Activity],
    count: Count,
    *,
    width: int = 80,
    now: float = 110.0,
    height: int = 20,
    has_unicode: bool = True,
) -> list[str]:
    terminal = Terminal(width=width, has_unicode=has_unicode, is_live=True)
    lines = frame(activities, count, terminal, now=now, turn=2, height=height)
    assert all(cells(line) <= width for line in lines)
    return lines


BOSTON = activity("boston", Stage.VERIFY, "reloaded", SERVING)
MANY = [
    BOSTON,
    activity("hq", Stage.ORDER, "proving control of " + ", ".join(30 * ["hq.example.com"])),
    activity("münchen", Stage.LOCK, Wait("gatecert with process id 7 (renewing) to finish", 60)),
]


def test_a_single_gateway_shows_the_last_line_and_the_wait() -> None:
    assert shown([BOSTON], Count()) == [
        "  verify   reloaded",
        "⠹ verify: waiting for 127.0.0.1:443 to serve it  9/15 s",
    ]


def test_several_gateways_have_a_line_each() -> None:
    assert shown(MANY, Count(24, 5)) == [
        "⠹ boston   verify: waiting for 127.0.0.1:443 to serve it  9/15 s",
        "⠹ hq       order: proving control of hq.example.com, hq.example.com,…  10 s",
        "⠹ münchen  lock: waiting for gatecert with process id 7 (renewing) to…  10/60 s",
        "  5 of 24 done, 16 to begin",
    ]


def test_a_wide_terminal_shows_more() -> None:
    assert shown(MANY, Count(3, 0), width=120)[1:] == [
        f"⠹ hq       order: proving control of{4 * ' hq.example.com,'}…  10 s",
        "⠹ münchen  lock: waiting for gatecert with process id 7 (renewing) to finish  10/60 s",
        "  0 of 3 done",
    ]


def test_a_narrow_ascii_terminal_shows_less() -> None:
    assert shown(MANY, Count(3, 0), width=40, has_unicode=False) == [
        "- boston   verify: waiting...  9/15 s",
        "- hq       order: proving...  10 s",
        "- münchen  lock: waiting...  10/60 s",
        "  0 of 3 done",
    ]


def test_what_does_not_fit_the_height_is_counted() -> None:
    assert shown(MANY, Count(300, 7), height=2) == [
        "⠹ boston  verify: waiting for 127.0.0.1:443 to serve it  9/15 s",
        "  7 of 300 done, 2 more in progress, 290 to begin",
    ]
    assert shown(MANY, Count(300, 7), height=0) == [
        "  7 of 300 done, 3 more in progress, 290 to begin"
    ]


def test_where_only_the_name_fits_only_the_name_is_shown() -> None:
    name = "a-gateway-with-a-very-long-name"
    assert shown([activity(name, Stage.ORDER, SERVING)], Count(2), width=20)[0] == (
        "⠹ a-gateway-with-a-…"
    )


@pytest.mark.parametrize(
    ("message", "now", "clock"),
    [
        ("quick", 100.5, ""),
        ("slow", 103.9, "3 s"),
        (SERVING, 99.0, "0/15 s"),
        (SERVING, 130.0, "15/15 s"),
        (Wait("other orders to finish"), 100.2, ""),
        (Wait("a single look", 0.0), 102.0, "2 s"),
    ],
)
def test_the_clock_never_passes_the_limit(message: Message, now: float, clock: str) -> None:
    assert activity("boston", Stage.ORDER, message).clock(now) == clock


def test_a_repeated_wait_keeps_its_clock() -> None:
    first = activity("boston", Stage.ORDER, Wait("the CA", 300), Wait("the CA", 299))
    assert (first.since, first.message) == (100.0, Wait("the CA", 300))


def test_another_stage_starts_its_own_clock() -> None:
    next_one = BOSTON.followed_by(Stage.ORDER, "ordering", 120.0)
    assert (next_one.since, next_one.stage_since, next_one.said) == (120.0, 120.0, "ordering")


def test_the_duration_of_a_stage_stands_behind_its_last_line() -> None:
    terminal = Terminal(width=40)
    assert said_lines(BOSTON, terminal, 1.25) == ["  verify   reloaded (1.2 s)"]
    assert said_lines(activity("boston", Stage.VERIFY, SERVING), terminal, 1.0) == []
    full = activity("boston", Stage.VERIFY, "this fills the line exactly")
    assert said_lines(full, terminal, 1.0) == [
        "  verify   this fills the line exactly",
        "           (1.0 s)",
    ]


def test_a_word_longer_than_the_line_is_cut() -> None:
    assert clip("x" * 30, Terminal(width=10)) == "xxxxxxxxx…"
    assert clip("x" * 30, Terminal()) == "x" * 30
