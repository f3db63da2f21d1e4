from __future__ import annotations

import pytest

from gatecert.acme.learned_pause import LearnedPause


def test_a_pause_that_was_too_short_doubles_up_to_the_longest() -> None:
    pause = LearnedPause(0.25, 1.0)

    lengths = []
    for _ in range(4):
        lengths.append(pause.seconds)
        pause.learn(enough=False)

    assert lengths == [0.25, 0.5, 1.0, 1.0]


def test_a_pause_that_was_long_enough_shrinks_to_the_shortest() -> None:
    pause = LearnedPause(0.25, 1.0)
    pause.learn(enough=False)

    pause.learn(enough=True)

    assert pause.seconds == pytest.approx(0.45)
    for _ in range(20):
        pause.learn(enough=True)
    assert pause.seconds == 0.25
