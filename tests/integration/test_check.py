"""Tests of what `gatecert check` refuses, and what the daemon does with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

BOSTON, PARIS = "boston", "paris"


def test_the_daemon_enrols_with_what_check_refuses(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    for name in (hostname, "paris.example.com"):
        names.point(name, "127.0.0.1")
    gatecert.use(pebble, names)
    gatecert.configuration["authorities"]["letsencrypt"] = {
        "contact": ["ops@example.com"],
        "terms_of_service_agreed": True,
    }
    gatecert.add_gateway(BOSTON, hostname, region="UK", authorities=["pebble"])
    reload = {"reload": ["systemctl reload ocserv"]}
    gatecert.add_gateway(PARIS, "paris.example.com", install=reload, authorities=["pebble"])
    gatecert.add_gateway("rome", "rome.gatecert-tests.net", authorities=["letsencrypt"])
    gatecert.configuration["challenges"]["http-01"]["listen"] = ["127.0.0.1:888"]
    gatecert.write()

    refused = gatecert.run("check")

    assert (refused.exit_code, refused.output) == (2, "")
    lines = gatecert.configuration_file.read_text("utf-8").splitlines()
    found = {}
    for problem in refused.errors.splitlines():
        _, place, key, _ = problem.split(": ", 3)
        line = int(place.removeprefix(f"{gatecert.configuration_file}:"))
        found[key] = lines[line - 1].strip()
    assert found == {
        "authorities.letsencrypt.contact[0]": "- ops@example.com",
        f"gateways.{BOSTON}.region": "region: UK",
        f"gateways.{PARIS}.install.reload[0]": "- systemctl reload ocserv",
        "gateways.rome.addresses[0]": "- 127.0.0.1",
    }
    assert "write GB" in refused.errors
    assert "write a list: [systemctl, reload, ocserv]" in refused.errors

    del (
        gatecert.configuration["gateways"]["rome"],
        gatecert.configuration["authorities"]["letsencrypt"],
    )
    gatecert.use(pebble, names).start()
    gatecert.wait_enrolled(BOSTON)
    gatecert.wait_for(lambda: gatecert.last_error(PARIS) == "reload-failed", "the failed reload")


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("\tregion: de", "a tab indents this line; indent with spaces, never tabs"),
        ("     region: de", "this line is indented below line 3, which has a value already"),
        ("    alternative_names: [*.company.com]", "text that starts with * must be in quotes"),
        ("    region: @de", "text that starts with @ must be in quotes"),
        ("    region: %de", "text that starts with % must be in quotes"),
        ("    region:de", "a space is missing after the colon; write region: and then the value"),
        ("    region: 'de", "the quote that opens here is not closed; add the second one"),
        ("    alternative_names: [a.company.com", "the [ that opens here is not closed; add ]"),
        ("    hostname: b.company.com", "the key hostname is already written in line 3"),
    ],
)
@pytest.mark.parametrize("command", ["check", "run"])
def test_mistakes_in_yaml_are_told_in_one_line(
    gatecert: Gatecert, line: str, what: str, command: str
) -> None:
    written = f"gateways:\n  vpn:\n    hostname: a.company.com\n{line}\n    mode: custom\n"
    gatecert.configuration_file.write_text(written, "utf-8")

    result = gatecert.run(command)

    assert (result.exit_code, result.output) == (2, "")
    (told,) = result.errors.splitlines()
    assert told.startswith(f"gatecert: {gatecert.configuration_file}:4: ")
    assert what in told
