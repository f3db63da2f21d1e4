from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gatecert.store import durable
from gatecert.store.layout import Layout, is_safe_name


@pytest.mark.parametrize("name", ["boston", "hq-2", "a.b_c", "北京", "with space", "x" * 200])
def test_safe_names(name: str) -> None:
    assert is_safe_name(name)
    assert Layout(Path("/s")).gateway(name) == Path("/s/gateways") / name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "a/b",
        "../x",
        "/etc",
        "a\0b",
        "a\nb",
        "x" * 201,
        "\u202eb",
        "\udc80",
    ],
)
def test_unsafe_names(name: str) -> None:
    layout = Layout(Path("/s"))
    assert not is_safe_name(name)
    for make in (layout.gateway, layout.account, layout.versions, layout.requests):
        with pytest.raises(ValueError, match="cannot be the name"):
            make(name)


def test_a_group_can_read_the_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Path] = []
    monkeypatch.setattr(os, "chown", lambda path, _user, _group: given.append(path))
    layout = Layout(tmp_path / "state")
    layout.make(layout.versions("boston"))
    layout.grant_group_access("boston", str(os.getegid() + 1))
    way = [layout.gateways, layout.gateway("boston"), layout.versions("boston")]
    assert given == way, "the state directory itself keeps its group"
    assert {stat.S_IMODE(directory.stat().st_mode) for directory in way} == {0o750}
    assert stat.S_IMODE(layout.state.stat().st_mode) == 0o701


def test_everything_else_is_private(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    for directory in (layout.challenges, layout.account("le"), layout.requests("boston")):
        layout.make(directory)
    made = [directory for directory in tmp_path.rglob("*") if directory.is_dir()]
    assert len(made) == 7
    assert {stat.S_IMODE(directory.stat().st_mode) for directory in made} == {0o700}
    assert durable.subdirectories(tmp_path) == [layout.state]
