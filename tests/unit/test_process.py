"""Output of commands that only read."""

from __future__ import annotations

import sys

from gatecert.process import output_of


def test_only_the_output_of_a_command_that_succeeds_counts() -> None:
    assert output_of([sys.executable, "-c", "print('shown')"]) == "shown\n"
    assert not output_of([sys.executable, "-c", "print('half'); raise SystemExit(1)"])
    assert not output_of(["gatecert-has-no-such-program"])
    assert not output_of(["/gatecert-has-no-such-program"])


def test_times_are_shown_in_utc_and_messages_in_english() -> None:
    program = "import os; print(os.environ['TZ'], os.environ['LC_ALL'], sorted(os.environ))"

    assert output_of([sys.executable, "-c", program]).startswith("UTC C ")
