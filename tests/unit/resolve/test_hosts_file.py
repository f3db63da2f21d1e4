from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.resolve.hosts_file import matching_lines

if TYPE_CHECKING:
    from pathlib import Path

NAME = "boston.example.com"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (f"127.0.1.1 {NAME} boston", True),
        ("127.0.1.1\tboston  Boston.Example.COM. # as installed", True),
        (f"# 127.0.1.1 {NAME}", False),
        ("127.0.1.1 boston # boston.example.com", False),
        (f"10.1.2.3 {NAME}", False),
        (f"nonsense {NAME}", False),
        ("", False),
        ("\xff\x00", False),
    ],
)
def test_matching_lines_are_returned(tmp_path: Path, line: str, *, found: bool) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{line}\n", encoding="latin-1")
    expected = (f"{hosts} line 2 (127.0.1.1 {NAME})",) if found else ()
    assert matching_lines(NAME, ["127.0.1.1"], hosts) == expected


def test_addresses_are_compared_in_canonical_form(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(f"FD00:0::1 {NAME}\n")
    assert matching_lines(NAME, ["fd00::1"], hosts) == (f"{hosts} line 1 (FD00:0::1 {NAME})",)


def test_a_missing_file_has_no_lines(tmp_path: Path) -> None:
    assert matching_lines(NAME, ["127.0.1.1"], tmp_path / "hosts") == ()
