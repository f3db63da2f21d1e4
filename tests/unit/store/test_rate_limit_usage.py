from __future__ import annotations

import json
import logging
import os
import threading
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.errors import LockTimeoutError, StorageError
from gatecert.model import (
    IN_TRANSIT,
    CountedBy,
    CountedRequest,
    Expenses,
    GroupUse,
    LimitReached,
    Limits,
    RateLimit,
    RequestGroup,
    RequestKind,
    UsageChange,
)
from gatecert.store import damaged_files, durable, lock
from gatecert.store.codec import encode
from gatecert.store.counting_rules import MIN_KEPT_REQUESTS
from gatecert.store.file_store import FileStore
from gatecert.store.rate_limit_usage import FEWEST_NEEDLESS
from gatecert.store.state_directory import hold_state_directory

if TYPE_CHECKING:
    from pathlib import Path

LATER = datetime(2026, 12, 24, tzinfo=UTC)  # than all requests
URL = "https://acme.example.com/directory"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "state")


@pytest.fixture
def counted(now: datetime) -> CountedRequest:
    return CountedRequest(
        RequestKind.VALIDATION, now, "order/1 a.example", "account/1", ("a.example",)
    )


def add(
    store: FileStore, *counted: CountedRequest, url: str = URL, validated: str = ""
) -> LimitReached | None:
    return store.count_requests(url, Expenses(LATER, counted, validated=validated), Limits())


def read(store: FileStore) -> tuple[CountedRequest, ...]:
    return store.counted_requests(URL)


def numbered(counted: CountedRequest, count: int) -> list[CountedRequest]:
    return [
        replace(counted, id=f"order/{number} a", at=counted.at + timedelta(seconds=number))
        for number in range(count)
    ]


def file_of(store: FileStore, suffix: str = "jsonl") -> Path:
    (path,) = (store.directory / "spending").glob(f"*.{suffix}")
    return path


def write_lines(store: FileStore, *counted: CountedRequest) -> None:
    """Write a file with a line for each request."""
    add(store, counted[0])
    lines = (encode(UsageChange(counted=(each,)), indent=None) for each in counted)
    file_of(store).write_bytes(b"".join(lines))


def write_earlier(store: FileStore, *counted: CountedRequest) -> Path:
    """Write an earlier gatecert's file beside the file that has the same requests."""
    add(store, *counted)
    path = file_of(store)
    expenses = [
        each for line in path.read_text().splitlines() for each in json.loads(line)["counted"]
    ]
    earlier = path.with_suffix(".json")
    earlier.write_text(json.dumps({"schema": 1, "expenses": expenses}))
    return earlier


def test_the_usage_is_read_as_it_was_written(
    store: FileStore, counted: CountedRequest, tmp_path: Path
) -> None:
    assert read(store) == ()
    add(store, counted)
    assert read(store) == read(FileStore(tmp_path / "state")) == (counted,)


def test_each_directory_has_a_file_that_only_its_owner_reads(
    store: FileStore, counted: CountedRequest
) -> None:
    for url in (URL, f"{URL}/", "https://acme.example.com:8443/directory", "https://[::1]/../x"):
        add(store, counted, url=url)
    files = sorted((store.directory / "spending").glob("*.jsonl"))
    assert len(files) == 4
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert all(file.name.rpartition("-")[0] in {"acme.example.com", "__1"} for file in files)


def test_requests_that_a_limit_forbids_are_not_counted(
    store: FileStore, counted: CountedRequest
) -> None:
    hour = timedelta(hours=1)
    within = Limits(failed_validations=RateLimit(2, hour), orders=RateLimit(1, 2 * hour))
    order = replace(counted, kind=RequestKind.ORDER, id="")
    validations = Expenses(counted.at, tuple(replace(counted, id=each) for each in "ab"))
    assert store.count_requests(URL, validations, within) is None
    both = Expenses(counted.at, (order,), following=(replace(counted, id=""),))
    reached = store.count_requests(URL, both, within)
    assert reached is not None
    assert reached.until == counted.at + hour + IN_TRANSIT
    assert reached.reason == "failed validations of a.example: 2 in 1 hour"
    assert read(store) == validations.counted
    again = replace(both, following=validations.counted[:1])  # counted already
    assert store.count_requests(URL, again, within) is None
    reached = store.count_requests(URL, replace(both, following=()), within)
    assert reached == LimitReached(counted.at + 2 * hour + IN_TRANSIT, "orders: 1 in 2 hours")


def test_a_clock_that_was_set_back_is_noted_even_if_a_limit_forbids_the_request(
    store: FileStore, counted: CountedRequest
) -> None:
    within = Limits(failed_validations=RateLimit(1, timedelta(hours=1)))
    assert store.count_requests(URL, Expenses(counted.at, (counted,)), within) is None
    earlier = counted.at - timedelta(days=30)
    other = Expenses(earlier, (replace(counted, at=earlier, id="other"),))
    assert store.count_requests(URL, other, within) is not None
    assert read(FileStore(store.directory)) == (replace(counted, noticed=earlier),)


def test_what_is_read_is_the_same_in_every_instance(
    store: FileStore, counted: CountedRequest
) -> None:
    many = numbered(counted, 5)
    add(store, *many)
    since, now = counted.at, many[-1].at
    group = RequestGroup(RequestKind.VALIDATION, CountedBy.ACCOUNT, "account/1")
    for each in (store, FileStore(store.directory)):
        found = each.instants(URL, group, since=since, now=now, count=3)
        assert found == [request.at for request in many[2:]]
        assert each.number_counted(URL, RequestKind.VALIDATION) == 5
        assert each.number_counted(URL, RequestKind.ORDER) == 0
        busiest = each.busiest_groups(
            URL, group.kind, CountedBy.NAMES, since=since, now=now, full=4
        )
        assert busiest == [GroupUse(4, counted.names), GroupUse(0, ())]


def test_no_request_writes_nothing(store: FileStore) -> None:
    add(store)
    assert list((store.directory / "spending").glob("*.json*")) == []


def test_a_usage_larger_than_other_records_is_kept(
    store: FileStore, counted: CountedRequest
) -> None:
    names = tuple(f"vpn{number}.example.com" for number in range(100))
    add(store, *(replace(each, names=names) for each in numbered(counted, 2000)))
    assert file_of(store).stat().st_size > damaged_files.LARGEST
    assert len(read(FileStore(store.directory))) == 2000


@pytest.mark.parametrize("before", [1, 400])
def test_a_change_reads_and_writes_as_much_whatever_the_number_of_requests(
    store: FileStore, counted: CountedRequest, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in numbered(counted, before):
        add(store, each)
    path, other = file_of(store), FileStore(store.directory)
    read(other)
    add(store, replace(counted, id="x"))
    taken: list[int] = []
    really = os.read

    def count(descriptor: int, size: int) -> bytes:
        data = really(descriptor, size)
        taken.append(len(data))
        return data

    size = path.stat().st_size
    monkeypatch.setattr(os, "read", count)
    add(store, replace(counted, id="y"))
    add(other, replace(counted, id="z"))
    monkeypatch.undo()
    assert path.stat().st_size - size < 600
    assert sum(taken) < 2500


def test_instances_see_each_other_s_changes(store: FileStore, counted: CountedRequest) -> None:
    other = FileStore(store.directory)
    for number, each in enumerate(numbered(counted, 6)):
        add((store, other)[number % 2], each)
        assert read(store) == read(other)
    add(store, validated="order/3")
    assert len(read(other)) == 5


def test_threads_and_processes_take_turns(store: FileStore, counted: CountedRequest) -> None:
    def spend(thread: int) -> None:
        for number in range(5):
            add(FileStore(store.directory), replace(counted, id=f"{thread}/{number} a"))

    threads = [threading.Thread(target=spend, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read(store)) == 20


def test_threads_queue_instead_of_polling(
    store: FileStore, counted: CountedRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    threads = [threading.Thread(target=add, args=(store, each)) for each in numbered(counted, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read(store)) == len(threads)
    assert "waiting" not in caplog.text  # a lock file is not fair


def test_a_lock_timeout_is_reported(store: FileStore, counted: CountedRequest) -> None:
    store.usage_wait = 0.01
    add(store, counted)
    with (
        lock.hold_lock_file(file_of(store, "lock"), "a test", "testing", wait=0),
        pytest.raises(LockTimeoutError, match=r"acme\.example\.com is being changed by .*testing"),
    ):
        add(store, counted)


def test_a_thread_that_waits_too_long_is_told(
    store: FileStore, counted: CountedRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.usage_wait = 0.01

    def meanwhile(name: str, _: Path) -> None:
        if name == "read":
            add(store, counted)

    monkeypatch.setattr(durable, "on_step", meanwhile)
    with pytest.raises(LockTimeoutError, match="by this process"):
        add(store, counted)


# --------------------------------------------------------------------------- rewriting


def test_the_file_is_rewritten_once_most_lines_are_needless(
    store: FileStore, counted: CountedRequest
) -> None:
    """Validations that have succeeded are needless."""
    other, order = FileStore(store.directory), replace(counted, kind=RequestKind.ORDER, id="")
    kept = []
    for number, each in enumerate(numbered(counted, FEWEST_NEEDLESS)):
        add(store, each)
        add(store, validated=each.id.removesuffix(" a"))
        if number % 100 == 0:
            kept.append(replace(order, at=each.at))
            add(other, kept[-1])
            assert len(read(store)) == len(kept)
    lines = len(file_of(store).read_text().splitlines())
    assert lines < FEWEST_NEEDLESS + 2 * len(kept)
    assert read(store) == read(other) == read(FileStore(store.directory)) == tuple(kept)


def test_what_no_limit_counts_any_more_is_forgotten_beyond_the_newest(
    store: FileStore, counted: CountedRequest
) -> None:
    certificate = replace(counted, kind=RequestKind.CERTIFICATE, id="")
    many = numbered(counted, 2 * MIN_KEPT_REQUESTS + FEWEST_NEEDLESS + 20)
    write_lines(store, certificate, *many)
    now = many[-1].at + timedelta(days=1)
    within = Limits(
        duplicates=RateLimit(5, timedelta(days=7)),
        failed_validations=RateLimit(5, timedelta(hours=1)),
    )
    last = replace(counted, at=now, id="last")
    assert store.count_requests(URL, Expenses(now, (last,)), within) is None
    newest = (*many, last)[-MIN_KEPT_REQUESTS:]
    assert read(store) == read(FileStore(store.directory)) == (certificate, *newest)


def test_a_file_that_cannot_be_rewritten_counts_on(
    store: FileStore,
    counted: CountedRequest,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_lines(store, *(counted,) * (FEWEST_NEEDLESS + 10))

    def full(name: str, _: Path) -> None:
        if name == "create":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "on_step", full)
    last = replace(counted, id="last")
    add(store, last)
    assert "takes more space than needed: cannot create" in caplog.text
    assert read(store) == (counted, last)


# --------------------------------------------------------------------------- damage


@pytest.mark.parametrize("garbage", [b"", b"{", b"\0" * 5000, b"{}\n[]\n", b"\xff\xfe\n"])
def test_a_damaged_file_is_set_aside_by_the_next_change(
    store: FileStore, counted: CountedRequest, garbage: bytes
) -> None:
    add(store, counted)
    path = file_of(store)
    path.write_bytes(garbage)
    assert read(store) == read(FileStore(store.directory)) == ()
    add(store, replace(counted, id="x"))
    assert [each.id for each in read(store)] == ["x"]
    (aside,) = path.parent.glob("*.damaged-*")
    assert aside.read_bytes() == garbage


def test_a_directory_in_place_of_the_file_is_set_aside(
    store: FileStore, counted: CountedRequest
) -> None:
    add(store, counted)
    path = file_of(store)
    path.unlink()
    path.mkdir()
    assert read(store) == ()
    add(store, counted)
    assert read(store) == (counted,)


def test_a_line_that_a_crash_tore_is_cut_off(store: FileStore, counted: CountedRequest) -> None:
    many = numbered(counted, 3)
    add(store, many[0])
    path = file_of(store)
    add(store, many[1])
    path.write_bytes(path.read_bytes()[:-20])
    assert read(store) == read(FileStore(store.directory)) == (many[0],)
    add(store, many[2])
    assert read(store) == read(FileStore(store.directory)) == (many[0], many[2])
    assert not list(path.parent.glob("*.damaged-*"))


def test_a_damaged_line_is_logged_and_costs_no_other(
    store: FileStore, counted: CountedRequest, caplog: pytest.LogCaptureFixture
) -> None:
    many = numbered(counted, 3)
    for each in many:
        add(store, each)
    path = file_of(store)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"\0garbage\n" + lines[2])
    fresh = FileStore(store.directory)
    assert read(fresh) == (many[0], many[2])
    assert "line 2:" in caplog.text
    add(fresh, many[1])
    assert read(fresh) == read(FileStore(store.directory)) == (many[0], many[2], many[1])


def test_a_restored_backup_is_read_again(store: FileStore, counted: CountedRequest) -> None:
    """Contents change under the same inode, even with the same length."""
    many = numbered(counted, 4)
    for each in many[:2]:
        add(store, each)
    path = file_of(store)
    backup = path.read_bytes()
    add(store, many[2])
    path.write_bytes(backup)
    assert read(store) == tuple(many[:2])
    path.write_bytes(backup.replace(b"order/1", b"order/9"))
    assert [each.id for each in read(store)] == ["order/0 a", "order/9 a"]
    path.unlink()
    assert read(store) == ()


@pytest.mark.parametrize("failing", ["append to", "write", "sync"])
def test_a_failing_disk_changes_nothing(
    store: FileStore, counted: CountedRequest, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, counted)
    before = file_of(store).read_bytes()

    def fail(name: str, path: Path) -> None:
        if name == failing and path.suffix == ".jsonl":
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(durable, "on_step", fail)
    with pytest.raises(StorageError):
        add(store, replace(counted, id="x"))
    assert file_of(store).read_bytes() == before
    assert read(store) == (counted,)


def test_a_daemon_removes_the_temporary_files_of_a_crash(
    store: FileStore, counted: CountedRequest
) -> None:
    add(store, counted)
    left = store.directory / "spending" / ".tmp-4194999-00000000-1"
    left.write_bytes(b"")
    with hold_state_directory(store.directory):
        assert not left.exists()
    assert read(store) == (counted,)


# --------------------------------------------------------------------------- an earlier file


@pytest.mark.parametrize("by_reading", [True, False])
def test_an_earlier_file_is_taken_over(
    store: FileStore, counted: CountedRequest, *, by_reading: bool
) -> None:
    many = [*numbered(counted, 3), replace(counted, id=""), replace(counted, id="")]
    earlier = write_earlier(store, *many)
    file_of(store).unlink()
    fresh = FileStore(store.directory)
    if not by_reading:
        add(fresh, replace(counted, id="x"))
        many.append(replace(counted, id="x"))
    assert read(fresh) == tuple(many)
    assert not earlier.exists()
    assert read(FileStore(store.directory)) == tuple(many)


def test_requests_in_both_files_count_once(store: FileStore, counted: CountedRequest) -> None:
    """As after a crash before the removal, and after an earlier gatecert ran in between."""
    many = [*numbered(counted, 2), replace(counted, id=""), replace(counted, id="")]
    write_earlier(store, *many)
    assert read(store) == tuple(many)
    earlier = write_earlier(store, replace(counted, id="order/2 a"))
    repeated = replace(many[0], at=counted.at + timedelta(days=1))
    stale = replace(many[1], at=counted.at - timedelta(days=1))
    expenses = [{**asdict(each), "at": each.at.isoformat()} for each in (repeated, stale)]
    earlier.write_text(json.dumps({"schema": 1, "expenses": expenses}))
    assert read(store) == (*many[1:], replace(counted, id="order/2 a"), repeated)


def test_requests_of_another_store_count_once(store: FileStore, counted: CountedRequest) -> None:
    many = numbered(counted, 3)
    add(store, many[0])
    write_earlier(store, many[1])
    for _ in range(2):
        store.take_over_requests(URL, many)
        assert sorted(read(store), key=lambda each: each.id) == many


def test_a_damaged_earlier_file_is_set_aside(store: FileStore, counted: CountedRequest) -> None:
    earlier = write_earlier(store, counted)
    earlier.write_bytes(b"{")
    assert read(FileStore(store.directory)) == (counted,)
    assert len(list(earlier.parent.glob("*.json.damaged-*"))) == 1
