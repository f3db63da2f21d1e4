"""The wheel brings what belongs beside a command: manual pages and completions."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import gatecert

PROJECT = Path(__file__).resolve().parents[2]
SHARED = {
    "man/man1/gatecert.1",
    "man/man5/gatecert-config.5",
    "bash-completion/completions/gatecert",
    "zsh/site-functions/_gatecert",
    "fish/vendor_completions.d/gatecert.fish",
}


def test_manual_pages_and_completions_are_in_the_wheel(tmp_path: Path) -> None:
    built = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*built, "--directory", tmp_path], cwd=PROJECT, check=True, capture_output=True)

    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()

    share = f"gatecert-{gatecert.__version__}.data/data/share/"
    assert {name.removeprefix(share) for name in names if name.startswith(share)} == SHARED
    assert "gatecert/cli/command_reference.py" in names
