"""A commit always gives the same package, byte by byte."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTES = 60
ANOTHER_USER = ("unshare", "--user", "--map-user=60001", "--map-group=60002")
ONE_PROCESSOR = ("taskset", "--cpu-list", "0")
YEARS_LATER = ("faketime", "-f", "+1500d")
ANOTHER_ENVIRONMENT = {
    "CDPATH": ".:/",
    "HOME": "/nonexistent",
    "LC_ALL": "POSIX",
    "PYTHONHASHSEED": "7",
    "TZ": "Asia/Kathmandu",
}


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A clone of the project on another file system, whose files only their owner may read."""
    memory = Path("/dev/shm")  # noqa: S108 - the directory has a random name
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as directory:
        clone = Path(directory) / "a/clone/in/another/directory"
        clone.mkdir(parents=True)
        clone.chmod(0o2700)  # what is created below belongs to its group
        copy_project(clone)
        yield clone


def copy_project(clone: Path) -> None:
    """Copy history and working tree; link the tools."""
    git = ("git", "clone", "--quiet", "--no-checkout", PROJECT, clone)
    subprocess.run(git, check=True, timeout=MINUTES, capture_output=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.split("\0"):
        source, copied = PROJECT / name, clone / name
        if name and source.exists():
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copied)  # without its mode and time
            copied.chmod(0o700 if os.access(source, os.X_OK) else 0o600)
    (clone / ".venv").symlink_to((PROJECT / ".venv").resolve())


def built_hash(clone: Path, *conditions: str) -> str:
    """Build the package in a clone under conditions; return its hash."""
    built = subprocess.run(
        [*conditions, "sh", "-c", "umask 077 && exec packaging/build"],
        cwd=clone,
        env={**os.environ, **ANOTHER_ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
        timeout=20 * MINUTES,
    )
    assert built.returncode == 0, built.stderr
    package = clone / built.stdout.strip()
    found = hashlib.sha256(package.read_bytes()).hexdigest()
    assert f"packaging/build: sha256 {found} of dist/{package.name}" in built.stderr.splitlines()
    return found


def test_two_builds_give_the_same_bytes(package: Path, elsewhere: Path) -> None:
    wanted = hashlib.sha256(package.read_bytes()).hexdigest()

    # The first build downloads everything again; the second takes what the first has left.
    assert built_hash(elsewhere, *ANOTHER_USER, *ONE_PROCESSOR) == wanted
    assert built_hash(elsewhere, *ANOTHER_USER, *YEARS_LATER) == wanted


def test_the_hashes_beside_the_package_are_its_own(package: Path) -> None:
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"],
        cwd=package.parent,
        check=False,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr
    bill = package.with_suffix(".cdx.json")
    assert checked.stdout.splitlines() == [f"{package.name}: OK", f"{bill.name}: OK"]
