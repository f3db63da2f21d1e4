from __future__ import annotations

import asyncio
import os
import select
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.model import ReceiverPlan
from gatecert.model.monitoring import ReceiverKind
from gatecert.monitoring.delivery import ChildDelivery
from gatecert.monitoring.notification_state import Outgoing

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.monitoring.delivery_answer import Answer

MISSING = "/etc/gatecert/no-such-file-s3cret"
PLAN = ReceiverPlan("ops", ReceiverKind.WEBHOOK, MISSING, timeout=timedelta(seconds=1))
MESSAGE = Outgoing("1", {"id": "1", "title": "t", "text": "x", "severity": "warning"})
ACCEPTED = '{"accepted": true, "problem": "", "fix": "", "refused": false}'


def sent(program: str, plan: ReceiverPlan = PLAN, seconds: float = 1.0) -> Answer:
    async def send() -> Answer:
        return await ChildDelivery(program, seconds)(plan, MESSAGE)

    return asyncio.run(send())


def test_an_answer_is_read() -> None:
    answer = sent(f"import sys; sys.stdin.read(); print('{ACCEPTED}')", seconds=10)
    assert answer.accepted
    told = sent(
        'print(\'{"url": "ab"}\'); '
        'print(\'{"accepted": false, "problem": "no\\\\n", "fix": "f", "refused": true}\')',
        seconds=10,
    )
    assert (told.problem, told.fix, told.refused, told.urls) == ("no", "f", True, ("ab",))


@pytest.mark.parametrize(
    "program",
    [
        "",
        "raise SystemExit(3)",
        "print('no JSON')",
        "print('{}')",
        "print('[1]')",
        "print('\"url\"')",
        "print('x' * 1_000_000)",
        "print('\\n' * 100_000)",
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.close(0); os.close(1)",
    ],
)
def test_a_child_without_an_answer_is_a_failure(program: str) -> None:
    answer = sent(program, seconds=10)
    assert not answer.accepted
    assert not answer.refused  # who knows
    assert "ended early" in answer.problem


def test_a_child_that_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    program = (
        "import os, subprocess, time; "
        f"child = subprocess.Popen(['sleep', '60']); open({str(tmp_path / 'pids')!r}, 'w').write("
        "f'{os.getpid()} {child.pid}'); print('{\"url\": \"ab\"}', flush=True); time.sleep(60)"
    )
    answer = sent(program, seconds=4)
    assert answer.problem == "no answer within 1 s"
    assert answer.urls == ("ab",)
    for number in (tmp_path / "pids").read_text().split():
        _wait_for_the_end(int(number))


def test_a_command_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    command = ("sh", "-c", f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 1; done")
    plan = ReceiverPlan("ops", ReceiverKind.COMMAND, command=command, timeout=timedelta(seconds=1))

    async def send() -> Answer:
        return await ChildDelivery()(plan, MESSAGE)

    assert asyncio.run(send()).problem == "the command sh was killed after 0.5 s"
    for file in tmp_path.glob("pid"):  # it may have been killed before that
        for number in file.read_text().split():
            _wait_for_the_end(int(number))


def _wait_for_the_end(number: int) -> None:
    """Wait until a process that was killed has ended, which the kernel does when it finds time."""
    try:
        process = os.pidfd_open(number)
    except ProcessLookupError:
        return
    try:
        assert select.select([process], [], [], 10)[0]
    finally:
        os.close(process)


def test_the_real_child_says_what_is_wrong_with_the_file() -> None:
    program = ChildDelivery()

    async def send() -> Answer:
        return await program(PLAN, MESSAGE)

    answer = asyncio.run(send())
    assert answer.problem == "its file with the URL cannot be read: no such file or directory"
    assert answer.refused
    assert "s3cret" not in f"{answer} {PLAN!r}"
