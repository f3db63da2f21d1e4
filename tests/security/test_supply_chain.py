"""A package index, a lock file or a mirror that an attacker controls; and known vulnerabilities."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = Path(__file__).resolve().parents[2]
LOCK_FILE = "packaging/requirements.lock"
BUILDS = {
    "the package": ("packaging/build",),
    "an environment": ("tests/integration/environment", ".cache/peer", LOCK_FILE),
}
PROGRAM = "pebble"
SUITE = "forky"


def run(
    *argv: str | Path, cwd: Path = PROJECT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of the project; the caller checks the exit code."""
    return subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def first_pinned() -> tuple[str, str]:
    """Return name and version of the first package of the lock file."""
    lines = (PROJECT / LOCK_FILE).read_text("utf-8").splitlines()
    name, _, version = next(line for line in lines if "==" in line).partition("==")
    return name, version.split()[0]


@pytest.fixture
def ran(open_path: Path) -> Path:
    """The file that appears once the attacker's program runs."""
    return open_path / "ran"


@pytest.fixture
def clone(open_path: Path) -> Path:
    """A clone of the project without a cache."""
    clone = open_path / "clone"
    for name in ("packaging", "tests/integration"):
        shutil.copytree(PROJECT / name, clone / name)
    (clone / "daemon/gatecert").mkdir(parents=True)
    shutil.copy(PROJECT / "daemon/gatecert/__init__.py", clone / "daemon/gatecert")
    for name in ("CHANGELOG.md", "pyproject.toml"):
        shutil.copy(PROJECT / name, clone)
    (clone / ".venv").symlink_to((PROJECT / ".venv").resolve())
    return clone


@pytest.fixture
def index(open_path: Path, ran: Path) -> Mapping[str, str]:
    """An index with one changed wheel; the options that make pip use it."""
    name, version = first_pinned()
    directory = open_path / "index"
    directory.mkdir()
    changed = f"open({str(ran)!r}, 'w').close()\n"
    described = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": changed,
        f"{name}.pth": f"import {name}\n",  # runs with the next Python
        f"{described}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{described}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{described}/RECORD"] = "".join(f"{path},,\n" for path in files)
    with zipfile.ZipFile(directory / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(directory), "PIP_CONFIG_FILE": os.devnull}


def remains(clone: Path) -> list[Path]:
    """Return the packages that a build has left."""
    return sorted((clone / "dist").glob("*.deb")) + sorted(clone.glob(".cache/deb/python-*"))


def test_the_changed_wheel_would_run_without_hashes(
    index: Mapping[str, str], ran: Path, tmp_path: Path
) -> None:
    name, version = first_pinned()
    target = tmp_path / "target"
    command = (sys.executable, "-m", "pip", "install", "--no-deps", "--target", target)
    installed = run(*command, f"{name}=={version}", environment=index)
    assert installed.returncode == 0, installed.stderr

    assert (
        run(
            sys.executable, "-c", f"import {name}", environment={"PYTHONPATH": str(target)}
        ).returncode
        == 0
    )
    assert ran.exists()


@pytest.mark.attack("an index serves a changed wheel under the name and version of the lock file")
@pytest.mark.parametrize("what", sorted(BUILDS))
def test_a_changed_wheel_ends_the_build_before_it_runs(
    what: str, clone: Path, index: Mapping[str, str], ran: Path
) -> None:
    built = run(*BUILDS[what], cwd=clone, environment=index)

    assert built.returncode != 0
    assert "DO NOT MATCH THE HASHES" in built.stderr
    assert remains(clone) == []
    assert not ran.exists()


@pytest.mark.attack("a lock file comes without hashes")
@pytest.mark.parametrize("what", sorted(BUILDS))
def test_a_lock_file_without_hashes_is_refused(
    what: str, clone: Path, index: Mapping[str, str], ran: Path
) -> None:
    name, version = first_pinned()
    (clone / LOCK_FILE).write_text(f"{name}=={version}\n", "utf-8")

    built = run(*BUILDS[what], cwd=clone, environment=index)

    assert built.returncode != 0
    assert "Hashes are required" in built.stderr
    assert remains(clone) == []
    assert not ran.exists()


# ------------------------------------------------------------------ known vulnerabilities


def record(name: str, *, fixed: str) -> dict[str, Any]:
    """Return a vulnerability in OSV format."""
    bounds = [{"introduced": "0"}, {"fixed": fixed}]
    ranges = [{"type": "ECOSYSTEM", "events": bounds}]
    return {
        "schema_version": "1.6.0",
        "id": "PYSEC-0000-1",
        "modified": "2026-01-01T00:00:00Z",
        "aliases": ["CVE-0000-1"],
        "summary": "writes a challenge token to any path",
        "affected": [
            {"ranges": [{"type": "GIT", "repo": "https://example.com/x", "events": bounds}]},
            {"package": {"ecosystem": "PyPI", "name": name}, "ranges": ranges},
        ],
    }


def audit(vulnerabilities: Path | str = "") -> subprocess.CompletedProcess[str]:
    """Run `make audit` with a file, directory or archive."""
    return run(
        PROJECT / ".cache/supply/bin/python", PROJECT / "packaging/audit", str(vulnerabilities)
    )


@pytest.mark.attack("a pinned version with a known vulnerability is shipped unnoticed")
@pytest.mark.parametrize("form", ["file", "directory", "archive"])
def test_the_audit_names_an_affected_package(form: str, tmp_path: Path) -> None:
    name, version = first_pinned()
    text = json.dumps(record(name.upper(), fixed=f"{version}.1"))
    path = tmp_path / "records" / "one.json"
    path.parent.mkdir()
    path.write_text(text, "utf-8")
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("PYSEC-0000-1.json", text)

    checked = audit({"file": path, "directory": path.parent, "archive": archive}[form])

    assert checked.returncode == 1
    found = [line.split() for line in checked.stdout.splitlines() if line.startswith(name)]
    assert [name, version, "PYSEC-0000-1", f"{version}.1"] in found
    assert LOCK_FILE in checked.stderr


def test_the_audit_passes_if_the_pinned_version_has_the_fix(tmp_path: Path) -> None:
    name, version = first_pinned()
    (tmp_path / "one.json").write_text(json.dumps(record(name, fixed=version)), "utf-8")

    checked = audit(tmp_path)

    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.count("No known vulnerabilities found") == len(
        list(PROJECT.glob("[!.]*/*.lock"))
        + list(PROJECT.glob("*.lock"))
        + list(PROJECT.glob("[!.]*/*/*.lock"))
    )


def test_the_audit_evaluates_versions_as_the_osv_schema_says(tmp_path: Path) -> None:
    name, version = first_pinned()
    later = f"{version}.1"
    records = {
        "listed": {"versions": ["2004d", f"{version}.0"]},
        "listed, others": {"versions": ["2004d", later]},
        "from here": bounded({"introduced": version}),
        "from later": bounded({"introduced": later}),
        "up to here": bounded({"introduced": "0"}, {"last_affected": version}),
        "up to a candidate of this": bounded({"introduced": "0"}, {"fixed": f"{version}rc1"}),
        "again since here": bounded({"introduced": version}, {"fixed": "0.1"}, {"introduced": "0"}),
        "unknown bound": bounded({"introduced": "0"}, {"fixed": "2004d"}),
    }
    for number, (about, affected) in enumerate(records.items()):
        package = {"package": {"ecosystem": "PyPI", "name": name}, **affected}
        found = {"id": f"PYSEC-0000-{number}", "summary": about, "affected": [package]}
        (tmp_path / f"{number}.json").write_text(json.dumps(found), "utf-8")

    checked = audit(tmp_path)

    reported = {about for number, about in enumerate(records) if f"-{number}" in checked.stdout}
    assert reported == {"listed", "from here", "up to here", "again since here", "unknown bound"}


def bounded(*events: Mapping[str, str]) -> dict[str, Any]:
    """Return a range of versions."""
    return {"ranges": [{"type": "ECOSYSTEM", "events": events}]}


def test_an_audit_without_data_says_so() -> None:
    checked = audit()
    assert checked.returncode == 0
    assert "NO DATA" in checked.stderr


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"id": "X", "affected": [1]}'])
def test_data_that_cannot_be_read_is_no_pass(content: str, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(content, "utf-8")
    for each in (path, tmp_path, tmp_path / "missing.zip"):
        checked = audit(each)
        assert checked.returncode == 2
        assert "No package was checked" in checked.stderr
        assert "Traceback" not in checked.stderr


# ------------------------------------------------------------------ Debian's packages


ARCHITECTURE = subprocess.run(
    ["dpkg", "--print-architecture"], check=True, capture_output=True, text=True
).stdout.strip()


def packed(tree: Path, ran: Path) -> str:
    """Pack the attacker's program; return the package's control fields."""
    program = tree / "usr/bin" / PROGRAM
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\ntouch {ran}\n")
    program.chmod(0o755)
    fields = (
        f"Package: {PROGRAM}\nVersion: 9.9\nArchitecture: {ARCHITECTURE}\n"
        "Maintainer: x <x@localhost>\nDescription: x\n"
    )
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(fields)
    subprocess.run(["dpkg-deb", "--build", tree, tree.parent], check=True, capture_output=True)
    return fields


def publish(repository: Path, suite: str, packages: str) -> None:
    """Write the lists of a suite, without a signature."""
    directory = repository / f"dists/{suite}"
    lists = directory / f"main/binary-{ARCHITECTURE}/Packages"
    lists.parent.mkdir(parents=True)
    lists.write_text(packages)
    (directory / "Release").write_text(
        f"Suite: {suite}\nCodename: {suite}\nArchitectures: {ARCHITECTURE}\nComponents: main\n"
        f"SHA256:\n {digest(lists)} {len(packages)} main/binary-{ARCHITECTURE}/Packages\n"
    )


def digest(path: Path) -> str:
    """Return the SHA-256 hash of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def mirror(open_path: Path, ran: Path) -> Mapping[str, str]:
    """A mirror that serves the attacker's program, unsigned, and a machine that accepts it."""
    repository = open_path / "mirror"
    fields = packed(repository / "tree", ran)
    (package,) = repository.glob("*.deb")
    files = f"Filename: {package.name}\nSize: {package.stat().st_size}\nSHA256: {digest(package)}\n"
    own_suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    for suite in {own_suite, SUITE}:
        publish(repository, suite, f"{fields}{files}\n")
    sources, state = open_path / "sources.list", open_path / "state"
    sources.write_text(f"deb [trusted=yes] file:{repository} {own_suite} main\n")
    (state / "lists/partial").mkdir(parents=True)
    settings = open_path / "apt.conf"
    settings.write_text(
        f'Dir::Etc::sourcelist "{sources}";\nDir::Etc::sourceparts "/dev/null";\n'
        f'Dir::State "{state}";\nAPT::Sandbox::User "";\n'
        'Acquire::AllowInsecureRepositories "true";\nAPT::Get::AllowUnauthenticated "true";\n'
    )
    environment = {"APT_CONFIG": str(settings)}
    updated = run("apt-get", "update", environment=environment)
    assert updated.returncode == 0, updated.stderr
    return environment


@pytest.mark.attack("a mirror serves an unsigned package to the tests")
def test_an_unsigned_package_of_debian_testing_is_refused(
    mirror: Mapping[str, str], open_path: Path, ran: Path
) -> None:
    fetch = PROJECT / "tests/integration/debian-testing"

    fetched = run(fetch, PROGRAM, "2.10", open_path / "fetched/pebble", PROGRAM, environment=mirror)

    assert fetched.returncode != 0
    assert "is not signed" in fetched.stderr
    assert not ran.exists()
