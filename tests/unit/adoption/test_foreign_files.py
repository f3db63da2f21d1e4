"""Reading of files that another client, or anybody, has written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from tests.fakes.client_directories import traditional, write

from gatecert.adoption.foreign_files import (
    LARGEST,
    UnreadableError,
    mail_addresses,
    read,
    read_key,
    read_object,
    read_text,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.client_directories import Office


def test_each_reason_is_in_words(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    write(tmp_path / "empty", " \n")
    write(tmp_path / "large", b"x" * (LARGEST + 1))
    reasons = {}
    for name in ("pipe", "link", "empty", "large", "missing", "."):
        with pytest.raises(UnreadableError) as raised:
            read(tmp_path / name)
        reasons[name] = raised.value.message.removeprefix(str(tmp_path))

    assert reasons == {
        "pipe": "/pipe cannot be read: it is not a regular file",
        "link": "/link is a symbolic link to a missing file",
        "empty": "/empty is empty",
        "large": "/large cannot be read: it has more than 1048576 bytes",
        "missing": "/missing is missing",
        ".": " cannot be read: it is a directory",
    }


@pytest.mark.parametrize("text", ["{", "[1]", '"x"', "[" * 100_000])
def test_only_json_objects_are_read(tmp_path: Path, text: str) -> None:
    write(tmp_path / "file", text)

    with pytest.raises(UnreadableError, match="is damaged"):
        read_object(tmp_path / "file")


def test_text_is_utf_8(tmp_path: Path) -> None:
    write(tmp_path / "file", b"\xef\xbb\xbfk\xc3\xb6ln")
    assert read_text(tmp_path / "file") == "köln"
    write(tmp_path / "file", b"\xff")
    with pytest.raises(UnreadableError, match="is not a text file"):
        read_text(tmp_path / "file")


def test_keys_of_every_format_become_pkcs_8(tmp_path: Path, office: Office) -> None:
    leaf = office.issue("key.example.com")
    write(tmp_path / "key", traditional(leaf))
    assert read_key(tmp_path / "key") == leaf.key_pem
    write(tmp_path / "key", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----")
    with pytest.raises(UnreadableError) as raised:
        read_key(tmp_path / "key")
    assert "c2VjcmV0" not in str(raised.value)


def test_only_mail_addresses_are_contacts() -> None:
    assert mail_addresses(["mailto:a@b.example", "tel:1", 5]) == ("a@b.example",)
    assert mail_addresses("mailto:a@b.example") == ()
