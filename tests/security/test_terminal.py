"""Text of others on root's terminal: state files, configuration, names, arguments."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from harness.pebble import Pebble, PebbleOptions
from harness.terminal import TerminalProgram

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack
    from pathlib import Path

    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert

FORGED: Final = "gatecert: all is well"
HOSTILE: Final = (
    "\x1b]0;owned\x07 \x1b[2J\x1b[8m \x9b31m \x1b[32mgreen \x7f\x08\x08"
    " \u202eesrever\u202c \u2066\u200b\ufeff"
    f"\r{FORGED}\r\n{FORGED}\n{FORGED}\x0b{FORGED}\x85{FORGED}\u2028{FORGED}\u2029{FORGED}"
)
WORDS: Final = {
    "authority", "code", "contact", "detail", "error", "explanation_url", "fix", "next_action",
    "notes", "order_url", "reason", "url", "warning",
}  # fmt: skip
OWN: Final = re.compile(r"\x1b\[(?:[0-9]{1,2}(?:;[0-9]{1,2})*m|[0-9]*[FHJK]|\?(?:25|1049)[hl])")
STATUS: Final = [
    ["status"],
    ["status", "boston"],
    ["status", "--check=trusted"],
    ["doctor", "--all"],
    ["account", "show"],
    ["revoke", "boston"],
    ["enroll", "--force"],
]
JSON: Final = [["status", "--json"], ["doctor", "--json"], ["account", "show", "--json"]]
ARGUMENTS: Final = [
    ["status", HOSTILE],
    ["enroll", HOSTILE],
    ["check", f"--{HOSTILE}"],
    [HOSTILE],
    ["-c", HOSTILE, "check"],
    ["import", "boston", "--certificate", HOSTILE, "--chain", HOSTILE],
    ["revoke", "boston", "--reason", HOSTILE],
    ["--debug", "-c", HOSTILE, "run"],
]


def spoiled(value: Any, key: str = "") -> Any:  # noqa: ANN401 - any JSON
    """Return JSON with hostile words wherever a person may read some."""
    if isinstance(value, dict):
        return {name: spoiled(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [spoiled(each, key) for each in value] or ([HOSTILE] if key in WORDS else [])
    return f"{value}{HOSTILE}" if isinstance(value, str) and key in WORDS else value


def assert_clean(output: str) -> None:
    """Assert that text neither controls a terminal nor forges a line."""
    bad = {character for character in output if not (character.isprintable() or character == "\n")}
    assert not bad, ascii(output)
    assert not re.search(f"^ ?{FORGED}", output, re.MULTILINE), output


def assert_clean_terminal(gatecert: Gatecert, *arguments: str, interrupt: str = "") -> None:
    """Run a command on a terminal; assert that it writes only the control sequences of its own."""
    with TerminalProgram(
        [*gatecert.command, *arguments],
        gatecert.configuration_file.parent,
        {**environment(), "LC_ALL": "C.UTF-8"},
        columns=100,
    ) as program:
        if interrupt:
            program.wait_for(interrupt)
            program.type("\x03")
        program.wait()
        received, title = program.received.decode(), program.title
    assert_clean(OWN.sub("", received).replace("\r\n", "\n"))
    assert "\x1b[32mgreen" not in received
    assert title != "owned"


def environment() -> Mapping[str, str]:
    return {key: os.environ[key] for key in ("PATH", "PYTHONPATH") if key in os.environ}


@pytest.fixture
def pebble(servers: ExitStack, names: ChallengeTestServer, tmp_path: Path) -> Pebble:
    """A CA that validates each order anew."""
    options = PebbleOptions(reused_authorizations=0)
    return servers.enter_context(
        Pebble(tmp_path / "pebble", dns_server=names.address, options=options)
    )


@pytest.fixture
def boston(gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer) -> Gatecert:
    """An enrolled gateway whose last attempt failed, and what the service's user made of its state.

    The text counts, not who owns the file, so this user writes it.
    """
    names.point("boston.example.com", "127.0.0.1")
    gatecert.use(pebble, names).add_gateway("boston", "boston.example.com").write()
    assert gatecert.run("enroll").exit_code == 0
    gatecert.configuration["challenges"] = {"http-01": {"listen": ["127.0.0.1:1"]}}
    gatecert.write()
    assert gatecert.run("enroll", "--force").exit_code == 1
    for path in gatecert.state_directory.rglob("*.json"):
        path.write_text(json.dumps(spoiled(json.loads(path.read_text("utf-8")))), "utf-8")
    return gatecert


@pytest.mark.attack("writes escape sequences and forged lines into state files that root shows")
def test_state_files_control_no_terminal(boston: Gatecert) -> None:
    kept = saved(boston.state_directory)
    shown = ""
    for arguments in STATUS:
        told = boston.run(*arguments)
        shown += told.output + told.errors
        assert_clean(told.output)
        assert_clean(told.errors)
        restore(boston.state_directory, kept)
        assert_clean_terminal(boston, *arguments)
        restore(boston.state_directory, kept)
    assert_clean_terminal(boston, "status", "--watch", interrupt="boston")
    assert "esrever" in shown, "the attack is not one"


@pytest.mark.attack("writes control characters into state files that scripts read as JSON")
@pytest.mark.parametrize("arguments", JSON, ids=" ".join)
def test_json_is_escaped(boston: Gatecert, arguments: list[str]) -> None:
    told = boston.run(*arguments)
    assert told.json()
    assert_clean(told.output)
    assert told.output.isascii()


@pytest.mark.attack("has the daemon log escape sequences and forged entries from state files")
def test_the_log_of_the_daemon_is_clean(boston: Gatecert, names: ChallengeTestServer) -> None:
    names.point("boston.example.com", "127.0.0.2")
    before = len(boston.process.output)
    boston.use_debug()
    boston.start()
    boston.wait_for(lambda: "gateway=boston" in boston.process.output, "the first pass")
    boston.process.stop()
    assert_clean(boston.process.output[before:])


@pytest.mark.attack("hands root a command line, a file name or a configuration with such text")
def test_arguments_and_configuration_control_no_terminal(gatecert: Gatecert) -> None:
    gatecert.add_gateway("boston", "boston.example.com", mode="custom", install={}).write()
    for arguments in ARGUMENTS:
        told = gatecert.run(*arguments)
        assert told.exit_code in {1, 2}, told
        assert_clean(told.output + told.errors)
        assert_clean_terminal(gatecert, *arguments)
    for key in ("state_directory", HOSTILE):
        configuration = {**gatecert.configuration, key: f"/nonexistent/{HOSTILE}"}
        text = json.dumps(configuration)
        gatecert.configuration_file.write_text(text, "utf-8")
        for command in ("check", "status", "doctor", "run"):
            told = gatecert.run(command)
            assert told.exit_code, told
            assert_clean(told.output + told.errors)
    gateway = {"hostname": f"x{HOSTILE}", "install": {"reload": [HOSTILE]}}
    text = json.dumps({**gatecert.configuration, "gateways": {"boston": gateway, HOSTILE: {}}})
    gatecert.configuration_file.write_text(text, "utf-8")
    assert_clean(gatecert.run("check").errors)
    assert_clean_terminal(gatecert, "check")


def saved(directory: Path) -> dict[Path, str]:
    """Return the state files."""
    return {path: path.read_text("utf-8") for path in directory.rglob("*.json")}


def restore(directory: Path, kept: dict[Path, str]) -> None:
    """Write the state files as the attacker left them, and no others."""
    for path, text in kept.items():
        if path.parent.exists():
            path.write_text(text, "utf-8")
    assert directory.exists()
