"""Mistakes in YAML: the line to change, and what to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.config.load import load
from gatecert.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
authorities:
  private:
    directory_url: https://ca.internal/directory
    # The terms
    terms_of_service_agreed: true
gateways:
  vpn:
    hostname: vpn.company.com
    install:
      reload: [systemctl, reload, ocserv]
"""
HOSTNAME, RELOAD = "vpn.company.com", "[systemctl, reload, ocserv]"
NAMES = "    alternative_names:"
COLUMN = "all keys of a group start in the same column"
CLOSED = "that opens here is not closed; add"
STARTS = "text that starts with"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def complaint(file: Path, written: str) -> str:
    file.write_text(written, "utf-8")
    with pytest.raises(ConfigurationError) as raised:
        load(file, check_files=False)
    return str(raised.value.problems[0]).removeprefix(f"{file}:")


def test_the_file_that_the_mistakes_are_made_in_is_good(file: Path) -> None:
    file.write_text(GOOD, "utf-8")

    assert load(file).gateways["vpn"].hostname == HOSTNAME


@pytest.mark.parametrize(
    ("before", "after", "line", "what"),
    [
        ("    hostname", "\thostname", 8, "a tab indents this line; indent with spaces"),
        ("  vpn:", "  \tvpn:", 7, "a tab indents this line"),
        ("    hostname", "\u00a0   hostname", 8, "the special space U+00A0 indents this line"),
        (
            "    hostname",
            "   hostname",
            9,
            f"indented below line 8, which has a value already; {COLUMN}",
        ),
        ("    install", "     install", 9, "this line is indented below line 8, which"),
        ("    terms", "      terms", 5, "this line is indented below line 3, which"),
        ("    terms", "   terms", 5, f"the indentation of this line fits no line above; {COLUMN}"),
        (HOSTNAME, "*.company.com", 8, f'{STARTS} * must be in quotes, as in "*.example.com"'),
        (HOSTNAME, "&.company.com", 8, f"{STARTS} & must be in quotes"),
        (HOSTNAME, "%h", 8, f"{STARTS} % must be in quotes"),
        (HOSTNAME, "@h", 8, f"{STARTS} @ must be in quotes"),
        (HOSTNAME, "`h`", 8, f"{STARTS} ` must be in quotes"),
        (HOSTNAME, "|h", 8, f"{STARTS} | or > must be in quotes"),
        (HOSTNAME, ">h", 8, f"{STARTS} | or > must be in quotes"),
        (
            HOSTNAME,
            "*company",
            8,
            f"the alias *company has no anchor before it in this file; put {STARTS} *",
        ),
        (HOSTNAME, "!vpn", 8, f"the plain value, or put {STARTS} ! in quotes"),
        (HOSTNAME, "{{ name }}", 8, f"a key must be plain text; put {STARTS} {{ in quotes"),
        (HOSTNAME, f'"{HOSTNAME}', 8, f"the quote {CLOSED} the second one"),
        (HOSTNAME, f"'{HOSTNAME}", 8, f"the quote {CLOSED} the second one"),
        (
            HOSTNAME,
            f'"{HOSTNAME}\n    region: "cn"',
            8,
            "the quote that opens here is not closed in",
        ),
        (HOSTNAME, '"vpn".company.com', 8, "text follows the closing quote; put the whole value"),
        (HOSTNAME, '"vpn\\.company.com"', 8, "a backslash has a meaning in double quotes"),
        (
            HOSTNAME,
            "vpn: company",
            8,
            "the value contains a colon and a space; put the value in quotes",
        ),
        (
            "hostname: ",
            "hostname:",
            8,
            "a space is missing after the colon; write hostname: and then",
        ),
        ("_url: ", "_url:", 3, "a space is missing after the colon; write directory_url: and then"),
        ("reload: ", "reload:", 9, "a space is missing after the colon; write reload: and then"),
        ("hostname: ", "hostname ", 8, "the key is not followed by a colon"),
        ("hostname: ", "hostname = ", 8, "write hostname: and not hostname ="),
        ("install:", "install", 9, "the key is not followed by a colon"),
        ("ocserv]", "ocserv", 10, f"the [ {CLOSED} ]"),
        ("ocserv]", "ocserv\n    mode: custom", 10, f"the [ {CLOSED} ]"),
        (RELOAD, "{a: b", 10, f"the {{ {CLOSED} }}"),
        ("ocserv]", "ocserv}", 10, "} does not close the [ of line 10; write ]"),
        ("ocserv]", "ocserv]]", 10, "] closes nothing; leave it out"),
        (
            "reload, ocserv]",
            '"reload" ocserv]',
            10,
            "a comma or ] is missing after the [ of this line",
        ),
        (RELOAD, "[, a]", 10, "put text that starts with a comma, a colon or a bracket in quotes"),
        (RELOAD, "a\n      'b", 11, "the quote that opens here is not closed"),
        ("reload: [", '"reload: [', 10, "the quote that opens here"),
        (RELOAD, "- ls", 10, "check colons, quotes and the indentation of this line"),
        ("authorities", "%TAG x\nauthorities", 1, "a line must not start with %"),
    ],
)
def test_a_mistake_is_explained_at_its_line(
    file: Path, before: str, after: str, line: int, what: str
) -> None:
    assert before in GOOD

    found = complaint(file, GOOD.replace(before, after, 1))

    assert found.startswith(f"{line}: ")
    assert what in found


@pytest.mark.parametrize(
    ("added", "line", "what"),
    [
        ("    mode:custom\n", 11, "a space is missing after the colon; write mode: and then"),
        (f"{NAMES} [a.company.com, *.company.com]\n", 11, f"{STARTS} * must be in quotes"),
        (f"{NAMES}\n      - *.company.com\n", 12, f"{STARTS} * must be in quotes"),
        (f"{NAMES}\n    -a.company.com\n    -b.company.com\n", 12, "after the hyphen of a list"),
        (f"{NAMES}\n      -a.company.com\n", 11, "after the hyphen of a list; write - and then"),
        (f"    hostname: {HOSTNAME}\n", 11, "the key hostname is already written in line 8"),
        ("  vpn:\n    hostname: a.company.com\n", 11, "the key vpn is already written in line 7"),
    ],
)
def test_a_mistake_in_an_added_line(file: Path, added: str, line: int, what: str) -> None:
    found = complaint(file, GOOD + added)

    assert found.startswith(f"{line}: ")
    assert what in found


def test_a_file_with_nothing_but_a_key_without_a_space(file: Path) -> None:
    assert complaint(file, "\nstate_directory:/srv\n") == (
        "2: a space is missing after the colon; write state_directory: and then the value"
    )


@pytest.mark.parametrize(
    "written",
    [
        "    hmac:s3cr3t\n  x: y\n",
        "    hmac: s3cr3t\n      x: y\n",
        "    hmac: 's3cr3t\n",
        "    hmac: [s3cr3t\n",
        "    hmac: a: s3cr3t\n",
        '    hmac: "s3cr3t" s3cr3t\n',
        "    hmac: @s3cr3t\n",
        "    hmac = s3cr3t\n    x: y\n",
    ],
)
def test_no_explanation_repeats_a_value(file: Path, written: str) -> None:
    assert "s3cr3t" not in complaint(file, GOOD + written)
