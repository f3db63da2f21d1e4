"""A command does its work even if nobody can read its output."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gatecert.cli import output, progress_lines
from gatecert.model import Stage


@pytest.fixture
def reloaded(tmp_path: Path) -> Path:
    return tmp_path / "reloaded"


@pytest.fixture
def configuration(tmp_path: Path, reloaded: Path) -> Path:
    gateway = {
        "hostname": "vpn.example.com",
        "mode": "custom",
        "install": {"reload": ["touch", str(reloaded)]},
    }
    written = {"state_directory": str(tmp_path / "state"), "gateways": {"vpn": gateway}}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.dump(written), "utf-8")
    return path


def start(configuration: Path, *arguments: str, **files: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gatecert", "-c", str(configuration), *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, **files)  # type: ignore[call-overload, no-any-return]


def test_certificate_is_installed_despite_a_closed_pipe(
    configuration: Path, reloaded: Path, tmp_path: Path
) -> None:
    process = start(configuration, "enroll", stdout=subprocess.PIPE)
    process.stdout.close()  # type: ignore[union-attr]

    _, errors = process.communicate(timeout=30)

    assert (process.returncode, errors) == (0, b"")
    assert reloaded.exists()
    assert (tmp_path / "state/gateways/vpn/live/fullchain.pem").exists()


def test_certificate_is_installed_despite_a_full_log_disk(
    configuration: Path, reloaded: Path
) -> None:
    with Path("/dev/full").open("wb") as full:
        process = start(configuration, "enroll", stdout=full)
        _, errors = process.communicate(timeout=30)

    assert (process.returncode, errors) == (0, b"")
    assert reloaded.exists()


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_closed_pipe_prints_no_error(configuration: Path, command: str) -> None:
    process = start(configuration, command, "--json", stdout=subprocess.PIPE)
    process.stdout.close()  # type: ignore[union-attr]

    _, errors = process.communicate(timeout=30)

    assert (process.returncode, errors) == (141, b"")


def test_unencodable_characters_are_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, "ascii"))

    output.prepare()
    progress_lines.ProgressLines()("vpn", Stage.CHECK, "münchen ✓")

    assert shown.getvalue() == b"vpn: check: m\\xfcnchen \\u2713\n"


def test_closed_standard_output_is_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    output.prepare()
    progress_lines.ProgressLines()("vpn", Stage.CHECK, "good")
    sys.stdout.close()
