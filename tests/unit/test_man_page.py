"""A page of Markdown becomes a manual page."""

from __future__ import annotations

import datetime as dt

import pytest
from docs.man_page import Heading, manual_page

HEADING = Heading("gatecert", 1, "keep a certificate", "1.2.3", "gatecert-config(5).")


def body(markdown: str) -> list[str]:
    page = manual_page(markdown, HEADING, dt.date(2026, 11, 29)).splitlines()
    start = page.index(r"gatecert \- keep a certificate") + 1
    return page[start : page.index(".SH SEE ALSO")]


def test_a_page_says_its_name_its_version_and_its_date() -> None:
    page = manual_page("# Title", HEADING, dt.date(2026, 11, 29)).splitlines()
    assert page[1:6] == [
        '.TH GATECERT 1 2026-11-29 "gatecert 1.2.3"',
        *(".nh", ".ad l"),
        ".SH NAME",
        r"gatecert \- keep a certificate",
    ]
    assert page[-2:] == [".SH SEE ALSO", r"\fBgatecert-config\fR(5)."]


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("# Title\n\nFirst. Second.", [".SH DESCRIPTION", "First.", "Second."]),
        ("## Exit status\n\nText\n\nMore", ['.SH "EXIT STATUS"', "Text", ".PP", "More"]),
        ("## `gateways.NAME`\n\nText", ['.SH "gateways.NAME"', "Text"]),
        ("### client-ca add\n\nText", [r'.SS "client\-ca add"', "Text"]),
        ("## A\n\n<!-- comment -->\n\nText", ['.SH "A"', "Text"]),
        ("## A\n\n    .x 'y'\n\n    z", ['.SH "A"', ".RS 4", ".nf", r"\&.x \(aqy\(aq", "", "z"]),
        ("## A\n\n`--wait SECONDS` it", ['.SH "A"', r"\fB\-\-wait \fISECONDS\fB\fR it"]),
        ("## A\n\n`NO_COLOR` `a_b`", ['.SH "A"', r"\fBNO_COLOR\fR \fBa_b\fR"]),
        ("## A\n\nwell-known --force", ['.SH "A"', r"well-known \-\-force"]),
        ("## A\n\n[here](b.md), [c](https://d.e)", ['.SH "A"', "here, c (https://d.e)"]),
        ("## A\n\n.cn is *not* **asked**", ['.SH "A"', r"\&.cn is \fInot\fR \fBasked\fR"]),
        ("## A\n\nmünchen\\example", ['.SH "A"', r"m\[u00FC]nchen\eexample"]),
        (
            "## A\n\n- one\n  more\n- two\n\n  three",
            ['.SH "A"', r".IP \(bu 2", "one more", r".IP \(bu 2", "two", '.IP ""', "three"],
        ),
        ("## A\n\n1. one\n2. two", ['.SH "A"', ".IP 1. 4", "one", ".IP 2. 4", "two"]),
    ],
)
def test_a_block(markdown: str, expected: list[str]) -> None:
    assert body(markdown)[: len(expected)] == expected


def test_a_table_becomes_tagged_paragraphs() -> None:
    table = (
        "## Keys\n\n| Key | Type | Default | Meaning |\n|---|---|---|---|\n"
        "| `wait` | duration | `30s` | How long. |\n| `name` | text | required | The name. |\n"
    )
    assert body(table)[1:] == [
        *(".TP", r"\fBwait\fR (duration, default \fB30s\fR)", "How long."),
        *(".TP", r"\fBname\fR (text, required)", "The name."),
    ]


def test_long_lines_are_wrapped_and_none_becomes_a_request() -> None:
    lines = body("## A\n\n" + "word 'quoted .dotted " * 30)
    assert all(len(line) <= 80 for line in lines)
    assert [line for line in lines[1:] if line.startswith((".", "'"))] == []


def test_what_has_no_rule_is_an_error() -> None:
    with pytest.raises(ValueError, match="no rule for blockquote_open"):
        body("> quoted")
