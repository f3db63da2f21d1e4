"""Some of the lives that ``make years`` lives; and proof that what should not be is noticed."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.survival.years.authority import Authority, Limit, root_pem
from tests.survival.years.life import HERE, LIFETIMES, Life
from tests.survival.years.world import BEGIN, DAY, HOUR, MINUTE, Change, Trouble

from gatecert.deploy.inventory import Inventory
from gatecert.lifecycle.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from tests.survival.conftest import Pace

    from gatecert.deploy.parsed_versions import StoredCertificate
    from gatecert.model import Outcome, Target

FIRST = 20_261_123
FEW, MANY = 12, 60
CALM = 2  # the seed of a life in which nothing goes wrong


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Nothing is logged, which takes longer than to live."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(disabled)


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    path = tmp_path / "roots.pem"
    path.write_bytes(root_pem())
    return path


def test_nothing_lapses_that_need_not_and_no_limit_is_exceeded(
    roots: Path, tally: list[str], pace: Pace
) -> None:
    seeds = range(FIRST, FIRST + (MANY if pace.thorough else FEW))
    records = [Life(seed, roots).run() for seed in seeds]
    wrong = [record for record in records if record.faults]
    assert {record.lifetime for record in records} == set(LIFETIMES)
    tally.append(
        f"lived 400 days: {len(records) - len(wrong)} of {len(records)} "
        f"({sum(record.changes for record in records)} events, "
        f"{sum(record.issued for record in records)} certificates)"
    )
    faults = [f"make years SEED={record.seed} LIVES=1: {record.faults[0]}" for record in wrong]
    assert not faults, "\n".join(faults)


def test_the_same_seed_is_the_same_life(roots: Path) -> None:
    assert Life(FIRST, roots).run() == Life(FIRST, roots).run()
    assert Life(FIRST, roots).run() != Life(FIRST + 1, roots).run()


# --------------------------------------------------------------------- what is noticed


def test_a_renewal_that_is_missed_is_noticed(roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that is never woken again after its first certificate."""
    attend = Pipeline.attend

    def once(self: Pipeline, target: Target, *_: object) -> Outcome:
        outcome = attend(self, target)
        return replace(outcome, wake_at=BEGIN + 1000 * DAY)

    monkeypatch.setattr(Pipeline, "attend", once)
    life = Life(CALM, roots)
    life.world.changes = [Change(BEGIN + day * DAY, Trouble.CLOCK) for day in range(400)]
    record = life.run()
    assert "although all has been well since" in record.faults[0]


def test_that_there_is_no_certificate_is_noticed(roots: Path) -> None:
    """Nothing is wrong, except that no validation succeeds."""
    life = Life(CALM, roots)
    life.authority.refuses = True
    record = life.run()
    assert any("no certificate of an authority after a good day" in one for one in record.faults)


@pytest.mark.parametrize("surprise", [Trouble.SHORT_LIVED, Trouble.UNTRUSTED])
def test_a_worse_certificate_in_place_of_a_better_one_is_noticed(
    roots: Path, monkeypatch: pytest.MonkeyPatch, surprise: Trouble
) -> None:
    """The newest certificate is taken for the best, and nothing looks at it."""

    def newest(self: Inventory, _: datetime) -> StoredCertificate | None:
        return next((held for held in self.stored if not held.summary.is_bootstrap), self.live)

    monkeypatch.setattr(Inventory, "wanted", newest)
    seed = next(seed for seed in range(100) if Life(seed, roots).expects_any_root)
    life = Life(seed, roots)
    life.world.changes = [Change(BEGIN + HOUR, surprise)]
    record = life.run()
    assert "is live, although there was one that lasts until" in record.faults[0]


def test_that_nothing_could_be_had_is_no_fault(roots: Path) -> None:
    life = Life(CALM, roots)
    life.world.changes = [Change(BEGIN + DAY, Trouble.AUTHORITY)]
    record = life.run()
    assert record.lapsed > 200 * DAY
    assert not record.faults


def test_a_failed_validation_too_many_is_noticed() -> None:
    limit = Limit("failed validations", 5, HOUR)
    assert [limit.note(BEGIN + number * MINUTE) for number in range(5)] == [""] * 5
    assert limit.note(BEGIN + 10 * MINUTE).startswith("6 failed validations within")
    assert limit.note(BEGIN + 3 * HOUR) == ""


def test_an_authority_that_is_exhausted_says_so(roots: Path) -> None:
    life = Life(CALM, roots)
    authority: Authority = life.authority
    for _ in range(11):
        authority.count(authority.accounts)
    assert any("11 new accounts" in fault for fault in life.run().faults)


def test_a_busy_loop_is_noticed(roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attend = Pipeline.attend

    def at_once(self: Pipeline, target: Target, *_: object) -> Outcome:
        return replace(attend(self, target), wake_at=BEGIN)

    monkeypatch.setattr(Pipeline, "attend", at_once)
    life = Life(CALM, roots, span=timedelta(hours=1))
    assert "passes within a minute" in life.run().faults[0]
    assert HERE in life.target.addresses
