"""TLS of a listener whose files are renewed, well or badly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.pki import Issued, Pki

from gatecert.model import WebAccess
from gatecert.monitoring.web_access import RenewedContext

if TYPE_CHECKING:
    from pathlib import Path

PKI = Pki()
FIRST = PKI.issue("first")
SECOND = PKI.issue("second")


class Files:
    def __init__(self, directory: Path) -> None:
        self.access = WebAccess(
            certificate=str(directory / "fullchain.pem"), key=str(directory / "privkey.pem")
        )
        self._directory = directory
        self.changes = 0
        self.context = RenewedContext(self.access, self.changed)

    def changed(self) -> None:
        self.changes += 1

    def write(self, certificate: Issued, key: Issued) -> None:
        for name, data in (("fullchain.pem", certificate.pem), ("privkey.pem", key.key_pem)):
            temporary = self._directory / "new"
            temporary.write_bytes(data)
            temporary.rename(self._directory / name)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_the_context_is_kept_while_the_files_are(files: Files) -> None:
    files.write(FIRST, FIRST)
    first = files.context.current()
    assert first is not None
    assert files.context.current() is first
    assert not files.changes


def test_a_renewed_pair_is_read(files: Files, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    files.write(FIRST, FIRST)
    first = files.context.current()
    files.write(SECOND, SECOND)
    second = files.context.current()
    assert second is not None
    assert second is not first
    assert "certificate of the listener read again" in caplog.text


def test_a_bad_pair_keeps_the_context_and_is_a_problem(files: Files) -> None:
    files.write(FIRST, FIRST)
    first = files.context.current()
    files.write(SECOND, FIRST)
    assert files.context.current() is first
    assert "does not belong to the certificate" in files.context.problem
    assert files.context.fix
    assert files.context.current() is first
    assert files.changes == 1
    files.write(SECOND, SECOND)
    assert files.context.current() is not first
    assert not files.context.problem
    assert files.changes == 2


def test_files_that_come_later(files: Files) -> None:
    assert files.context.current() is None
    assert "there is no file" in files.context.problem
    files.write(FIRST, FIRST)
    assert files.context.current() is not None
    assert not files.context.problem


def test_files_that_are_removed(files: Files, tmp_path: Path) -> None:
    files.write(FIRST, FIRST)
    first = files.context.current()
    (tmp_path / "privkey.pem").unlink()
    assert files.context.current() is first
    assert "privkey.pem" in files.context.problem
