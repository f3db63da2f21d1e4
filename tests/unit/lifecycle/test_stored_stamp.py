"""The stamp of what stands on the disk for a gateway: another for each change that matters."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.pki import NAME, dns

from gatecert.lifecycle.stored_stamp import UNSTAMPED, stored_stamp
from gatecert.model import FileContents, FileCopy, InstallPlan, Target

if TYPE_CHECKING:
    from collections.abc import Callable

LATER = (2_000_000_000, 2_000_000_000)  # seconds since the epoch: access, change


class Disk:
    """The files of a gateway, and two copies elsewhere."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "gateways" / "hq"
        self.version = self.directory / "versions" / "1"
        self.copies = root / "copies"
        for directory in (self.version, self.directory / "client-ca", self.copies):
            directory.mkdir(parents=True)
        for path in (
            self.directory / "lock",
            self.directory / "reload-wanted",
            self.directory / "state.json",
            self.directory / "client-ca" / "bundle.pem",
            self.version / "fullchain.pem",
            self.version / "privkey.pem",
            self.copies / "server.pem",
        ):
            path.write_text("contents", "ascii")
        (self.directory / "live").symlink_to("versions/1")
        paths = (self.copies / "server.pem", self.copies / "missing.pem")
        copies = tuple(FileCopy(path, FileContents.FULLCHAIN) for path in paths)
        self.target = Target("hq", dns(NAME), NAME, install=InstallPlan(copy_to=copies))

    def stamp(self, settings: str = "settings") -> str:
        return stored_stamp(self.directory, self.target, settings)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def replace(path: Path) -> None:
    """Write a file as gatecert does."""
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    shutil.copystat(path, other)
    other.rename(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "another size": lambda path: path.write_text("other contents", "ascii"),
    "another time": lambda path: os.utime(path, LATER),
    "another mode": lambda path: path.chmod(0o400),
    "another file": replace,
    "no file": Path.unlink,
}
FILES = (
    "gateways/hq/state.json",
    "gateways/hq/live/fullchain.pem",
    "gateways/hq/live/privkey.pem",
    "gateways/hq/client-ca/bundle.pem",
    "copies/server.pem",
)


def test_the_same_disk_has_the_same_stamp(disk: Disk) -> None:
    assert disk.stamp() == disk.stamp()
    assert len(disk.stamp()) == 20


def test_a_gateway_without_files_has_a_stamp(tmp_path: Path, disk: Disk) -> None:
    nowhere = stored_stamp(tmp_path / "nowhere", disk.target, "settings")
    assert nowhere
    assert nowhere != disk.stamp()


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_each_change_of_a_file_changes_it(
    disk: Disk, tmp_path: Path, file: str, change: Callable[[Path], object]
) -> None:
    before = disk.stamp()
    change(tmp_path / file)
    assert disk.stamp() != before


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("field", ["st_uid", "st_gid"])
def test_another_owner_or_group_changes_it(
    disk: Disk, tmp_path: Path, file: str, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, lstat = disk.stamp(), os.lstat

    def changed(path: Path) -> object:
        found = lstat(path)
        values = {name: getattr(found, name) for name in dir(found) if name.startswith("st_")}
        return SimpleNamespace(**values | {field: values[field] + (path == tmp_path / file)})

    monkeypatch.setattr(os, "lstat", changed)  # only root can give files away
    after = disk.stamp()
    monkeypatch.undo()
    assert before == disk.stamp() != after


@pytest.mark.parametrize(
    "path",
    [
        "gateways/hq/new",
        "gateways/hq/live/new",
        "gateways/hq/versions/2",
        "gateways/hq/client-ca/new",
        "copies/missing.pem",
    ],
)
def test_a_new_file_changes_it(disk: Disk, tmp_path: Path, path: str) -> None:
    before = disk.stamp()
    (tmp_path / path).touch()
    assert disk.stamp() != before


def test_another_live_version_changes_it(disk: Disk) -> None:
    shutil.copytree(disk.version, disk.version.with_name("2"))
    before, live = disk.stamp(), disk.directory / "live"
    live.unlink()
    assert disk.stamp() != before
    live.symlink_to("versions/2")
    assert disk.stamp() != before


def test_a_link_in_the_place_of_a_copy_changes_it(disk: Disk) -> None:
    before, copy = disk.stamp(), disk.copies / "server.pem"
    target = copy.rename(disk.copies / "moved")
    copy.symlink_to(target)
    assert disk.stamp() != before


def test_other_settings_change_it(disk: Disk) -> None:
    assert disk.stamp("settings") != disk.stamp("other settings")


def test_another_copy_changes_it(disk: Disk) -> None:
    before = disk.stamp()
    (copy, missing) = disk.target.install.copy_to
    disk.target = Target("hq", dns(NAME), NAME, install=InstallPlan(copy_to=(copy,)))
    assert disk.stamp() != before
    disk.target = Target("hq", dns(NAME), NAME, install=InstallPlan(copy_to=(missing, copy)))
    assert disk.stamp() != before


@pytest.mark.parametrize("name", sorted(UNSTAMPED))
def test_a_file_that_changes_without_consequences_does_not(disk: Disk, name: str) -> None:
    before, path = disk.stamp(), disk.directory / name
    for change in CHANGES.values():
        path.touch()
        change(path)
        assert disk.stamp() == before
    assert not path.exists()


def test_names_that_are_no_text_are_stamped(disk: Disk) -> None:
    before = disk.stamp()
    (disk.directory / os.fsdecode(b"\xff")).touch()
    assert disk.stamp() != before
