from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.errors import StorageError
from gatecert.model import IssuedChain, Origin

if TYPE_CHECKING:
    from gatecert.store.file_store import FileStore

Make = Callable[..., bytes]
Issued = Callable[..., IssuedChain]
Fail = Callable[[str, int], None]
Crash = Callable[[Callable[[], object], Callable[[], None]], int]


def test_a_version_is_read_as_it_was_written(
    store: FileStore, make_issued: Issued, make_pem: Make, now: datetime
) -> None:
    chain = make_pem("CERTIFICATE", "ISSUER")
    issued = make_issued(chain=chain, root=make_pem("CERTIFICATE", "ROOT"))
    version = store.add_version("boston", issued, now=now)
    assert version.id == "000001-20261123T081500Z"
    directory = store.version_directory(version)
    assert directory == store.gateway_directory("boston") / "versions" / version.id
    assert version.origin is Origin.AUTHORITY
    assert version.created == now
    assert (version.authority, version.order_url) == (issued.authority, issued.order_url)
    assert store.versions("boston") == (version,)
    assert store.private_key(version) == issued.private_key
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    assert files.keys() == {
        "privkey.pem",
        "cert.pem",
        "chain.pem",
        "fullchain.pem",
        "root.pem",
        "meta.json",
    }
    assert files["fullchain.pem"] == issued.certificate + chain
    assert files["root.pem"] == issued.root


def test_a_copy_of_a_generation_is_read_as_it_was_written(
    store: FileStore, make_issued: Issued, now: datetime
) -> None:
    copied = store.add_generation("boston", make_issued(), 3, now=now)
    assert store.versions("boston") == (copied,)
    assert copied.generation == 3


@pytest.mark.parametrize("group", [None, str(os.getegid())])
def test_a_version_gets_a_generation_and_loses_it_again(
    store: FileStore, make_issued: Issued, now: datetime, group: str | None
) -> None:
    version = store.add_version("boston", make_issued(), now=now, key_group=group)
    record = store.version_directory(version) / "meta.json"
    mode = record.stat().st_mode
    for generation in (3, 3, 0):
        store.number_version(version, generation)
        assert store.versions("boston") == (replace(version, generation=generation),)
        assert record.stat().st_mode == mode
    record.unlink()
    store.number_version(version, 3)
    assert not record.exists()


def test_a_version_is_returned_as_it_was_issued(
    store: FileStore, make_issued: Issued, make_pem: Make, now: datetime
) -> None:
    root = make_pem("CERTIFICATE", "ROOT")
    second = replace(make_issued(root=root), authority="", order_url="")
    issued = replace(make_issued(root=root), second=second)
    assert store.issued(store.add_version("boston", issued, now=now)) == issued


def test_files_and_directories_are_private(
    store: FileStore, make_issued: Issued, now: datetime
) -> None:
    directory = store.version_directory(store.add_version("boston", make_issued(), now=now))
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
    ways = [directory, *directory.parents[:4]]
    assert {stat.S_IMODE(path.stat().st_mode) for path in ways} == {0o700}


def test_a_key_group_may_read(store: FileStore, make_issued: Issued, now: datetime) -> None:
    store.add_version("boston", make_issued(), now=now)
    version = store.add_version("boston", make_issued(), now=now, key_group=str(os.getegid()))
    directory = store.version_directory(version)
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o640}
    ways = [directory, *directory.parents[:4]]
    assert {stat.S_IMODE(path.stat().st_mode) for path in ways} == {0o750}


def test_an_unknown_key_group_writes_nothing(
    store: FileStore, make_issued: Issued, now: datetime
) -> None:
    with pytest.raises(StorageError, match="no group 'no-such'"):
        store.add_version("boston", make_issued(), now=now, key_group="no-such")
    assert store.versions("boston") == ()


def test_versions_are_newest_first_even_if_the_clock_was_set_back(
    store: FileStore, make_issued: Issued, now: datetime
) -> None:
    first = store.add_version("boston", make_issued("ONE"), now=now)
    second = store.add_version("boston", make_issued("TWO"), now=now - timedelta(days=400))
    third = store.add_version("boston", make_issued("THREE"), now=now)
    assert store.versions("boston") == (third, second, first)
    assert sorted(each.id for each in (third, second, first)) == [first.id, second.id, third.id]


def test_the_number_follows_the_highest_one(
    store: FileStore, make_issued: Issued, now: datetime
) -> None:
    parent = store.gateway_directory("boston") / "versions"
    (parent / "999999-20261123T081500Z").mkdir(parents=True)
    (parent / "by-hand").mkdir()
    version = store.add_version("boston", make_issued(), now=now)
    assert version.id.startswith("1000000-")
    assert store.versions("boston") == (version,)
    later = store.add_version("boston", make_issued(), now=now)
    assert store.versions("boston") == (later, version)


@pytest.mark.parametrize("name", ["privkey", "cert", "chain", "fullchain"])
@pytest.mark.parametrize("damage", [None, b"\0\0", b"-----BEGIN CERTIFICATE-----\nMI", "directory"])
def test_a_damaged_version_is_skipped_and_logged_once(
    store: FileStore,
    make_issued: Issued,
    now: datetime,
    caplog: pytest.LogCaptureFixture,
    name: str,
    damage: bytes | str | None,
) -> None:
    good = store.add_version("boston", make_issued(), now=now)
    bad = store.add_version("boston", make_issued(), now=now)
    path = store.version_directory(bad) / f"{name}.pem"
    path.unlink()
    if damage == "directory":
        path.mkdir()
    elif isinstance(damage, bytes):
        path.write_bytes(damage)
    for _ in range(2):
        assert store.versions("boston") == (good,)
    (said,) = caplog.records
    assert bad.id in said.getMessage()


@pytest.mark.parametrize("name", ["privkey", "cert", "fullchain"])
def test_only_a_chain_may_be_empty(
    store: FileStore, make_issued: Issued, now: datetime, name: str
) -> None:
    version = store.add_version("boston", make_issued(), now=now)
    assert version.chain == b""
    (store.version_directory(version) / f"{name}.pem").write_bytes(b"")
    assert store.versions("boston") == ()


def test_a_version_with_inconsistent_files_is_skipped(
    store: FileStore, make_issued: Issued, make_pem: Make, now: datetime
) -> None:
    version = store.add_version("boston", make_issued(), now=now)
    path = store.version_directory(version) / "fullchain.pem"
    path.write_bytes(path.read_bytes() + b"\n\n")
    assert store.versions("boston") == (version,), "white space is no damage"
    path.write_bytes(make_pem("CERTIFICATE", "OTHER"))
    assert store.versions("boston") == ()


def test_a_missing_record_leaves_the_version(
    store: FileStore, make_issued: Issued, now: datetime
) -> None:
    version = store.add_version("boston", make_issued(), now=now)
    (store.version_directory(version) / "meta.json").write_bytes(b"[")
    bare = replace(version, origin=None, authority="", order_url="", created=None)
    assert store.versions("boston") == (bare,)
    assert store.versions("boston") == (bare,)
    assert len(list(store.version_directory(version).glob("meta.json.damaged-*"))) == 1


def test_a_file_in_place_of_the_versions(store: FileStore) -> None:
    store.gateway_directory("boston").mkdir(parents=True)
    (store.gateway_directory("boston") / "versions").touch()
    assert store.versions("boston") == ()


def test_a_missing_private_key_is_reported(
    store: FileStore, make_issued: Issued, now: datetime
) -> None:
    version = store.add_version("boston", make_issued(), now=now)
    (store.version_directory(version) / "privkey.pem").unlink()
    with pytest.raises(StorageError, match=f"version {version.id} .* has no usable private key"):
        store.private_key(version)


def test_a_removed_version_is_gone(store: FileStore, make_issued: Issued, now: datetime) -> None:
    version = store.add_version("boston", make_issued(), now=now)
    store.remove_version(version)
    store.remove_version(version)
    assert store.versions("boston") == ()
    assert list(store.version_directory(version).parent.iterdir()) == []


@pytest.mark.parametrize(
    ("gateway", "version_id"),
    [("boston", ".."), ("boston", "../../hq"), ("..", "precious"), ("boston", ""), ("", "boston")],
)
def test_nothing_else_is_removed(
    store: FileStore, make_issued: Issued, now: datetime, gateway: str, version_id: str
) -> None:
    version = store.add_version("boston", make_issued(), now=now)
    with pytest.raises(ValueError, match="cannot be the name of a directory entry"):
        store.remove_version(replace(version, gateway=gateway, id=version_id))
    assert store.versions("boston") == (version,)


@pytest.mark.parametrize("step", ["create", "write", "sync", "rename"])
def test_a_full_disk_leaves_the_existing_versions(
    store: FileStore, make_issued: Issued, now: datetime, fail: Fail, step: str
) -> None:
    old = store.add_version("boston", make_issued("OLD"), now=now)
    fail(step, errno.ENOSPC)
    with pytest.raises(StorageError, match="disk full"):
        store.add_version("boston", make_issued("NEW"), now=now)
    assert store.versions("boston") == (old,)
    assert [path.name for path in store.version_directory(old).parent.iterdir()] == [old.id]


def test_a_crash_at_any_step_leaves_complete_versions(
    store: FileStore,
    make_issued: Issued,
    now: datetime,
    crash_everywhere: Crash,
    caplog: pytest.LogCaptureFixture,
) -> None:
    old = store.add_version("boston", make_issued("OLD"), now=now)
    counts: set[int] = set()

    def check() -> None:
        with store.lock_gateway("boston", "check", wait=1):
            found = store.versions("boston")
            counts.add(len(found))
            names = {path.name for path in store.version_directory(old).parent.iterdir()}
            assert names == {version.id for version in found}
            for version in found[:-1]:
                store.remove_version(version)
        assert store.versions("boston") == (old,)

    def work() -> None:
        store.add_version("boston", make_issued("NEW"), now=now)

    assert crash_everywhere(work, check) > 20
    assert counts == {1, 2}
    assert "damaged" not in caplog.text
