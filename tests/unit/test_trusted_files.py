"""Rights of other users to change a configuration, a program or a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gatecert import container, process
from gatecert.trusted_files import (
    WeakFileError,
    check_command,
    read_secret,
    trusted_users,
    weakness,
    weakness_of,
)

OURS = {0, os.geteuid()}
OTHER = 12345


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "below" / "file"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)
    return path


def status(mode: int, owner: int = 0, group: int = 4242) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, owner, group, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("mode", "owner", "what"),
    [
        (0o100644, 0, ""),
        (0o100444, 0, ""),
        (0o100664, 0, "is writable by group 4242"),
        (0o100620, 0, "is writable by group 4242"),
        (0o100646, 0, "is world-writable"),
        (0o100600, OTHER, "belongs to user 12345"),
        (0o100666, OTHER, "is world-writable"),
        (0o120777, 0, ""),
        (0o120777, OTHER, "belongs to user 12345"),
        (0o040755, 0, ""),
        (0o040775, 0, "is writable by group 4242"),
        (0o041777, 0, "is world-writable"),  # files can be added
    ],
)
def test_owner_and_bits(mode: int, owner: int, what: str) -> None:
    found = weakness_of(Path("/x"), status(mode, owner), {0})
    assert str(found or "") == what
    assert found is None or found.fix in {
        "run chmod go-w /x",
        "run chown root /x",
        "run chown -h root /x",
    }


def test_a_sticky_directory_protects_what_is_in_it() -> None:
    assert weakness_of(Path("/spool"), status(0o041777), {0}, of_file=False) is None
    foreign = weakness_of(Path("/spool"), status(0o041777, OTHER), {0}, of_file=False)
    assert str(foreign) == "depends on /spool, which belongs to user 12345"


def test_in_a_container_only_the_bits_count_unless_gatecert_is_root(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(container, "in_container", True)
    foreign = status(0o100644, OTHER)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert weakness_of(Path("/x"), foreign, {0}) is not None
    monkeypatch.setattr(os, "geteuid", lambda: 10001)
    assert weakness_of(Path("/x"), foreign, {0}) is None
    assert weakness_of(Path("/x"), status(0o100664, OTHER), {0}) is not None


def test_an_ordinary_user_trusts_root_and_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: OTHER)
    assert trusted_users(tmp_path) == {0, OTHER, Path("/").stat().st_uid}


def test_missing_files_are_for_others_to_report(tmp_path: Path) -> None:
    assert weakness(tmp_path / "none", OURS) is None
    (tmp_path / "loop").symlink_to("loop")
    assert weakness(tmp_path / "loop", OURS) is None


class TestWayToAFile:
    """A user who may write a directory may replace what is in it, which root depends on.

    Owners are pretended; tests/security/test_configuration_owner.py has real ones.
    """

    @pytest.fixture(autouse=True)
    def root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 0)

    @pytest.fixture
    def of_other(self, monkeypatch: pytest.MonkeyPatch) -> set[Path]:
        """Paths that belong to another user."""
        paths: set[Path] = set()
        real = Path.lstat

        def lstat(path: Path) -> os.stat_result:
            found = real(path)
            owner = OTHER if path in paths else found.st_uid
            return os.stat_result((*found[:4], owner, *found[5:]))

        monkeypatch.setattr(Path, "lstat", lstat)
        return paths

    def test_a_directory_that_others_may_write(self, file: Path) -> None:
        file.parent.chmod(0o775)
        found = weakness(file, OURS)
        assert found is not None
        assert str(found).startswith(f"depends on {file.parent}, which is writable by group")
        assert found.fix == f"run chmod go-w {file.parent}"
        file.parent.chmod(0o1777)
        assert weakness(file, OURS) is None

    def test_a_directory_of_another_user(self, file: Path, of_other: set[Path]) -> None:
        of_other.add(file.parent)
        found = weakness(file, OURS)
        assert found is not None
        assert found.fix == f"run chown root {file.parent}"
        assert weakness(file, {*OURS, OTHER}) is None

    def test_the_way_through_links(self, file: Path, tmp_path: Path, of_other: set[Path]) -> None:
        ours, theirs = tmp_path / "ours", tmp_path / "theirs"
        ours.symlink_to(file.parent)
        assert weakness(ours / "file", OURS) is None
        theirs.symlink_to("below/../ours")
        assert weakness(theirs / "file", OURS) is None
        of_other.add(theirs)
        found = weakness(theirs / "file", OURS)
        assert found is not None
        assert found.fix == f"run chown -h root {theirs}"

    def test_a_link_to_what_others_may_write(self, file: Path, tmp_path: Path) -> None:
        link = tmp_path / "link"
        link.symlink_to(file)
        file.chmod(0o775)
        found = weakness(link, OURS)
        assert found is not None
        assert (found.path, found.of_file) == (file, True)


@pytest.mark.parametrize(
    "before",
    [
        [],
        ["/bin/sh"],
        ["/bin/sh", "-e"],
        ["/usr/bin/env", "A=b", "sh"],
        ["/usr/bin/env", "/bin/sh", "-x"],
        ["/usr/bin/python3"],
        ["/usr/bin/timeout", "5"],
    ],
)
def test_scripts_are_programs_too(file: Path, before: list[str]) -> None:
    check_command([*before, str(file), "argument"], OURS)
    file.chmod(0o775)
    with pytest.raises(WeakFileError, match="is writable by group"):
        check_command([*before, str(file), "argument"], OURS)


def test_files_that_a_program_reads_are_none(file: Path) -> None:
    file.chmod(0o666)
    check_command(["/bin/cat", str(file)], OURS)
    check_command(["/bin/sh", "-c", "exit 0"], OURS)
    check_command(["/bin/sh", "-c", "exit 0 # " + "long" * 5000], OURS)
    check_command(["/bin/sh", "-c", "exit 0 # \0"], OURS)
    check_command(["/none/at/all"], OURS)


def test_a_program_that_others_may_change_is_not_run(file: Path) -> None:
    with process.started([str(file)], {}):
        pass
    file.chmod(0o757)
    with pytest.raises(WeakFileError), process.started([str(file)], {}):
        pass
    assert process.output_of([str(file)]) == ""


def test_a_secret_that_others_may_change_is_not_used(file: Path) -> None:
    file.chmod(0o640)
    assert read_secret(file)
    file.chmod(0o620)
    with pytest.raises(WeakFileError) as raised:
        read_secret(file)
    assert raised.value.fix == "run chmod go-w on it"
