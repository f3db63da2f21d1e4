from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.errors import LockTimeoutError, StorageError
from gatecert.model import CountedRequest, RateLimitUsage, RequestKind
from gatecert.store import damaged_files, lock
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

URL = "https://acme.example.com/directory"


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "state")


@pytest.fixture
def counted(now: datetime) -> CountedRequest:
    return CountedRequest(
        RequestKind.VALIDATION, now, "order/1 a.example", "account/1", ("a.example",)
    )


def adding(counted: CountedRequest) -> Callable[[RateLimitUsage], RateLimitUsage]:
    return lambda before: RateLimitUsage((*before.expenses, counted))


def test_the_usage_is_read_as_it_was_written(
    store: FileStore, counted: CountedRequest, tmp_path: Path
) -> None:
    assert store.rate_limit_usage(URL) == RateLimitUsage()
    store.update_rate_limit_usage(URL, adding(counted))
    assert FileStore(tmp_path / "state").rate_limit_usage(URL) == RateLimitUsage((counted,))


def test_each_directory_has_a_file_that_only_its_owner_reads(
    store: FileStore, counted: CountedRequest
) -> None:
    for url in (URL, f"{URL}/", "https://acme.example.com:8443/directory", "https://[::1]/../x"):
        store.update_rate_limit_usage(url, adding(counted))
    files = sorted((store.directory / "spending").glob("*.json"))
    assert len(files) == 4
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert all(file.name.rpartition("-")[0] in {"acme.example.com", "__1"} for file in files)


def test_a_change_that_raises_leaves_the_usage_unchanged(
    store: FileStore, counted: CountedRequest
) -> None:
    store.update_rate_limit_usage(URL, adding(counted))

    def refuse(_: RateLimitUsage) -> RateLimitUsage:
        raise StorageError("no")

    with pytest.raises(StorageError, match="no"):
        store.update_rate_limit_usage(URL, refuse)
    assert store.rate_limit_usage(URL) == RateLimitUsage((counted,))


def test_an_unchanged_usage_is_not_rewritten(store: FileStore) -> None:
    store.update_rate_limit_usage(URL, lambda before: before)
    assert list((store.directory / "spending").glob("*.json")) == []


def test_a_usage_larger_than_other_records_is_kept(
    store: FileStore, counted: CountedRequest
) -> None:
    names = tuple(f"vpn{number}.example.com" for number in range(100))
    many = [replace(counted, id=f"order/{number}", names=names) for number in range(2000)]
    store.update_rate_limit_usage(URL, lambda before: RateLimitUsage((*before.expenses, *many)))
    (path,) = (store.directory / "spending").glob("*.json")
    assert path.stat().st_size > damaged_files.LARGEST
    assert len(store.rate_limit_usage(URL).expenses) == len(many)


def test_threads_and_processes_take_turns(store: FileStore, counted: CountedRequest) -> None:
    def spend() -> None:
        for number in range(5):
            later = replace(counted, at=counted.at + timedelta(seconds=number))
            FileStore(store.directory).update_rate_limit_usage(URL, adding(later))

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.rate_limit_usage(URL).expenses) == 20


def test_threads_queue_instead_of_polling(
    store: FileStore, counted: CountedRequest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def spend(second: int) -> None:
        later = replace(counted, at=counted.at + timedelta(seconds=second))
        store.update_rate_limit_usage(URL, adding(later))

    threads = [threading.Thread(target=spend, args=(second,)) for second in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.rate_limit_usage(URL).expenses) == len(threads)
    assert "waiting" not in caplog.text  # a lock file is not fair


def test_a_lock_timeout_is_reported(store: FileStore, counted: CountedRequest) -> None:
    store.usage_wait = 0.01
    store.update_rate_limit_usage(URL, adding(counted))
    (path,) = (store.directory / "spending").glob("*.lock")
    with (
        lock.hold_lock_file(path, "a test", "testing", wait=0),
        pytest.raises(LockTimeoutError, match=r"acme\.example\.com is being changed by .*testing"),
    ):
        store.update_rate_limit_usage(URL, adding(counted))


def test_a_damaged_file_is_set_aside(store: FileStore, counted: CountedRequest) -> None:
    store.update_rate_limit_usage(URL, adding(counted))
    (path,) = (store.directory / "spending").glob("*.json")
    path.write_bytes(b"{")
    assert store.rate_limit_usage(URL) == RateLimitUsage()
    assert len(list(path.parent.glob("*.damaged-*"))) == 1


def test_a_daemon_removes_the_temporary_files_of_a_crash(
    store: FileStore, counted: CountedRequest
) -> None:
    store.update_rate_limit_usage(URL, adding(counted))
    left = store.directory / "spending" / ".tmp-4194999-00000000-1"
    left.write_bytes(b"")
    with store.hold_state_directory():
        assert not left.exists()
    assert store.rate_limit_usage(URL) == RateLimitUsage((counted,))
