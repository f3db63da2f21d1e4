"""Properties of systemd units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.deploy.unit_properties import MOST_AT_ONCE, parse, show

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class SystemctlShow:
    """Answers like ``systemctl show``, and records its arguments."""

    def __init__(self, *, answers: bool = True) -> None:
        self.calls: list[Sequence[str]] = []
        self._answers = answers

    def __call__(self, argv: Sequence[str]) -> str:
        self.calls.append(argv)
        units = argv[argv.index("--") + 1 :] if self._answers else []
        return "\n\n".join(f"Id={unit}\nLoadState=loaded" for unit in units) + "\n"


def test_blocks_are_properties_and_repeated_lines_are_kept() -> None:
    output = (
        "Id=a.path\nPaths=/one (PathExists)\nPaths=/two (PathChanged)\n\nId=b\nEnvironment=A=b\n"
    )

    assert parse(output) == [
        {"Id": "a.path", "Paths": "/one (PathExists)\n/two (PathChanged)"},
        {"Id": "b", "Environment": "A=b"},
    ]
    assert parse("") == []


def test_one_call_asks_for_all_units(tmp_path: Path) -> None:
    run = SystemctlShow()

    shown = show(["a.path", "b.service"], ["LoadState"], booted=tmp_path, run=run)

    assert [each["Id"] for each in shown] == ["a.path", "b.service"]
    assert run.calls == [
        ["systemctl", "show", "--property=Id,LoadState", "--", "a.path", "b.service"]
    ]


def test_a_pattern_stands_for_any_number_of_units(tmp_path: Path) -> None:
    found = show(["a@*"], ["Id"], booted=tmp_path, run=lambda _: "Id=a@1\n\nId=a@2\n")

    assert [each["Id"] for each in found] == ["a@1", "a@2"]


def test_very_many_units_are_asked_for_in_several_calls(tmp_path: Path) -> None:
    run, units = SystemctlShow(), [f"unit{number}.service" for number in range(MOST_AT_ONCE + 1)]

    assert [each["Id"] for each in show(units, ["Id"], booted=tmp_path, run=run)] == units
    assert len(run.calls) == 2


def test_nothing_is_known_without_systemd(tmp_path: Path) -> None:
    run = SystemctlShow()

    assert show(["a.service"], ["LoadState"], booted=tmp_path / "missing", run=run) == []
    assert show([], ["LoadState"], booted=tmp_path, run=run) == []
    assert run.calls == []


def test_nothing_is_known_if_systemd_cannot_be_asked(tmp_path: Path) -> None:
    run = SystemctlShow(answers=False)

    assert show(["a.service"], ["LoadState"], booted=tmp_path, run=run) == []
