"""``gatecert enroll`` as an operator and a program see it."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from harness.terminal import INTERRUPT, TerminalProgram

if TYPE_CHECKING:
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

PLAIN = {"NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
SECONDS = re.compile(r"\d+(\.\d+)? s|:\d{4,5}")


def on_terminal(gatecert: Gatecert, *arguments: str, columns: int = 80) -> TerminalProgram:
    """Return a command on a terminal."""
    environment = {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}
    command = [*gatecert.command, *arguments]
    directory = gatecert.configuration_file.parent
    return TerminalProgram(command, directory, {**environment, **PLAIN}, columns=columns)


def shown(program: TerminalProgram) -> list[str]:
    """Return what stays on the screen, without seconds and ports."""
    return [SECONDS.sub("N", line) for line in program.lines if line]


@pytest.fixture
def boston(gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer) -> Gatecert:
    """A gateway, not yet enrolled."""
    names.point("boston.example.com", "127.0.0.1")
    gateway = {"install": {"reload": ["true"]}}
    return gatecert.use(pebble, names).add_gateway("boston", "boston.example.com", **gateway)


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_shows_the_stages_and_what_to_do_next(boston: Gatecert, columns: int) -> None:
    with on_terminal(boston.write(), "enroll", columns=columns) as program:
        assert program.wait() == 0
        lines = shown(program)

    assert lines[:8] == [
        "  resolve  looking up boston.example.com",
        "  resolve  boston.example.com resolves to 127.0.0.1, this gateway (N)",
        "  order    ordering from pebble",
        "  order    order placed with CA pebble (127.0.0.1N)",
        "  order    proving control of boston.example.com by http-01",
        "  order    names validated, requesting the certificate",
        "  order    certificate issued by CA pebble (127.0.0.1N) (N)",
        "  install  reloading the gateway (N)",
    ]
    assert lines[8].startswith("✓ boston: enrolled: the certificate of boston.example.com is")
    assert lines[-1].startswith(("Done. → start", "  "))
    assert all(len(line) <= columns for line in lines)


def test_an_interrupt_leaves_a_deployment_that_continues(boston: Gatecert) -> None:
    install = boston.configuration["gateways"]["boston"]["install"]
    install["reload"] = ["sleep", "60"]
    with on_terminal(boston.write(), "enroll", columns=120) as program:
        program.wait_for("install: waiting for the reload command  1/30 s")
        program.type(INTERRUPT)
        assert program.wait() == 130
        lines = shown(program)

    kept = re.compile(
        "boston: interrupted: keeps its certificate, which ends .*; its deployment is not finished"
    )
    assert any(kept.fullmatch(line) for line in lines)
    assert (
        "Interrupted; every file is whole. → gatecert enroll boston continues where this stopped"
        in lines
    )

    install["reload"] = ["true"]
    result = boston.write().run("enroll")
    assert result.exit_code == 0, result.errors
    assert "boston: deployed: the certificate of boston.example.com is installed" in result.output


def test_programs_read_events(boston: Gatecert, tmp_path: Path) -> None:
    result = boston.write().run("enroll", "--json")
    assert (result.exit_code, result.errors) == (0, "")
    events = [json.loads(line) for line in result.output.splitlines()]
    assert {each["schema"] for each in events} == {1}
    kinds = [each["event"] for each in events]
    assert kinds[-2:] == ["outcome", "end"]
    assert events[-2]["outcome"] == "enrolled"
    assert events[-1]["exit_code"] == 0
    waits = {each["waits_for"] for each in events if each["event"] == "wait"}
    assert "pebble to validate boston.example.com" in waits

    boston.configuration["authorities"]["pebble"]["ca_bundle"] = str(tmp_path / "none.pem")
    failed = boston.write().run("enroll", "--force", "--json", "--quiet")
    assert failed.exit_code == 2
    assert failed.output == ""
    assert failed.errors.startswith("gatecert: ")
