"""Options before and after the command, and the commands of other clients."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from gatecert.cli import run
from gatecert.cli.lazy_group import COMMANDS
from gatecert.cli.options import Options, daemon_options
from gatecert.cli.other_words import LEADS_TO, advice

if TYPE_CHECKING:
    from pathlib import Path


RENEW = (
    "gatecert: gatecert has no command 'renew': use gatecert enroll;"
    " gatecert run renews by itself\n"
)


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr("sys.argv", ["gatecert", *arguments])
    with pytest.raises(SystemExit) as ended:
        run()
    return ended.value.code


@pytest.fixture
def configuration(tmp_path: Path) -> str:
    path = tmp_path / "config.yaml"
    path.write_text(
        f"state_directory: {tmp_path / 'state'}\n"
        "gateways: {hq: {hostname: hq.example.com, mode: custom, install: {reload: ['true']}}}\n",
        "utf-8",
    )
    return str(path)


@pytest.mark.parametrize("behind", [False, True])
def test_options_may_stand_before_and_behind_the_command(
    behind: bool,  # noqa: FBT001 - a parameter of the test
    configuration: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["-c", configuration, "-q"]
    arguments = ["enroll", *options] if behind else [*options, "enroll"]
    assert run_command(monkeypatch, *arguments) == 0
    assert capsys.readouterr() == ("", "")


def test_options_may_stand_behind_the_command_of_a_group(
    configuration: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (
        ["client-ca", "list", "hq", "--config", configuration],
        ["client-ca", "-c", configuration, "list", "hq"],
    ):
        assert run_command(monkeypatch, *arguments) == 0
        assert "no client CA" in capsys.readouterr().out


def test_verbose_logs_what_is_done(
    configuration: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(monkeypatch, "-c", configuration, "enroll", "-v") == 0
    assert " INFO " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["run"], Options("/etc/gatecert/config.yaml")),
        (["run", "-q"], Options("/etc/gatecert/config.yaml", quiet=True)),
        (["-v", "-c", "a", "run", "--debug"], Options("a", debug=True, verbose=True)),
        (["run", "--config=b", "--quiet", "--verbose"], Options("b", quiet=True, verbose=True)),
        (["run", "run"], None),
        (["run", "-c"], None),
        (["run", "--help"], None),
        (["enroll", "-q"], None),
        ([], None),
    ],
)
def test_the_daemon_starts_without_typer_if_it_is_meant(
    arguments: list[str], options: Options | None
) -> None:
    assert daemon_options(arguments) == options


@pytest.mark.parametrize(
    ("options", "of_daemon", "of_command"),
    [
        (Options("c"), logging.INFO, logging.WARNING),
        (Options("c", quiet=True), logging.WARNING, logging.ERROR),
        (Options("c", verbose=True), logging.INFO, logging.INFO),
        (Options("c", quiet=True, debug=True), logging.DEBUG, logging.DEBUG),
    ],
)
def test_options_choose_the_level_of_the_log(
    options: Options, of_daemon: int, of_command: int
) -> None:
    assert options.level(logging.INFO) == of_daemon
    assert options.level(logging.WARNING) == of_command


@pytest.mark.parametrize("arguments", [["renew"], ["renew", "--force"], ["-q", "renew"]])
def test_a_command_of_another_client_leads_to_the_right_one(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(monkeypatch, *arguments) == 2
    assert capsys.readouterr() == ("", RENEW)


def test_options_of_acme_sh_lead_to_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(monkeypatch, "--issue", "-d", "vpn.example.com") == 2
    assert capsys.readouterr().err == (
        "gatecert: gatecert has no command '--issue': use gatecert enroll\n"
    )


def test_options_of_acme_sh_may_be_options_of_a_command(
    configuration: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(monkeypatch, "-c", configuration, "csr", "hq", "--renew") == 0
    assert "BEGIN CERTIFICATE REQUEST" in capsys.readouterr().out


def test_no_command_of_another_client_hides_one_of_gatecert() -> None:
    assert COMMANDS.keys().isdisjoint(LEADS_TO)
    assert advice("nonsense") == ""


def test_help_is_the_help_of_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(monkeypatch, "help") == 0
    assert "Commands:" in capsys.readouterr().out
    assert run_command(monkeypatch, "help", "client-ca", "add") == 0
    assert "client-ca add" in capsys.readouterr().out
    assert run_command(monkeypatch, "help", "nonsense") == 2
    assert "No such command 'nonsense'" in capsys.readouterr().err
