"""Output files of commands: files, links, pipes and directories."""

from __future__ import annotations

import logging
import os
import stat
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import yaml

from gatecert import cli
from gatecert.doctor import report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROOT = b"-----BEGIN CERTIFICATE-----\n"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    gateway = {"hostname": "vpn.example.com", "mode": "custom"}
    written = {"state_directory": str(tmp_path / "state"), "gateways": {"vpn": gateway}}
    configuration = tmp_path / "config.yaml"
    configuration.write_text(yaml.dump(written), "utf-8")

    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)  # pytest's handlers stay
    monkeypatch.setattr("gatecert.cli.doctor_command.gather_facts", lambda *_: (None, ()))
    monkeypatch.setattr("gatecert.cli.doctor_command.run_checks", lambda *_: ())

    def command(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["gatecert", "-c", str(configuration), *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.run()
        return int(ended.value.code or 0)

    return command


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def read_after(pipe: Path, action: Callable[[], int]) -> tuple[int, bytes]:
    """Run an action, and return what it wrote to the pipe."""
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return action(), os.read(descriptor, 65536)
    finally:
        os.close(descriptor)


def test_profile_is_written_to_a_pipe_without_replacing_it(
    run: Callable[..., int], pipe: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(pipe)
    for output in (pipe, link):
        code, told = read_after(pipe, lambda: run("profile", "vpn", "--output", str(output)))  # noqa: B023 - called at once
        assert (code, b"vpn.example.com" in told) == (0, True)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert link.is_symlink()


def test_profile_is_written_to_the_target_of_a_link(
    run: Callable[..., int], tmp_path: Path
) -> None:
    link, file = tmp_path / "link", tmp_path / "profile.xml"
    link.symlink_to(file)
    for before in (None, "old"):
        if before is not None:
            file.write_text(before)
        assert run("profile", "vpn", "--output", str(link)) == 0
        assert link.is_symlink()
        assert "vpn.example.com" in file.read_text("utf-8")


def test_profile_cannot_replace_a_directory(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("profile", "vpn", "--output", str(tmp_path)) == 1
    assert f"cannot write {tmp_path}: Is a directory" in capsys.readouterr().err


def test_root_is_exported_to_a_pipe(
    run: Callable[..., int], pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "roots_pem", lambda _: ROOT)
    _, told = read_after(pipe, lambda: run("doctor", "--export-root", str(pipe)))
    assert told == ROOT


def test_exported_root_replaces_a_longer_file(
    run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "roots_pem", lambda _: ROOT)
    file = tmp_path / "root.pem"
    file.write_bytes(ROOT * 2)
    run("doctor", "--export-root", str(file))
    assert file.read_bytes() == ROOT


def test_no_file_remains_without_a_root(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, kept = tmp_path / "root.pem", tmp_path / "kept.pem"
    kept.touch()
    for each in (file, kept):
        assert run("doctor", "--export-root", str(each)) == 1
        assert "no root is known, so nothing was written" in capsys.readouterr().err
    assert not file.exists()
    assert kept.exists()


def test_output_to_an_inherited_descriptor(run: Callable[..., int], pipe: Path) -> None:
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(pipe, os.O_WRONLY)
    try:
        assert run("profile", "vpn", "--output", f"/dev/fd/{writer}") == 0
        assert b"vpn.example.com" in os.read(reader, 65536)
        os.fstat(writer)
    finally:
        os.close(writer)
        os.close(reader)


@pytest.mark.parametrize("command", [("profile", "vpn", "--output"), ("doctor", "--export-root")])
def test_a_pipe_that_nobody_reads_is_an_error(
    run: Callable[..., int],
    pipe: Path,
    command: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(*command, str(pipe)) == 1
    assert "start the reader first" in capsys.readouterr().err


@pytest.mark.parametrize("command", [("profile", "vpn", "--output"), ("doctor", "--export-root")])
@pytest.mark.parametrize("kind", ["pipe", "other name of a file"])
def test_nothing_is_written_into_what_others_may_have_put_there(
    run: Callable[..., int],
    tmp_path: Path,
    command: tuple[str, ...],
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(report, "roots_pem", lambda _: ROOT)
    directory = tmp_path / "of-everybody"
    directory.mkdir()
    directory.chmod(0o1777)
    file = directory / "file"
    if kind == "pipe":
        os.mkfifo(file)
    else:
        (tmp_path / "elsewhere").touch()
        file.hardlink_to(tmp_path / "elsewhere")
    before = file.stat()

    with read_end(file):
        code = run(*command, str(file))

    if command[0] == "profile" and stat.S_ISREG(before.st_mode):
        assert (code, file.stat().st_nlink) == (0, 1)  # replaced
        assert not (tmp_path / "elsewhere").read_bytes()
        return
    assert code == 1
    assert "may have been put there by every user" in capsys.readouterr().err
    assert os.path.samestat(before, file.stat())
    assert file.stat().st_size == 0


@contextmanager
def read_end(path: Path) -> Iterator[None]:
    """Keep a file or a pipe open for reading."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield
    finally:
        os.close(descriptor)
