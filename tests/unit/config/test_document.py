from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gatecert.config.document import key_path
from gatecert.config.include import read
from gatecert.errors import ConfigurationError


def complaint(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(path)
    (problem,) = caught.value.problems
    assert str(problem).isprintable()
    assert problem.where.startswith(str(path))
    return str(problem).removeprefix(str(path))


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", ": is empty; start from config.example.yaml"),
        (b"# nothing yet\n", ": is empty; start from config.example.yaml"),
        (b"---\n~\n", ": is empty; start from config.example.yaml"),
        (b"- a\n- b\n", ": holds a list; write keys and values"),
        (b"just words\n", ": holds plain text; write keys and values"),
        (b"\x7fELF\x02\x01\x00\xff\xfe", ":1: is not UTF-8 text"),
        (b"a: 1\nb: \xff\n", ":2: is not UTF-8 text; save it as UTF-8"),
        (b"a: 1\nb: \x00\n", ":2: is not a text file: it contains the control character U+0000"),
        (b"a: 1\n\tb: 2\n", ":2: cannot be read as YAML: "),
        (b"a: 1\n\tb: 2\n", "; indent with spaces, never tabs"),
        (b"a: b: c\n", ":1: cannot be read as YAML: the value contains a colon"),
        (b"a: 'open\n", ":1: cannot be read as YAML: the quote that opens here"),
        (b"a: @x\n", "text that starts with @ must be in quotes"),
        (b"[" * 1000, ":1: cannot be read: nested deeper than 32 levels"),
    ],
)
def test_other_yaml_documents_are_refused_in_one_line(
    tmp_path: Path, content: bytes, said: str
) -> None:
    assert said in complaint(written(tmp_path, content))


def test_a_file_that_is_far_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = written(tmp_path, b"a: 1\n")
    os.truncate(path, 1 << 40)
    assert complaint(path) == ": is larger than 64 MiB; this is not a gatecert configuration"


def test_syntax_errors_do_not_repeat_the_line(tmp_path: Path) -> None:
    assert "S3cr3t" not in complaint(written(tmp_path, b"a: 1\nkey: S3cr3t: @S3cr3t\n"))


def test_anything_but_a_file_is_refused(tmp_path: Path) -> None:
    assert "does not exist; start from config.example.yaml" in complaint(tmp_path / "none.yaml")
    assert "is a directory; name the file in it" in complaint(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "is not a regular file" in complaint(pipe)


def test_an_unreadable_file_is_refused_with_its_reason(tmp_path: Path) -> None:
    below = written(tmp_path, b"a: 1\n") / "config.yaml"
    assert complaint(below) == ": cannot be read: not a directory"
    assert "cannot be read: " in complaint(Path("/proc/self/mem"))


def test_a_file_without_read_permission_is_refused_with_a_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    path = written(tmp_path, b"a: 1\n")
    monkeypatch.setattr(os, "open", refuse)
    why = "cannot be read: permission denied; run it with sudo, or let this user read it"
    assert complaint(path) == f": {why}"


def test_a_world_writable_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, b"gateways: {}\n")
    path.chmod(0o646)
    assert "is world-writable" in complaint(path)
    path.chmod(0o644)
    assert read(path).plain() == {"gateways": {}}


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    assert read(written(tmp_path, b"\xef\xbb\xbfa: b\n")).plain() == {"a": "b"}


def test_lines_are_found_by_location(tmp_path: Path) -> None:
    document = read(written(tmp_path, b"# \na:\n  b:\n    - x\n    - c: y\n"))
    assert document.line(()) == 2
    assert document.line(("a", "b")) == 3
    assert document.line(("a", "b", 1, "c")) == 5
    assert document.line(("a", "missing", "c")) == 2
    assert document.line(("a", "b", 7)) == 3
    assert document.line(("a", "b", 0, "below text")) == 4


def test_yaml_problems_are_kept(tmp_path: Path) -> None:
    document = read(written(tmp_path, b"a: 1\na: 2\n"))
    (problem,) = document.problems
    assert problem.where == f"{document.path}:2"


def test_locations_are_formatted_with_dots_and_brackets() -> None:
    assert key_path(("gateways", "boston", "verify", 0)) == "gateways.boston.verify[0]"
    assert key_path(()) == ""
    assert key_path(("a\nb",)) == "a b"
