"""Commands of the hosts and of the owner of a fleet, where there is no fleet."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

from gatecert import cli

if TYPE_CHECKING:
    from pathlib import Path

OF_A_HOST = "the configuration has no fleet (add it as docs/fleet.md shows)\n"
AS_ANY_USER = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")  # for root
NO_SERVER = "postgresql:///gatecert?host=/nowhere"
AS_INSTALLED = """
import sys
from gatecert.cli import options
options.DEFAULT_CONFIGURATION = sys.argv.pop(1)
from gatecert import cli
cli.run()
"""
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
        ("join --wait -1", "'--wait': Input should be greater than or equal to 0"),
        ("join --wait nan", "'--wait': Input should be greater than or equal to 0"),
        ("leave gw-a --cluster=", "is empty; set the shell variable"),
        ("init gw-a --cluster= --database postgresql:///gatecert", "'--cluster': is empty; set"),
        ("init gw-a --cluster hq --database=", "'--database': is empty; set"),
        ("migrate --database=", "'--database': is empty; set"),
        ("pause --database=", "'--database': is empty; set"),
        ("status --database=", "'--database': is empty; set"),
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


def run_beside_secret_files(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user who may not search the directory of the usual configuration."""
    directory.chmod(0)
    command = (sys.executable, "-c", AS_INSTALLED, str(directory / "config.yaml"), *arguments)
    return subprocess.run(
        (*AS_ANY_USER, *command) if os.geteuid() == 0 else command,
        text=True,
        check=False,
        capture_output=True,
    )


def test_a_usual_configuration_that_the_owner_may_not_see_is_none(tmp_path: Path) -> None:
    done = run_beside_secret_files(tmp_path, "fleet", "status", "--database", NO_SERVER)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("gatecert: the login to the database on /nowhere failed")


def test_a_named_configuration_that_the_owner_may_not_see_is_an_error(tmp_path: Path) -> None:
    named = str(tmp_path / "other.yaml")
    done = run_beside_secret_files(
        tmp_path, "-c", named, "fleet", "status", "--database", NO_SERVER
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"gatecert: {named}: cannot be read: permission denied")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "fix"),
    [
        (f"init gw-z --database {NO_SERVER}", "name --database, --cluster and the hosts"),
        (f"leave gw-z --database {NO_SERVER}", "name --database and --cluster"),
        ("migrate", "name --database"),
        ("resume", "name --database"),
    ],
)
def test_without_a_configuration_the_owner_is_told_what_to_name(
    tmp_path: Path, command: str, fix: str
) -> None:
    done = run_beside_secret_files(tmp_path, "fleet", *command.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"gatecert: {tmp_path / 'config.yaml'} does not exist, or this user may not read it "
        f"({fix}, or name the file with -c)\n"
    )
