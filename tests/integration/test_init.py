"""``gatecert init`` without systemd and a server that it knows; tests/systemd has the rest."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import CommandResult, Gatecert
    from harness.pebble import Pebble

OTHER = ("--server", "other", "--address", "127.0.0.1")


@pytest.fixture
def beginning(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> Gatecert:
    """A configuration with a CA and no gateway."""
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names)
    gatecert.write()
    return gatecert


def init(gatecert: Gatecert, hostname: str, *options: str) -> CommandResult:
    return gatecert.run("init", "--yes", "--hostname", hostname, *OTHER, *options)


def test_a_gateway_is_added_and_enrolled(beginning: Gatecert, hostname: str) -> None:
    path = beginning.configuration_file
    path.write_text("# mine\n" + path.read_text("utf-8"), "utf-8")
    name = hostname.partition(".")[0]

    shown = init(beginning, hostname)

    assert shown.exit_code == 1, "nobody has put the lines into the server yet"
    assert f"{beginning.state_directory}/gateways/{name}/live/fullchain.pem" in shown.output
    assert "gatecert does not know this server" in shown.output
    text = path.read_text("utf-8")
    assert text.startswith("# mine\n")
    assert yaml.safe_load(text)["gateways"][name]["hostname"] == hostname
    certificate = beginning.certificate(name)
    assert certificate is not None
    assert certificate.issuer != certificate.subject

    again = init(beginning, hostname)

    assert "has this gateway already" in again.output
    assert path.read_text("utf-8") == text


def test_another_name_for_the_same_hostname_is_refused(beginning: Gatecert, hostname: str) -> None:
    init(beginning, hostname)

    refused = init(beginning, hostname, "--name", "elsewhere")

    assert refused.exit_code == 2
    assert "has the hostname" in refused.errors


def test_a_dry_run_writes_nothing(beginning: Gatecert, hostname: str, pebble: Pebble) -> None:
    settings = beginning.configuration["authorities"]
    next(iter(settings.values()))["staging_directory_url"] = pebble.directory_url
    beginning.write()
    before = beginning.configuration_file.read_bytes()

    shown = init(beginning, hostname, "--staging")

    assert shown.exit_code == 0, shown.output + shown.errors
    assert "nothing was written or changed" in " ".join(shown.output.split())
    assert beginning.configuration_file.read_bytes() == before


def test_no_at_the_last_question_changes_nothing(beginning: Gatecert, hostname: str) -> None:
    before = beginning.configuration_file.read_bytes()
    controller, terminal = pty.openpty()
    try:
        os.write(controller, b"not a name\n" + hostname.encode() + b"\nn\n")
        command = [sys.executable, "-m", "gatecert", "-c", str(beginning.configuration_file)]
        ended = subprocess.run(
            [*command, "init", *OTHER],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            timeout=60,
            check=False,
        )
        shown = os.read(controller, 1 << 16).decode()
    finally:
        os.close(controller)
        os.close(terminal)

    assert ended.returncode == 130
    assert "is not a valid host name label" in shown
    assert "Nothing is changed." in shown
    assert beginning.configuration_file.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (("--server", "iis"), "--server iis"),
        (("--challenge", "dns-02"), "--challenge dns-02"),
        (("--webroot", "nowhere"), "--webroot nowhere"),
        (("--name", "a/b"), "--name: "),
        (("--authority", "nobody"), "--authority nobody"),
    ],
)
def test_wrong_usage(
    options: tuple[str, ...], what: str, beginning: Gatecert, hostname: str
) -> None:
    refused = init(beginning, hostname, *options)

    assert refused.exit_code == 2
    assert what in refused.errors
    assert refused.errors.count("\n") == 1
