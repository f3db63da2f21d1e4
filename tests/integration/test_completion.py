"""Completion in real shells: what stands on the line after Tab."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatecert.cli.completion_scripts import FILES
from harness.terminal import FORGET_LINE, TAB, TerminalProgram
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPTS = Path(__file__).parents[2] / "packaging/completions"
PROMPT = "ready> "

# How each shell is started so that it finds the script as it finds an installed one.
INSTALLED = {
    "bash": "data/bash-completion/completions/gatecert",
    "zsh": "zsh/_gatecert",
    "fish": "data/fish/vendor_completions.d/gatecert.fish",
}
START = {
    "bash": ["bash", "--noprofile", "--rcfile", "bashrc"],
    "zsh": ["zsh", "-i"],
    "fish": ["fish", "--private", "-C", ". ./fishrc"],
}
SETTINGS = {
    "bashrc": f". /usr/share/bash-completion/bash_completion; PS1='{PROMPT}'\n",
    ".zshrc": f"fpath=($PWD/zsh $fpath); autoload -U compinit; compinit -u -D; PS1='{PROMPT}'\n",
    "fishrc": f"function fish_prompt; echo -n '{PROMPT}'; end\n",
}
COMPLETED = {
    "enr": "enroll",
    "enroll --acc": "enroll --accept-untrusted",
    "client-ca rem": "client-ca remove",
    "-c config.yaml status bo": "-c config.yaml status boston",
    "--config=config.yaml status bo": "--config=config.yaml status boston",
    "status -c config.yaml bo": "status -c config.yaml boston",
    "-c config.yaml account show let": "-c config.yaml account show letsencrypt",
    "revoke boston --reason keyC": "revoke boston --reason keyCompromise",
    "status --check=t": "status --check=trusted",
    "-c conf": "-c config.yaml",
}


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(
        "authorities:\n"
        "  letsencrypt: {directory_url: letsencrypt, terms_of_service_agreed: true}\n"
        "gateways:\n"
        "  boston: {hostname: boston.example.com}\n"
        "  hq: {hostname: hq.example.com, mode: custom}\n",
        "utf-8",
    )
    return path


@pytest.fixture(params=list(START))
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TerminalProgram]:
    name: str = request.param
    command = tmp_path / "bin" / "gatecert"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m gatecert "$@"\n', "utf-8")
    command.chmod(0o755)
    script = tmp_path / INSTALLED[name]
    script.parent.mkdir(parents=True)
    shutil.copy(SCRIPTS / FILES[name], script)
    for file, text in SETTINGS.items():
        (tmp_path / file).write_text(text, "utf-8")
    environment = {
        **{key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ},
        "HOME": str(tmp_path),
        "ZDOTDIR": str(tmp_path),
        "XDG_DATA_DIRS": f"{tmp_path}/data:/usr/share",
        "LC_ALL": "C.UTF-8",
    }
    environment["PATH"] = f"{command.parent}:{environment['PATH']}"
    with TerminalProgram(START[name], tmp_path, environment) as running:
        running.wait_for(PROMPT.rstrip())
        yield running


@pytest.mark.usefixtures("configuration")
def test_words_are_completed(shell: TerminalProgram) -> None:
    for typed, completed in COMPLETED.items():
        shell.type(f"gatecert {typed}")
        shell.wait_for(f"gatecert {typed}")
        shell.type(TAB)
        shell.wait_for(f"gatecert {completed}")
        shell.type(FORGET_LINE)
        wait_until(lambda: not shell.shows(completed), "the line is empty")  # noqa: B023


def test_a_broken_configuration_disturbs_nobody(
    shell: TerminalProgram, configuration: Path
) -> None:
    configuration.write_text("gateways: [", "utf-8")
    shell.type(f"gatecert -c config.yaml status bo{TAB}")
    shell.type(f"{FORGET_LINE}gatecert enr{TAB}")
    shell.wait_for("gatecert enroll")
    assert not shell.shows("gatecert: ")
    assert not shell.shows("Traceback")
