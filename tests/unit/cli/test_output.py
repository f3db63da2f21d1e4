"""A command does its work even if nobody can read its output."""

from __future__ import annotations

import ast
import io
import re
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


PRINTS = re.compile(
    r"print\(|typer\.s?echo\(|click\.|rich\.|\S*\.print_(exc|exception|stack|last|tb)\("
    r"|\S*(stdout|stderr)_*\.(write|buffer)|os\.write\([12],"
)
WRITERS = {"cli/output.py", "report/terminal.py"}


def prints(tree: ast.Module) -> list[str]:
    """Return the calls that print, except where a module is run to make a document."""
    body = [each for each in tree.body if "__main__" not in ast.unparse(each)]
    nodes = [node for each in body for node in ast.walk(each)]
    calls = [ast.unparse(node) for node in nodes if isinstance(node, ast.Call)]
    return list(filter(PRINTS.match, calls))


def test_everything_is_printed_by_the_writer_that_cleans_it() -> None:
    package = Path(output.__file__).parents[1]
    found = {
        str(path.relative_to(package)): printed
        for path in package.rglob("*.py")
        if (printed := prints(ast.parse(path.read_text("utf-8"))))
    }
    assert {name: found[name] for name in found if name not in WRITERS} == {}


@pytest.mark.parametrize(
    "line",
    [
        "print(x)",
        "typer.echo(x, err=True)",
        "sys.stderr.write(x)",
        "sys.__stdout__.buffer.write(x)",
        "os.write(1, x)",
        "traceback.print_exc()",
        "rich.print(x)",
    ],
)
def test_a_print_past_the_writer_is_found(line: str) -> None:
    assert prints(ast.parse(line)) == [line]


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
