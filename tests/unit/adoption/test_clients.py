"""Recognition of the client that a directory belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.client_directories import SHOP, caddy_certificate, lego_certificate, write

from gatecert.adoption.clients import read_client
from gatecert.errors import WrongUsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.client_directories import Office


def test_a_home_directory_leads_to_the_client_in_it(tmp_path: Path, office: Office) -> None:
    leaf = office.issue(SHOP)
    lego_certificate(tmp_path / ".lego", SHOP, leaf, office.fullchain(leaf))

    state = read_client(tmp_path)

    assert (state.client, state.directory) == ("lego", tmp_path / ".lego")


def test_caddy_is_not_taken_for_lego(tmp_path: Path, office: Office) -> None:
    leaf = office.issue(SHOP)
    caddy_certificate(tmp_path, SHOP, leaf, office.fullchain(leaf))

    assert read_client(tmp_path).client == "Caddy"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((), "is empty"),
        (("notes.txt",), "is not the directory of a known ACME client"),
        (("domains.txt",), "looks like the directory of dehydrated"),
        (("acme.json",), "looks like the directory of Traefik"),
    ],
)
def test_other_directories_are_refused_in_words(
    tmp_path: Path, files: tuple[str, ...], words: str
) -> None:
    for name in files:
        write(tmp_path / name, "x")

    with pytest.raises(WrongUsageError, match=words) as raised:
        read_client(tmp_path)

    assert raised.value.fix


def test_a_file_and_a_missing_directory_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "file", "x")

    with pytest.raises(WrongUsageError, match="is not a directory"):
        read_client(tmp_path / "file")
    with pytest.raises(WrongUsageError, match="does not exist"):
        read_client(tmp_path / "missing")


def test_a_directory_of_other_settings_is_not_taken_for_acme_sh(tmp_path: Path) -> None:
    write(tmp_path / "nginx" / "nginx.conf", "user www-data;\n")

    with pytest.raises(WrongUsageError, match="is not the directory of a known ACME client"):
        read_client(tmp_path)
