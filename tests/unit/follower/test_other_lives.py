"""Another daemon with the same name, told from what a restart leaves behind."""

from __future__ import annotations

from uuid import UUID

from gatecert.follower.other_lives import REMEMBERED, OtherLives

OTHER = UUID(int=7)


def test_a_restart_finds_the_life_before_and_says_nothing() -> None:
    lives = OtherLives()
    assert not lives.signed(OTHER, 0.0)
    assert not any(lives.signed(None, 30.0 * number) for number in range(1, 10))


def test_a_sign_that_arrives_late_says_nothing() -> None:
    lives = OtherLives()
    found = [lives.signed(other, 30.0 * number) for number, other in enumerate([None, OTHER, None])]
    assert not any(found)


def test_a_daemon_that_goes_on_signing_is_found() -> None:
    lives = OtherLives()
    assert not lives.signed(OTHER, 0.0)
    assert not lives.signed(OTHER, 30.0)
    assert not lives.signed(None, 55.0)  # it signs a little more rarely
    assert lives.signed(OTHER, 80.0)
    assert lives.signed(None, 110.0)


def test_one_that_has_ended_is_forgotten() -> None:
    lives = OtherLives()
    for instant in (0.0, 30.0, 60.0):
        lives.signed(OTHER, instant)
    assert not lives.signed(None, 60.0 + REMEMBERED)
