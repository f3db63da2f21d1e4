from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, NOW
from tests.fakes.users_office import bundle

from gatecert.certificate.pem import LARGEST_CHAIN
from gatecert.client_ca.crl_files import CrlFile
from gatecert.client_ca.lockout import (
    KnownUser,
    KnownUsers,
    count_and_names,
    locked_out,
    locked_out_by_expiry,
    read_known_users,
)
from gatecert.errors import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.pki import Issued
    from tests.fakes.users_office import Office


def known(name: str, *issued: Issued) -> KnownUser:
    return KnownUser(name, tuple(each.certificate for each in issued))


def test_without_a_directory_no_users_are_known() -> None:
    assert read_known_users(None) == KnownUsers()


def test_certificates_are_read_from_pem_and_der(office: Office, tmp_path: Path) -> None:
    root = office.root()
    middle = office.intermediate(root)
    alice, bob, carol = (office.user(middle, name) for name in ("alice", "bob", "carol"))
    (tmp_path / "alice.pem").write_bytes(b"Alice:\n" + alice.pem + middle.pem)
    (tmp_path / "bob.CRT").write_bytes(bob.der)
    (tmp_path / "carol.cer").write_bytes(carol.key_pem + carol.pem)
    (tmp_path / "notes.txt").write_text("nobody")
    (tmp_path / "broken.pem").write_text("nothing")
    (tmp_path / "folder.pem").mkdir()

    found = read_known_users(tmp_path)

    assert found.users == (
        known("alice.pem", alice, middle),
        known("bob.CRT", bob),
        known("carol.cer", carol),
    )
    assert found.unreadable == ("broken.pem", "folder.pem")


def test_pipes_and_large_files_are_not_read(office: Office, tmp_path: Path) -> None:
    alice = office.user(office.root())
    os.mkfifo(tmp_path / "pipe.pem")
    (tmp_path / "large.pem").write_bytes(alice.pem + b"\n" * LARGEST_CHAIN)
    (tmp_path / "alice.der").write_bytes(alice.der)
    (tmp_path / "link.pem").symlink_to("alice.der")

    found = read_known_users(tmp_path)

    assert found.users == (known("link.pem", alice),)
    assert found.unreadable == ("large.pem", "pipe.pem")


def test_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="which users a change would lock out") as caught:
        read_known_users(tmp_path / "nowhere")
    assert "client_authentication.known_users" in caught.value.fix


def test_change_locks_out_users_of_a_removed_ca(office: Office, tmp_path: Path) -> None:
    one, two = office.root("one"), office.root("two")
    alice, bob = office.user(one, "alice"), office.user(two, "bob")
    revoked = office.user(one, "carol")
    stranger = office.user(office.root("three"), "dave")
    users = [
        known(name, user)
        for name, user in (("a", alice), ("b", bob), ("c", revoked), ("d", stranger))
    ]
    crls = [CrlFile(tmp_path, office.crl(one, revoked))]

    out = locked_out(users, bundle(one, two), bundle(two), crls, now=NOW)

    assert [user.name for user in out] == ["a"]
    assert not locked_out(users, bundle(one), bundle(one, two), now=NOW)


def test_certificate_that_cannot_be_checked_counts_as_locked_out(office: Office) -> None:
    edwards = office.root("Edwards", key_kind="ed25519", end=NOW + 9 * DAY)
    other, bad = office.root("other"), office.user(edwards, "bad", server=True)
    users = [known("eve", office.user(edwards, "eve")), known("bad", bad)]

    out = locked_out(users, bundle(edwards, other), bundle(other), now=NOW)

    assert [user.name for user in out] == ["eve"]
    assert count_and_names(out) == "1 known client certificate (eve, which gatecert cannot check)"
    assert not locked_out(users, bundle(edwards, other), bundle(edwards), now=NOW)
    at_end = locked_out_by_expiry(users, bundle(edwards), NOW + 10 * DAY, now=NOW)
    assert [user.name for user in at_end] == ["eve"]


def test_expiry_of_a_client_ca_locks_out_its_users(office: Office) -> None:
    root = office.root("ends", end=NOW + 30 * DAY)
    long, short = office.user(root, "long"), office.user(root, "short", end=NOW + 20 * DAY)
    users = [known("long", long), known("short", short)]

    out = locked_out_by_expiry(users, bundle(root), NOW + 31 * DAY, now=NOW)

    assert [user.name for user in out] == ["long"]
    assert not locked_out_by_expiry(users, bundle(root), NOW + 29 * DAY, now=NOW)


def test_users_are_counted_and_the_first_ten_named(office: Office) -> None:
    alice = office.user(office.root())

    assert count_and_names([known("alice.pem", alice)]) == "1 known client certificate (alice.pem)"
    assert count_and_names([known(f"{number}", alice) for number in range(12)]) == (
        "12 known client certificates (0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more)"
    )
