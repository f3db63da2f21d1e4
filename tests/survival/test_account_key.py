"""The change of an account's key is killed just before every step: the account stays ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.survival.checks import where
from tests.survival.scene import House, Scene, killed_at

from gatecert.acme.issuer import Issuer
from gatecert.deadline import Deadline
from gatecert.lifecycle.gateway_pass import Occasion

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.model import Account

NAME = "acme"
NEVER = 1 << 30


def change(house: House) -> Account:
    issuer = house.pipeline.authorities[NAME]
    assert isinstance(issuer, Issuer)
    account, _ = issuer.administration().change_key(Deadline.after(60))
    return account


def test_killed_at_any_step_of_a_change_of_the_account_key(
    scene: Scene, directory: Path, tally: list[str]
) -> None:
    scene.house().pipeline.attend(scene.target)
    restore = scene.save(directory / "beginning")
    before = scene.house().store.account(NAME)
    assert before is not None
    points = killed_at(NEVER, scene, change)
    assert points
    faults = []
    known_by: set[bool] = set()
    for number in range(len(points)):
        restore()
        try:
            assert killed_at(number, scene, change) is None
            known_by.add(_survives(scene, before))
        except AssertionError as error:
            faults.append(f"killed before step {number}, {points[number]}: {where(error)}")
    survived = len(points) - len(faults)
    tally.append(f"killed in a change of the account key: {survived} of {len(points)} points")
    assert not faults, "\n".join(faults[:20])
    assert known_by == {False, True}  # some kills came before the authority knew, some after


def _survives(scene: Scene, before: Account) -> bool:
    """The daemon orders with the same account, and the command comes to its end afterwards.

    Returns:
        Whether the key had been changed when the process was killed.
    """
    outcome = scene.house().pipeline.attend(scene.target, Occasion(force=True))
    assert not outcome.failed, outcome.detail
    kept = scene.house().store.account(NAME)
    assert kept is not None
    assert kept.url == before.url
    assert list(scene.authority.accounts.values()) == [before.url]

    after = change(scene.house())
    house = scene.house()
    assert house.store.account(NAME) == after
    assert house.store.next_key(NAME) is None
    assert after.url == before.url
    assert after.private_key != kept.private_key
    assert list(scene.authority.accounts.values()) == [before.url]
    return kept.private_key != before.private_key
