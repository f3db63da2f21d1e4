from __future__ import annotations

import threading
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from gatecert.errors import LeaseLostError, StorageError
from gatecert.store.postgres.held_lease import HeldLease, host_clock

MINE = UUID(int=1)


@dataclass
class Server:
    """A server that renews, and the clock of a host."""

    seconds: float = 1000.0
    holder: UUID = MINE
    is_away: bool = False
    asked: list[float] = field(default_factory=list)
    delay: float = 0.0

    def clock(self) -> float:
        return self.seconds

    def renew(self, token: UUID) -> bool:
        self.asked.append(self.seconds)
        self.seconds += self.delay
        if self.is_away:
            raise StorageError("the database does not answer")
        return token == self.holder

    def lease(self) -> HeldLease:
        return HeldLease("boston", MINE, self.seconds, self.renew, clock=self.clock)


def test_a_fresh_lease_is_checked_without_the_server() -> None:
    server = Server()
    lease = server.lease()
    server.seconds += 59
    lease.check()
    assert server.asked == []
    assert lease.remaining == 61


def test_an_overdue_renewal_is_made_up_for_at_the_next_check() -> None:
    server = Server()
    lease = server.lease()
    server.seconds += 61
    lease.check()
    assert lease.remaining == 120


def test_the_length_counts_from_before_the_question() -> None:
    server = Server(delay=20)
    lease = server.lease()
    server.seconds += 70
    lease.renew()
    assert lease.remaining == 100


@pytest.mark.parametrize(("passed", "is_held"), [(90, True), (91, False), (10_000, False)])
def test_less_than_a_quarter_left_sends_nothing(passed: float, is_held: bool) -> None:  # noqa: FBT001
    server = Server()
    lease = server.lease()
    server.seconds += passed
    server.is_away = True
    if is_held:
        lease.check()
    else:
        with pytest.raises(LeaseLostError, match="boston"):
            lease.check()


def test_a_host_that_was_frozen_goes_on_only_if_no_other_took_over() -> None:
    server = Server()
    lease = server.lease()
    server.seconds += 3600
    lease.check()
    server.seconds += 3600
    server.holder = UUID(int=2)
    with pytest.raises(LeaseLostError):
        lease.check()
    server.holder = MINE
    with pytest.raises(LeaseLostError):  # what another host did in between is unknown
        lease.check()
    assert lease.remaining == 0


def test_an_ended_lease_is_not_renewed() -> None:
    server = Server()
    lease = server.lease()
    assert lease.is_held
    lease.end()
    assert not lease.is_held
    lease.renew()
    with pytest.raises(LeaseLostError):
        lease.check()
    assert server.asked == []


def test_a_thread_renews_while_the_lease_is_kept_also_after_failures() -> None:
    renewed = threading.Semaphore(0)
    failures = iter([True, False, False])

    def renew(token: UUID) -> bool:
        assert token == MINE
        if next(failures, False):
            raise StorageError("the database does not answer")
        renewed.release()
        return True

    lease = HeldLease("boston", MINE, host_clock(), renew, length=0.04)
    with lease.kept():
        for _ in range(3):
            assert renewed.acquire(timeout=60)
    assert lease.remaining == 0
    assert not any(thread.name == "lease" for thread in threading.enumerate())


def test_the_thread_ends_when_another_host_has_the_lease() -> None:
    asked = threading.Semaphore(0)

    def renew(token: UUID) -> bool:
        del token
        asked.release()
        return False

    lease = HeldLease("boston", MINE, host_clock(), renew, length=0.04)
    with lease.kept():
        assert asked.acquire(timeout=60)
        for thread in threading.enumerate():
            if thread.name == "lease":
                thread.join(60)
        with pytest.raises(LeaseLostError):
            lease.check()
    assert not asked.acquire(blocking=False)


def test_the_clock_goes_on_while_the_machine_sleeps() -> None:
    before = host_clock()
    assert host_clock() >= before > 0
