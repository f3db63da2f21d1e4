from __future__ import annotations

import grp
import os
import pwd
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import pkcs12

from gatecert.certificate.bootstrap import bootstrap
from gatecert.deploy.copies import write_copies
from gatecert.errors import CopyError
from gatecert.model import FileContents, FileCopy, Identifier, IdentifierType, Version
from gatecert.store import durable
from gatecert.store.temporary_names import leftover_beside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LEAF = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
CHAIN = b"-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN PRIVATE KEY-----\nCCCC\n-----END PRIVATE KEY-----\n"
VERSION = Version("000001-20261123T081500Z", "boston", LEAF, CHAIN)
FULLCHAIN = FileContents.FULLCHAIN


def someone_else() -> pwd.struct_passwd:
    return next(user for user in pwd.getpwall() if user.pw_uid not in {0, os.geteuid()})


@pytest.fixture
def chowned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Record the new owners of files; changing the owner takes root."""
    seen: list[tuple[int, int]] = []

    def note(_: int, user: int, group: int) -> None:
        seen.append((user, group))

    monkeypatch.setattr(os, "fchown", note)
    return seen


def test_a_copy_has_its_content_and_mode_whatever_the_umask(tmp_path: Path) -> None:
    copy = FileCopy(tmp_path / "server.pem", FULLCHAIN, mode=0o644)
    before = os.umask(0o077)
    try:
        write_copies([copy], VERSION, KEY)
    finally:
        os.umask(before)
    assert copy.path.read_bytes() == LEAF + CHAIN
    assert stat.S_IMODE(copy.path.stat().st_mode) == 0o644
    assert copy.path.stat().st_uid == os.geteuid()
    assert list(tmp_path.iterdir()) == [copy.path]


def test_correct_copies_are_unchanged(tmp_path: Path) -> None:
    copy = FileCopy(tmp_path / "server.pem", FULLCHAIN)
    write_copies([copy], VERSION, KEY)
    before = copy.path.stat()
    write_copies([copy], VERSION, KEY)
    after = copy.path.stat()  # which has another time of access
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def _other_content(path: Path) -> None:
    path.write_bytes(CHAIN + LEAF)  # of the same length


def _shorter(path: Path) -> None:
    path.write_bytes(LEAF)


def _other_mode(path: Path) -> None:
    path.chmod(0o644)


def _a_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("change", [_other_content, _shorter, _other_mode, _a_link, _a_pipe])
def test_a_copy_that_differs_is_rewritten(tmp_path: Path, change: Callable[[Path], None]) -> None:
    copy = FileCopy(tmp_path / "server.pem", FULLCHAIN)
    write_copies([copy], VERSION, KEY)
    change(copy.path)
    write_copies([copy], VERSION, KEY)
    assert not copy.path.is_symlink()
    assert copy.path.read_bytes() == LEAF + CHAIN
    assert stat.S_IMODE(copy.path.stat().st_mode) == 0o600


def test_owner_and_group_by_name(tmp_path: Path, chowned: list[tuple[int, int]]) -> None:
    user, group = someone_else(), grp.getgrgid(0)
    copy = FileCopy(tmp_path / "a.pem", FULLCHAIN, owner=user.pw_name, group=group.gr_name)
    write_copies([copy], VERSION, KEY)
    assert chowned == [(user.pw_uid, 0)]


def test_the_group_is_the_owners_by_default(tmp_path: Path, chowned: list[tuple[int, int]]) -> None:
    user = someone_else()
    copy = FileCopy(tmp_path / "a.pem", FULLCHAIN, owner=user.pw_name)
    write_copies([copy], VERSION, KEY)
    assert chowned == [(user.pw_uid, user.pw_gid)]


def test_a_file_of_somebody_else_is_written_again(
    tmp_path: Path, chowned: list[tuple[int, int]]
) -> None:
    copy = FileCopy(tmp_path / "a.pem", FULLCHAIN)
    write_copies([copy], VERSION, KEY)
    write_copies([FileCopy(copy.path, FULLCHAIN, owner=someone_else().pw_name)], VERSION, KEY)
    assert len(chowned) == 2


@pytest.mark.parametrize(
    ("owner", "group", "reason"),
    [
        ("nobody-of-that-name", None, "no user 'nobody-of-that-name'"),
        (None, "no-such-group", "no group 'no-such-group'"),
        ("4123456789", None, "user 4123456789 does not exist"),
    ],
)
def test_unknown_users_and_groups(
    tmp_path: Path, owner: str | None, group: str | None, reason: str
) -> None:
    copy = FileCopy(tmp_path / "a.pem", FULLCHAIN, owner=owner, group=group)
    with pytest.raises(CopyError, match=reason) as caught:
        write_copies([copy], VERSION, KEY)
    assert str(copy.path) in caught.value.message
    assert "install.copy_to" in caught.value.message
    assert "install.copy_to" in caught.value.fix
    assert caught.value.code == "copy-failed"
    assert not copy.path.exists()


@pytest.mark.parametrize("number", [1, 13, 28, 30])  # EPERM, EACCES, ENOSPC, EROFS
def test_refusals_of_the_system_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    copy = FileCopy(tmp_path / "a.pem", FULLCHAIN)
    copy.path.write_text("before")

    def refuse(name: str, _: Path) -> None:
        if name == "create":
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(durable, "on_step", refuse)
    with pytest.raises(CopyError) as caught:
        write_copies([copy], VERSION, KEY)
    assert str(copy.path) in caught.value.message
    assert caught.value.fix
    assert copy.path.read_text() == "before"


def test_every_copy_is_tried_and_every_failure_named(tmp_path: Path) -> None:
    wrong = [FileCopy(tmp_path / name / "a.pem", FULLCHAIN) for name in ("first", "second")]
    right = FileCopy(tmp_path / "a.pem", FULLCHAIN)
    with pytest.raises(CopyError) as caught:
        write_copies([wrong[0], right, wrong[1]], VERSION, KEY)
    assert right.path.exists()
    assert all(str(copy.path) in caught.value.message for copy in wrong)
    assert "CCCC" not in str(caught.value)


def test_the_key_is_not_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    copy = FileCopy(tmp_path / "a.pem", FileContents.COMBINED)
    write_copies([copy], VERSION, KEY)
    assert f"copied path={copy.path} contents=combined" in caplog.text
    assert "CCCC" not in caplog.text


# --------------------------------------------------------------------------- PKCS #12


@pytest.fixture
def pair() -> tuple[Version, bytes]:
    """A version whose certificate can be read, and its key."""
    names = [Identifier(IdentifierType.DNS, "a.example.com")]
    made = bootstrap(names, now=datetime(2026, 11, 23, tzinfo=UTC))
    version = Version("000002-20261123T081500Z", "boston", made.certificate, b"")
    return version, made.private_key


@pytest.fixture
def copy(tmp_path: Path) -> FileCopy:
    password = tmp_path / "password"
    password.write_bytes(b"hunter2 \n")
    return FileCopy(tmp_path / "a.p12", FileContents.PKCS12, password_file=password)


def test_pkcs12_is_written_once_for_a_password(
    copy: FileCopy, pair: tuple[Version, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    write_copies([copy], *pair)
    before = copy.path.stat()
    write_copies([copy], *pair)
    after = copy.path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert pkcs12.load_pkcs12(copy.path.read_bytes(), b"hunter2 ").key is not None

    assert copy.password_file is not None
    copy.password_file.write_bytes(b"hunter3\r\n")
    write_copies([copy], *pair)
    assert pkcs12.load_pkcs12(copy.path.read_bytes(), b"hunter3").key is not None
    assert "hunter" not in caplog.text + repr(copy)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: no such file"),
        (b"\n", "must hold a password"),
        (b"x" * 1025, "must hold a password of 1 to 1024 bytes"),
    ],
)
def test_a_password_file_that_will_not_do(
    copy: FileCopy, pair: tuple[Version, bytes], content: bytes | None, reason: str
) -> None:
    assert copy.password_file is not None
    copy.password_file.unlink()
    if content is not None:
        copy.password_file.write_bytes(content)
    with pytest.raises(CopyError, match=reason) as caught:
        write_copies([copy], *pair)
    assert str(copy.password_file) not in f"{caught.value}{caught.value.fix}"
    assert not copy.path.exists()


def test_a_huge_file_in_its_place_is_not_read(tmp_path: Path) -> None:
    copy = FileCopy(tmp_path / "a.pem", FULLCHAIN)
    write_copies([copy], VERSION, KEY)
    os.truncate(copy.path, 1 << 30)  # a hole, which takes no room
    write_copies([copy], VERSION, KEY)
    assert copy.path.read_bytes() == LEAF + CHAIN


def test_it_says_whether_anything_had_to_be_written(tmp_path: Path) -> None:
    copies = [FileCopy(tmp_path / "a.pem", FULLCHAIN), FileCopy(tmp_path / "b.pem", FULLCHAIN)]
    assert write_copies(copies, VERSION, KEY)
    assert not write_copies(copies, VERSION, KEY)
    copies[1].path.unlink()
    assert write_copies(copies, VERSION, KEY)


def test_only_what_a_crash_left_of_a_copy_is_removed(tmp_path: Path) -> None:
    copy = FileCopy(tmp_path / "server.pem", FULLCHAIN)
    left = leftover_beside(copy.path)
    others = [tmp_path / f".tmp-{os.getpid()}-00000000-1", tmp_path / ".tmp-of-somebody-else"]
    for other in others:
        other.write_bytes(KEY)
    for _ in ("written", "unchanged"):
        left.write_bytes(KEY)
        write_copies([copy], VERSION, KEY)
        assert set(tmp_path.iterdir()) == {copy.path, *others}


def test_a_copy_in_a_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    copies = [FileCopy(tmp_path / name / "server.pem", FULLCHAIN) for name in ("open", "closed")]
    for copy, mode in zip(copies, (0o777, 0o755), strict=True):
        copy.path.parent.mkdir()
        copy.path.parent.chmod(mode)
    if os.geteuid() != 0:  # it is one of those others
        write_copies(copies, VERSION, KEY)
        return
    with pytest.raises(CopyError, match=f"{tmp_path}/open can be changed by every user") as caught:
        write_copies(copies, VERSION, KEY)
    assert caught.value.fix.startswith(f"chmod go-w {tmp_path}/open")
    assert [copy.path.exists() for copy in copies] == [False, True]
