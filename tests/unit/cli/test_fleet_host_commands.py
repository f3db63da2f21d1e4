"""Commands of the hosts and of the owner of a fleet, where there is no fleet."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from gatecert import cli

if TYPE_CHECKING:
    from pathlib import Path

OF_A_HOST = "the configuration has no fleet (add it as docs/fleet.md shows)\n"
OF_THE_OWNER = "the configuration has no fleet (add it as docs/fleet.md shows, or name --database"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("join", OF_A_HOST),
        ("leave", OF_A_HOST),
        ("export", OF_A_HOST),
        ("export --to exported", OF_A_HOST),
        ("reseal", OF_A_HOST),
        ("pause", f"{OF_THE_OWNER})"),
        ("resume", f"{OF_THE_OWNER})"),
        ("leave gw-a", f"{OF_THE_OWNER} and --cluster)"),
        ("leave --cluster hq", "name the hosts to remove behind gatecert fleet leave"),
        ("leave gw/a --cluster hq", "gw/a"),
    ],
)
def test_it_says_so_and_writes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    told: str,
) -> None:
    path, state = tmp_path / "config.yaml", tmp_path / "state"
    gateway = {"hostname": "vpn.example.com", "mode": "custom"}
    written = {"state_directory": str(state), "gateways": {"vpn": gateway}}
    path.write_text(yaml.dump(written), "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gatecert", "-c", str(path), "fleet", *command.split()])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    shown = capsys.readouterr()
    assert (ended.value.code, shown.out) == (2, "")
    assert told in shown.err
    assert list(tmp_path.iterdir()) == [path]
