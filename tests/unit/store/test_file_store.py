from __future__ import annotations

import errno
import inspect
import os
import re
import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.leases import PlayedLease

from gatecert.errors import LeaseLostError, StorageError
from gatecert.model import (
    CountedRequest,
    EnrolmentState,
    Expenses,
    GatewayState,
    HostState,
    Limits,
    OrderHeld,
    Outcome,
    OutcomeKind,
    RateLimit,
    RequestKind,
)
from gatecert.store import durable, file_store
from gatecert.store.file_store import FileStore
from gatecert.store.protocol import HostStore, Lease
from gatecert.store.state_directory import hold_state_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from gatecert.model import IssuedChain, KeyRequest, LimitReached

    MakeRequest = Callable[[str], KeyRequest]
    OpenOrder = Callable[[str, Lease], LimitReached | OrderHeld | None]
    Fail = Callable[[str, int], None]
    Crash = Callable[[Callable[[], object], Callable[[], None]], int]


@pytest.fixture
def state(now: datetime) -> GatewayState:
    outcome = Outcome("boston", now, OutcomeKind.WAITING, "the name points elsewhere")
    return GatewayState(EnrolmentState(failures=3, next_attempt=now), HostState(outcome=outcome))


def test_is_a_store(store: FileStore, state: GatewayState) -> None:
    kept: HostStore = store
    kept.save_state("boston", state)
    assert kept.state("boston") == state
    assert kept.gateway_directory("boston") == store.directory / "gateways" / "boston"


def test_whoever_holds_the_lock_may_order(store: FileStore) -> None:
    with store.lock_gateway("boston", "a test", wait=0), store.lease("boston") as held:
        lease: Lease = held
        lease.check()


ORDERS_AT = "https://acme.example.com/directory"


@pytest.fixture
def open_order(store: FileStore, make_request: MakeRequest, now: datetime) -> OpenOrder:
    """Return ``open_order(id, lease)``; a limit allows one."""
    order = CountedRequest(RequestKind.ORDER, now, account="account/1")
    within = Limits(orders=RateLimit(1, timedelta(hours=3)))

    def open_one(key: str, lease: Lease) -> LimitReached | OrderHeld | None:
        expenses = Expenses(now, (order,))
        intent = make_request(key)
        return store.open_order("boston", intent, ORDERS_AT, expenses, within, lease=lease)

    return open_one


def opened(store: FileStore) -> tuple[list[str], int]:
    """Return the keys on the disk, and the number of counted requests."""
    fresh = FileStore(store.directory)
    keys = [request.id for request in fresh.requests("boston")]
    return keys, len(fresh.counted_requests(ORDERS_AT))


def test_an_order_is_opened_with_its_key_and_counted(
    store: FileStore, open_order: OpenOrder
) -> None:
    assert open_order("first", PlayedLease()) is None
    assert opened(store) == (["first"], 1)


def test_an_order_that_a_limit_forbids_leaves_nothing(
    store: FileStore, open_order: OpenOrder
) -> None:
    open_order("first", PlayedLease())
    reached = open_order("next", PlayedLease())
    assert reached is not None
    assert reached.reason == "orders: 1 in 3 hours"
    assert opened(store) == (["first"], 1)


def test_a_host_that_lost_its_lease_opens_no_order(store: FileStore, open_order: OpenOrder) -> None:
    with pytest.raises(LeaseLostError):
        open_order("first", PlayedLease(0))
    assert opened(store) == ([], 0)


def test_no_order_is_counted_without_its_key(
    store: FileStore, open_order: OpenOrder, crash_everywhere: Crash
) -> None:
    """Killed in between, it leaves a key without an order, which the next pass removes."""
    seen = set()

    def check() -> None:
        keys, counted = opened(store)
        seen.add((len(keys), counted))
        shutil.rmtree(store.directory, ignore_errors=True)

    crash_everywhere(lambda: open_order("first", PlayedLease()), check)
    assert seen == {(0, 0), (1, 0), (1, 1)}


def test_every_signature_matches_the_protocol() -> None:
    methods = dict(inspect.getmembers(HostStore, inspect.isfunction))
    names = [name for name in methods if not name.startswith("_")]
    assert len(names) > 15
    for name in names:
        expected = inspect.signature(methods[name]).parameters
        assert inspect.signature(getattr(FileStore, name)).parameters == expected


def test_a_relative_directory_outlives_a_change_of_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: GatewayState
) -> None:
    monkeypatch.chdir(tmp_path)
    store = FileStore(tmp_path.relative_to(tmp_path) / "state")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.save_state("boston", state)
    assert (tmp_path / "state" / "gateways" / "boston" / "state.json").is_file()


def test_reading_writes_nothing(store: FileStore) -> None:
    assert store.state("boston") == GatewayState()
    assert store.versions("boston") == ()
    assert store.requests("boston") == ()
    assert store.account("letsencrypt") is None
    assert store.token("http-01", "token") is None
    assert not store.directory.exists()


@pytest.mark.parametrize("damage", [b"", b"\x00" * 4096, b"{", b'{"schema": 1, "failures": []}'])
def test_a_damaged_state_is_read_as_new(
    store: FileStore, state: GatewayState, damage: bytes
) -> None:
    store.save_state("boston", state)
    directory = store.gateway_directory("boston")
    (directory / "state.json").write_bytes(damage)
    assert store.state("boston") == GatewayState()
    assert [path.read_bytes() for path in directory.glob("state.json.damaged-*")] == [damage]


def test_a_crash_while_saving_leaves_old_or_new(
    store: FileStore, state: GatewayState, crash_everywhere: Crash
) -> None:
    new = GatewayState(EnrolmentState(failures=4))
    store.save_state("boston", state)
    seen: list[GatewayState] = []

    def check() -> None:
        seen.append(store.state("boston"))

    crash_everywhere(lambda: store.save_state("boston", new), check)
    assert seen[0] == state
    assert seen[-1] == new
    assert {repr(each) for each in seen} == {repr(state), repr(new)}


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden"])
def test_unsafe_names_are_refused(store: FileStore, name: str) -> None:
    for use in (store.state, store.versions, store.requests, store.account):
        with pytest.raises(ValueError, match="cannot be the name"):
            use(name)
    with (
        pytest.raises(ValueError, match="cannot be the name"),
        store.lock_gateway(name, "renew", wait=0),
    ):
        pass
    assert not store.directory.exists()


class TestCheckWritable:
    def test_no_file_remains(self, store: FileStore) -> None:
        store.check_writable()
        assert list(store.directory.iterdir()) == []

    def test_one_trial_serves_many_gateways(
        self, store: FileStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.check_writable()
        created: list[Path] = []

        def note(name: str, path: Path) -> None:
            if name == "create":
                created.append(path)

        monkeypatch.setattr(durable, "on_step", note)
        for _ in range(20):
            store.check_writable()
        assert created == []

    @pytest.mark.parametrize(
        ("step", "number", "words"),
        [
            ("create", errno.EROFS, "read-only file system"),
            ("write", errno.EDQUOT, "quota"),
            ("sync", errno.EIO, "input/output error"),
            ("read", errno.EIO, "input/output error"),
            ("look at", errno.EACCES, "not writable by user"),
        ],
    )
    def test_a_failed_step_is_reported(
        self, store: FileStore, fail: Fail, step: str, number: int, words: str
    ) -> None:
        store.directory.mkdir()
        fail(step, number)
        with pytest.raises(StorageError, match=f"{re.escape(str(store.directory))}.*{words}"):
            store.check_writable()

    def test_a_file_in_place_of_the_directory(self, store: FileStore) -> None:
        store.directory.touch()
        with pytest.raises(StorageError, match="cannot create"):
            store.check_writable()

    @pytest.mark.parametrize(
        ("room", "words"),
        [
            ({"f_bavail": 100}, "only 400 KiB are left"),
            ({"f_favail": 63}, "only 63 more files"),
        ],
    )
    def test_too_little_free_space(
        self,
        store: FileStore,
        monkeypatch: pytest.MonkeyPatch,
        room: dict[str, int],
        words: str,
    ) -> None:
        monkeypatch.setattr(os, "statvfs", lambda _path: statvfs(**room))
        with pytest.raises(StorageError, match=f"disk full: {words}"):
            store.check_writable()

    def test_a_file_system_without_an_inode_count(
        self, store: FileStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "statvfs", lambda _path: statvfs(f_files=0, f_favail=0))
        store.check_writable()

    def test_a_disk_that_returns_other_data(
        self, store: FileStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        written = bytes(reversed(file_store.PROBE_DATA))

        def write(path: Path, _data: bytes, *, mode: int) -> None:
            path.write_bytes(written)
            path.chmod(mode)

        monkeypatch.setattr(durable, "write_file", write)
        with pytest.raises(StorageError, match="does not read back as it was written"):
            store.check_writable()
        assert list(store.directory.iterdir()) == []


def statvfs(
    *, f_bavail: int = 10**6, f_files: int = 10**6, f_favail: int = 10**6
) -> os.statvfs_result:
    return os.statvfs_result((4096, 4096, 10**6, 10**6, f_bavail, f_files, 10**6, f_favail, 0, 255))


def test_a_daemon_removes_the_temporary_files_of_a_crash(
    store: FileStore, make_issued: Callable[..., IssuedChain], now: datetime
) -> None:
    version = store.add_version("boston", make_issued(), now=now)
    leftover = store.directory / f".tmp-{os.getpid()}-00000000-1"
    leftover.touch()
    with hold_state_directory(store.directory):
        assert not leftover.exists()
        assert store.versions("boston") == (version,)
