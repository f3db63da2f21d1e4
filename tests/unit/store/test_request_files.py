from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.errors import StorageError
from gatecert.model import KeyRequest

if TYPE_CHECKING:
    from gatecert.store.file_store import FileStore

Request = Callable[..., KeyRequest]
Crash = Callable[[Callable[[], object], Callable[[], None]], int]


def test_requests_are_returned_newest_first(
    store: FileStore, make_request: Request, now: datetime
) -> None:
    older = replace(make_request("a"), created=now - timedelta(days=1))
    newer, same_age = make_request("b"), make_request("c")
    for request in (newer, older, same_age):
        store.add_request("boston", request)
    assert store.requests("boston") == (same_age, newer, older)
    assert store.requests("hq") == ()


def test_a_copy_of_an_intent_is_read_as_it_was_written(
    store: FileStore, make_request: Request
) -> None:
    intent = replace(make_request(), generation=3, directory_url="https://ca.example/directory")
    store.add_request("boston", intent)
    assert store.requests("boston") == (intent,)


def test_a_request_gets_the_number_of_its_order(store: FileStore, make_request: Request) -> None:
    intent = replace(make_request(), generation=3, directory_url="https://ca.example/directory")
    store.add_request("boston", make_request())
    store.number_request("boston", intent)
    assert store.requests("boston") == (intent,)


def test_a_repeated_request_is_no_error(store: FileStore, make_request: Request) -> None:
    store.add_request("boston", make_request())
    store.add_request("boston", make_request())
    assert store.requests("boston") == (make_request(),)


def test_a_key_is_never_overwritten(store: FileStore, make_request: Request) -> None:
    store.add_request("boston", make_request())
    with pytest.raises(StorageError, match="request r1 of gateway boston already exists"):
        store.add_request("boston", make_request(body="OTHER"))
    assert store.requests("boston") == (make_request(),)


def test_a_removed_request_is_gone(store: FileStore, make_request: Request) -> None:
    store.add_request("boston", make_request())
    store.remove_request("boston", "r1")
    store.remove_request("boston", "r1")
    store.remove_request("boston", "..")
    assert store.requests("boston") == ()
    assert store.gateway_directory("boston").is_dir()


@pytest.mark.parametrize("request_id", ["", "..", "a/b"])
def test_malformed_ids(store: FileStore, make_request: Request, request_id: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        store.add_request("boston", make_request(request_id))


@pytest.mark.parametrize("name", ["privkey.pem", "request.pem"])
@pytest.mark.parametrize("damage", ["missing", "empty", "directory"])
def test_a_damaged_request_is_skipped_and_logged_once(
    store: FileStore,
    make_request: Request,
    caplog: pytest.LogCaptureFixture,
    name: str,
    damage: str,
) -> None:
    store.add_request("boston", make_request())
    path = store.gateway_directory("boston") / "requests" / "r1" / name
    path.unlink()
    if damage == "empty":
        path.touch()
    elif damage == "directory":
        path.mkdir()
    assert store.requests("boston") == ()
    assert store.requests("boston") == ()
    assert len(caplog.records) == 1
    with pytest.raises(StorageError, match="already exists"):
        store.add_request("boston", make_request())


def test_a_missing_record_leaves_the_key(store: FileStore, make_request: Request) -> None:
    store.add_request("boston", make_request())
    directory = store.gateway_directory("boston") / "requests" / "r1"
    (directory / "meta.json").unlink()
    (request,) = store.requests("boston")
    assert request.private_key == make_request().private_key
    assert request.created.timestamp() == pytest.approx(directory.stat().st_mtime)


def test_a_crash_at_any_step_leaves_a_complete_request_or_none(
    store: FileStore, make_request: Request, crash_everywhere: Crash
) -> None:
    seen: set[tuple[KeyRequest, ...]] = set()

    def check() -> None:
        with store.lock_gateway("boston", "check", wait=1):
            seen.add(store.requests("boston"))
            store.remove_request("boston", "r1")
            parent = store.gateway_directory("boston") / "requests"
            assert not parent.exists() or list(parent.iterdir()) == []

    crash_everywhere(lambda: store.add_request("boston", make_request()), check)
    assert seen == {(), (make_request(),)}
