from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gatecert.challenge.webroot import DIRECTORY, publish, withdraw
from gatecert.errors import ChallengeError
from gatecert.store import durable
from gatecert.store.temporary_names import leftover_beside

BAD = pytest.mark.parametrize("token", ["../up", "a/b", "", "a.b", "x" * 256])


def test_a_response_is_world_readable_and_can_be_replaced(tmp_path: Path) -> None:
    publish(tmp_path, "abc", "abc.first")
    publish(tmp_path, "abc", "abc.second")

    (file,) = (tmp_path / DIRECTORY).iterdir()
    assert file.name == "abc"
    assert file.read_text() == "abc.second"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_a_response_is_removed_once(tmp_path: Path) -> None:
    publish(tmp_path, "abc", "abc.def")
    withdraw(tmp_path, "abc")
    withdraw(tmp_path, "abc")

    assert list((tmp_path / DIRECTORY).iterdir()) == []


@BAD
def test_a_bad_token_never_becomes_a_file(tmp_path: Path, token: str) -> None:
    with pytest.raises(ValueError, match="not base64url"):
        publish(tmp_path, token, "text")

    assert list(tmp_path.iterdir()) == []


@BAD
def test_a_bad_token_never_removes_a_file(tmp_path: Path, token: str) -> None:
    file = tmp_path / ".well-known" / "up"
    file.parent.mkdir()
    file.write_text("stays")

    withdraw(tmp_path, token)

    assert file.exists()


def test_a_failed_write_leaves_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(name: str, _: Path) -> None:
        if name == "replace":
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "on_step", fails)
    with pytest.raises(ChallengeError, match="No space left on device"):
        publish(tmp_path, "abc", "abc.def")

    assert list((tmp_path / DIRECTORY).iterdir()) == []


def test_a_failed_removal_is_only_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / DIRECTORY / "abc").mkdir(parents=True)

    withdraw(tmp_path, "abc")

    assert "cannot remove an http-01 response token=abc" in caplog.text


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        publish(tmp_path, "abc", "abc.def")
    finally:
        os.umask(before)

    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
    }
    assert modes == {".well-known": 0o755, DIRECTORY: 0o755, f"{DIRECTORY}/abc": 0o644}


def test_existing_directories_keep_their_mode(tmp_path: Path) -> None:
    (tmp_path / ".well-known").mkdir(mode=0o750)
    publish(tmp_path, "abc", "abc.def")
    assert stat.S_IMODE((tmp_path / ".well-known").stat().st_mode) == 0o750


@pytest.mark.parametrize("link", [".well-known", DIRECTORY])
def test_no_symbolic_link_is_followed(
    tmp_path: Path, link: str, caplog: pytest.LogCaptureFixture
) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    (elsewhere / "acme-challenge").mkdir(parents=True)
    for directory in (elsewhere, elsewhere / "acme-challenge"):
        (directory / "abc").write_text("stays")
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(elsewhere)

    with pytest.raises(ChallengeError, match="is a symbolic link that") as caught:
        publish(root, "abc", "abc.def")
    assert "challenges.http-01.webroot" in caught.value.fix
    assert not withdraw(root, "abc")

    files = [path for path in elsewhere.rglob("*") if path.is_file()]
    assert [path.read_text() for path in files] == ["stays", "stays"]
    assert "cannot remove an http-01 response" in caplog.text


def test_a_symbolic_link_in_place_of_the_file_is_replaced(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("stays")
    (tmp_path / DIRECTORY).mkdir(parents=True)
    (tmp_path / DIRECTORY / "abc").symlink_to(victim)

    publish(tmp_path, "abc", "abc.def")

    assert victim.read_text() == "stays"
    assert not (tmp_path / DIRECTORY / "abc").is_symlink()


def test_the_document_root_may_be_a_symbolic_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    publish(link, "abc", "abc.def")
    assert (real / DIRECTORY / "abc").read_text() == "abc.def"
    assert withdraw(link, "abc")


def test_a_missing_document_root_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(ChallengeError, match="No such file or directory") as caught:
        publish(tmp_path / "typo", "abc", "abc.def")
    assert "challenges.http-01.webroot" in caught.value.fix
    assert withdraw(tmp_path / "typo", "abc")
    assert list(tmp_path.iterdir()) == []


def test_withdraw_without_a_directory_does_nothing(tmp_path: Path) -> None:
    assert withdraw(tmp_path, "abc")
    assert list(tmp_path.iterdir()) == []


def test_only_what_a_crash_left_of_the_same_response_is_removed(tmp_path: Path) -> None:
    directory = tmp_path / DIRECTORY
    directory.mkdir(parents=True)
    other = directory / ".tmp-999999999-0123abcd-1"
    other.write_text("of somebody else")
    for action in (lambda: publish(tmp_path, "abc", "abc.def"), lambda: withdraw(tmp_path, "abc")):
        leftover_beside(directory / "abc").write_text("half")
        action()
        assert {path.name for path in directory.iterdir()} - {"abc"} == {other.name}
    assert not (directory / "abc").exists()


def test_no_descriptor_is_leaked(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    publish(tmp_path, "abc", "abc.def")
    withdraw(tmp_path, "abc")
    with pytest.raises(ChallengeError):
        publish(tmp_path / "typo", "abc", "abc.def")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
