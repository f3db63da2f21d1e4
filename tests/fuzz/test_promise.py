"""The properties are worth something only if each promise can be broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fuzz import long
from tests.fuzz.promise import Hang, check_line, counter, promised, refused_properly
from tests.fuzz.source import Source, binary, just

from gatecert.errors import GatecertError

if TYPE_CHECKING:
    from pathlib import Path


@promised(binary(4))
def breaks(data: bytes) -> None:
    if len(data) > 2:
        raise ValueError("a bug")


@promised(just(0))
def hangs(_: int) -> None:
    while True:
        pass


@promised(just(0))
def keeps(_: int) -> None:
    with refused_properly():
        raise GatecertError("it is refused", fix="do something else")


def test_a_bug_is_found_by_hypothesis_and_shown_with_its_input() -> None:
    with pytest.raises(ValueError, match="a bug") as found:
        breaks()
    assert any("breaks of [b" in note for note in found.value.__notes__)


def test_a_hang_is_interrupted() -> None:
    with pytest.raises(Hang):
        hangs.try_input(b"", seconds=0.05)


def test_what_keeps_its_promise_is_counted() -> None:
    before = counter.number
    keeps.try_input(b"")
    assert counter.number == before + 1


@pytest.mark.parametrize("line", ["", " ", "two\nlines", "\x1b[2J", "a" * 100_001])
def test_a_message_that_may_not_be_shown(line: str) -> None:
    with pytest.raises(AssertionError):
        check_line(line)
    with pytest.raises(AssertionError), refused_properly():
        raise GatecertError(line)


def test_octets_that_have_ended_decide_for_the_plainest() -> None:
    source = Source(b"\x01")
    assert source.choice("abc") == "b"
    assert source.choice("abc") == "a"
    assert (source.integer(5, 70_000), source.binary(9), source.text(9)) == (5, b"", "")


@pytest.mark.parametrize(("name", "failed"), [("breaks", True), ("keeps", False)])
def test_the_long_run_tells_which_promise_was_broken(
    name: str, tmp_path: Path, *, failed: bool
) -> None:
    result = long.run_one(f"promise:{name}", 3000, 60.0, tmp_path)

    assert result.failed is failed
    if failed:
        assert result.inputs < 3000
        assert "a bug" in (tmp_path / f"promise-{name}" / "log").read_text("utf-8")
    else:
        assert result.inputs >= 3000
    assert ("**broken**" in long.tabulate([result])) is failed
