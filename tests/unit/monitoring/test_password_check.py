"""Basic authentication with real bcrypt hashes of the least cost."""

from __future__ import annotations

import asyncio
import base64
import threading
from typing import TYPE_CHECKING

import bcrypt
import pytest

from gatecert.monitoring.password_check import (
    MOST_REMEMBERED,
    MOST_WAITING,
    PasswordCheck,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable


def hashed(password: str, cost: int = 4) -> str:
    return bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(cost)).decode()


def basic(user: str, password: str, scheme: str = "Basic") -> str:
    return f"{scheme} {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def allows(users: dict[str, str], header: str) -> bool:
    async def check() -> bool:
        return await PasswordCheck(users).allows(header, "192.0.2.1") is True

    return asyncio.run(check())


LONG = "x" * 72


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        (basic("alice", "right"), True),
        (basic("alice", "right", "bAsIc"), True),
        (basic("bob", "with:colon"), True),
        (basic("eve", LONG + "more"), True),  # bcrypt sees 72 bytes
        (basic("alice", "wrong"), False),
        (basic("alice", ""), False),
        (basic("mallory", "right"), False),
        (basic("", ""), False),
        (basic("alice", "right\0"), False),
        ("", False),
        ("Basic", False),
        ("Basic ????", False),
        ("Basic YWxpY2U=", False),
        ("Bearer " + basic("alice", "right")[6:], False),
        ("Basic \xe4\xf6", False),
    ],
)
def test_who_is_let_in(header: str, allowed: bool) -> None:  # noqa: FBT001
    users = {"alice": hashed("right"), "bob": hashed("with:colon"), "eve": hashed(LONG)}
    assert allows(users, header) is allowed


def test_hashes_of_htpasswd_are_accepted() -> None:
    assert allows({"a": hashed("right").replace("$2b$", "$2y$")}, basic("a", "right"))


class Comparisons:
    """Counts comparisons of a password with a hash.

    Attributes:
        costs: Of the hash of each.
        most: How many went on at the same time.
    """

    def __init__(self) -> None:
        self.costs: list[str] = []
        self.most = 0
        self._running = 0
        self._compare = bcrypt.checkpw

    def __call__(self, password: bytes, hashed_password: bytes) -> bool:
        self._running += 1
        self.most = max(self.most, self._running)
        self.costs.append(hashed_password[4:6].decode())
        try:
            return self._compare(password, hashed_password)
        finally:
            self._running -= 1


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> Comparisons:
    counted = Comparisons()
    monkeypatch.setattr(bcrypt, "checkpw", counted)
    return counted


def test_a_right_password_costs_once(comparisons: Comparisons) -> None:
    async def check_twice() -> None:
        check = PasswordCheck({"a": hashed("right")})
        for _ in range(2):
            assert await check.allows(basic("a", "right"), "")

    asyncio.run(check_twice())
    assert comparisons.costs == ["04"]


@pytest.mark.parametrize("user", ["a", "unknown"])
def test_an_unknown_user_costs_as_much_as_a_known_one(user: str, comparisons: Comparisons) -> None:
    assert not allows({"cheap": hashed("b", 4), "a": hashed("right", 6)}, basic(user, "wrong"))
    assert comparisons.costs == ["06"]


def test_the_loop_goes_on_and_no_thread_is_left() -> None:
    async def turns_during_a_check() -> int:
        check = PasswordCheck({"a": hashed("right", 10)})
        task = asyncio.ensure_future(check.allows(basic("a", "wrong"), ""))
        turns = 0
        while not task.done():
            await asyncio.sleep(0.001)
            turns += 1
        return turns

    assert asyncio.run(turns_during_a_check()) > 5
    for each in threading.enumerate():
        if each.name == "password":
            each.join(10)
            assert not each.is_alive()


def test_few_wait_and_one_is_checked_at_a_time(comparisons: Comparisons) -> None:
    async def outcomes() -> list[bool | None]:
        check = PasswordCheck({"a": hashed("right", 8)})
        attempts: list[Awaitable[bool | None]] = [
            check.allows(basic("a", f"wrong{number}"), "") for number in range(MOST_WAITING + 5)
        ]
        return list(await asyncio.gather(*attempts))

    found = asyncio.run(outcomes())
    assert found.count(False) == MOST_WAITING
    assert found.count(None) == 5
    assert comparisons.most == 1


def test_a_check_whose_client_has_left_still_counts() -> None:
    async def waiting() -> bool:
        check = PasswordCheck({"a": hashed("right", 8)})
        for number in range(MOST_WAITING):
            task = asyncio.ensure_future(check.allows(basic("a", f"wrong{number}"), ""))
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.sleep(0)
        allowed = await check.allows(basic("a", "right"), "")
        await check.close()
        return allowed is None

    assert asyncio.run(waiting())


def test_what_is_remembered_is_bounded() -> None:
    async def check_many() -> None:
        check = PasswordCheck({f"u{number}": hashed("p") for number in range(3)})
        for number in range(MOST_REMEMBERED + 10):
            header = "Basic" + " " * (number + 1) + basic("u1", "p")[6:]
            assert await check.allows(header, "")

    asyncio.run(check_many())


def test_wrong_passwords_are_logged_seldom_and_without_the_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def attempts() -> None:
        check = PasswordCheck({"alice": hashed("right")})
        for _ in range(5):
            assert not await check.allows(basic("alice", "hunter2"), "192.0.2.1")

    asyncio.run(attempts())
    assert caplog.messages == ["wrong password client=192.0.2.1 attempts=1"]
