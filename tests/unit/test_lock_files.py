"""Everything that a build, a test or CI downloads is verified by a hash or a signature."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCK_FILES = sorted(
    path for pattern in ("*.lock", "[!.]*/*.lock", "[!.]*/*/*.lock") for path in ROOT.glob(pattern)
)
SCRIPTS = [
    ROOT / "Makefile",
    *(
        path
        for directory in (".ci", "container", "docs", "packaging", "pebble", "systemd", "tests")
        for path in sorted((ROOT / directory).rglob("*"))
        if path.is_file() and path.suffix in {"", ".sh", ".yaml"}
    ),
]
SHA_256: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})(?:\s|$)")
# A command that fetches or installs Python packages, and what makes it safe: hashes of a lock file,
# no index, or the project itself without dependencies.
FETCHES: Final = re.compile(
    r"""(?:\bpip|\bpip\[@\]\}"|\buv) .*\b(?:install|download|wheel|sync)\b"""
)
VERIFIED: Final = re.compile(r"--require-hashes|--no-index|--no-deps .*--no-build-isolation ")
PIPED_INTO_A_SHELL: Final = re.compile(r"\b(?:curl|wget)\b.*[|].*\b(?:ba|da|z)?sh\b")


def pinned(path: Path) -> list[tuple[Requirement, list[str]]]:
    """Return the requirements of a lock file, each with its SHA-256 hashes."""
    return [
        (Requirement(line.partition(" --")[0]), SHA_256.findall(line)) for line in commands(path)
    ]


def commands(path: Path) -> list[str]:
    """Return the lines of a script, joined where they continue, without comments."""
    content = path.read_text("utf-8", errors="replace").replace("\\\n", " ")
    return [line for line in content.splitlines() if line and not line.lstrip().startswith("#")]


@pytest.mark.parametrize("path", LOCK_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_lock_file_has_hashes_and_no_addresses(path: Path) -> None:
    content = path.read_text("utf-8")
    assert "://" not in content
    assert not re.search(r"^(-|.* @ )", content, re.MULTILINE)
    requirements = pinned(path)
    assert requirements
    for requirement, hashes in requirements:
        assert str(requirement.specifier).startswith("=="), requirement
        assert hashes, requirement


def test_all_lock_files_are_found() -> None:
    names = {str(path.relative_to(ROOT)) for path in LOCK_FILES}
    compiled = re.findall(r"\$\(call compile,.*,(\S+)\)", (ROOT / "Makefile").read_text("utf-8"))
    assert names == set(compiled)


def test_every_download_of_python_packages_requires_hashes() -> None:
    fetching = [(path, line) for path in SCRIPTS for line in commands(path) if FETCHES.search(line)]
    assert len({path for path, _ in fetching}) >= 4
    assert [(path, line) for path, line in fetching if not VERIFIED.search(line)] == []


def test_no_download_is_piped_into_a_shell() -> None:
    piped = [line for path in SCRIPTS for line in commands(path) if PIPED_INTO_A_SHELL.search(line)]
    assert piped == []


def test_debian_systems_come_only_with_a_signature() -> None:
    made = [line for path in SCRIPTS for line in commands(path) if "debootstrap --" in line]
    assert made
    assert [line for line in made if "--force-check-gpg" not in line] == []


@pytest.mark.parametrize("name", ["container/Containerfile", "pebble/compose.yaml"])
def test_images_that_are_built_on_or_run_as_tools_have_a_digest(name: str) -> None:
    images = re.findall(r"\b(?:docker|ghcr|quay)\.io/\S+", "\n".join(commands(ROOT / name)))
    assert images
    assert [each for each in images if not re.search(r"@sha256:[0-9a-f]{64}\}?$", each)] == []


def test_the_bill_of_materials_is_that_of_the_lock_file() -> None:
    bill = json.loads((ROOT / "packaging/gatecert.cdx.json").read_text("utf-8"))
    wanted = {
        canonicalize_name(requirement.name): (
            str(requirement.specifier).removeprefix("=="),
            sorted(hashes),
        )
        for requirement, hashes in pinned(ROOT / "packaging/requirements.lock")
        if requirement.marker is None or requirement.marker.evaluate()
    }
    listed = {
        each["name"]: (
            each["version"],
            sorted(one["content"] for one in each["externalReferences"][0]["hashes"]),
        )
        for each in bill["components"]
    }
    assert listed == wanted, "run `make sbom`"
