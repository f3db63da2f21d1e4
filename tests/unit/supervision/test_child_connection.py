"""The worker's end of the connection: messages in both directions, and log records."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from tests.fakes.worker_core import PlayedCore

from gatecert.model import Stage, Wait
from gatecert.supervision.child_connection import CORE_ENDED
from gatecert.supervision.messages import (
    Fetched,
    Leave,
    MessageError,
    Step,
    Work,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def core() -> Iterator[PlayedCore]:
    core = PlayedCore()
    yield core
    core.socket.close()
    core.theirs.close()


def test_messages_of_the_core_arrive_in_order(core: PlayedCore) -> None:
    sent = [Work("hq"), Fetched("token"), Leave()]
    data = b"".join(map(encode, sent))
    core.socket.sendall(data[:30])
    core.socket.sendall(data[30:])
    assert list(islice(core.connection.messages(), 3)) == sent


def test_half_a_message_waits_for_its_rest(core: PlayedCore) -> None:
    messages = core.connection.messages()
    line = encode(Fetched(100_000 * "x"))
    sender = threading.Thread(target=core.socket.sendall, args=(line,))
    sender.start()
    assert next(messages) == Fetched(100_000 * "x")
    sender.join()


def test_what_is_no_message_is_refused(core: PlayedCore) -> None:
    core.socket.sendall(b"garbage\n")
    with pytest.raises(MessageError):
        next(core.connection.messages())


def test_waits_stay_in_the_worker(core: PlayedCore) -> None:
    core.connection.progress("boston", Stage.ORDER, Wait("the CA", 5))
    core.connection.progress("boston", Stage.ORDER, "ordered")
    assert core.received(1) == [Step("boston", "order", "ordered")]


def test_messages_of_threads_do_not_mix(core: PlayedCore) -> None:
    def send(name: str) -> None:
        for number in range(50):
            core.connection.progress(name, Stage.ORDER, f"{number}" + 5000 * name)

    threads = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    found = core.received(200)
    for thread in threads:
        thread.join()
    for name in "abcd":
        assert [each for each in found if isinstance(each, Step) and each.gateway == name] == [
            Step(name, "order", f"{number}" + 5000 * name) for number in range(50)
        ]


WORKER = """
import socket, sys
from gatecert.supervision.messages import Leave
from gatecert.supervision.child_connection import Connection

core = Connection(socket.socket(fileno=int(sys.argv[1])))
"""


@pytest.mark.parametrize(
    "use",
    ["for message in core.messages(): pass", "while True: core.send(Leave())"],
    ids=["read", "write"],
)
def test_a_worker_ends_with_its_core(use: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER + use, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
        )
    assert worker.wait(60) == CORE_ENDED
