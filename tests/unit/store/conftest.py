"""Fixtures of the store tests: PEM texts, and processes that are killed at every step."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

import pytest

from gatecert.model import IssuedChain, KeyRequest, Origin
from gatecert.store import durable
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)

Crash = Callable[[Callable[[], object], Callable[[], None]], int]


def pem(label: str, body: str = "MIIB") -> bytes:
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n".encode()


def issued(body: str = "MIIB", *, chain: bytes = b"", root: bytes = b"") -> IssuedChain:
    return IssuedChain(
        private_key=pem("PRIVATE KEY", body),
        certificate=pem("CERTIFICATE", body),
        chain=chain,
        origin=Origin.AUTHORITY,
        root=root,
        authority="letsencrypt",
        order_url="https://authority.example/order/1",
    )


def key_request(request_id: str = "r1", body: str = "MIIB") -> KeyRequest:
    return KeyRequest(request_id, NOW, pem("PRIVATE KEY", body), pem("CERTIFICATE REQUEST", body))


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def make_pem() -> Callable[..., bytes]:
    return pem


@pytest.fixture
def make_issued() -> Callable[..., IssuedChain]:
    return issued


@pytest.fixture
def make_request() -> Callable[..., KeyRequest]:
    return key_request


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "state")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """Return the executed steps, in order."""
    taken: list[tuple[str, Path]] = []

    def note(name: str, path: Path) -> None:
        taken.append((name, path))

    monkeypatch.setattr(durable, "on_step", note)
    return taken


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Return ``fail(step, errno)``, which makes that step fail from then on."""

    def arrange(step: str, number: int) -> None:
        def refuse(name: str, path: Path) -> None:
            if name == step:
                raise OSError(number, os.strerror(number), str(path))

        monkeypatch.setattr(durable, "on_step", refuse)

    return arrange


def _dies_at(number: int, work: Callable[[], object]) -> bool:
    """Run ``work`` in a child that is killed just before its n-th step."""
    with warnings.catch_warnings():
        # The child only makes system calls, so threads of the parent do not matter.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # pragma: no cover - the child process exits
        steps = count()

        def die(_name: str, _path: Path) -> None:
            if next(steps) == number:
                os._exit(9)

        with suppress(BaseException):
            durable.on_step = die
            work()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {0, 9}, "the work itself failed"
    return code == 9


@pytest.fixture
def crash_everywhere() -> Crash:
    """Return ``crash_everywhere(work, check)``: kill at each step, check, return the step count."""

    def crash(work: Callable[[], object], check: Callable[[], None]) -> int:
        for number in count():
            died = _dies_at(number, work)
            check()
            if not died:
                return number
        raise AssertionError

    return crash
