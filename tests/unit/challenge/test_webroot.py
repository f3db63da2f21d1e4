from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatecert.challenge.webroot import DIRECTORY, publish, withdraw
from gatecert.errors import ChallengeError

if TYPE_CHECKING:
    from typing import NoReturn

BAD = pytest.mark.parametrize("token", ["../up", "a/b", "", "a.b", "x" * 256])


def test_a_response_is_for_everybody_to_read_and_can_be_replaced(tmp_path: Path) -> None:
    publish(tmp_path, "abc", "abc.first")
    publish(tmp_path, "abc", "abc.second")

    (file,) = (tmp_path / DIRECTORY).iterdir()
    assert file.name == "abc"
    assert file.read_text() == "abc.second"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_a_response_is_removed_once(tmp_path: Path) -> None:
    publish(tmp_path, "abc", "abc.def")
    withdraw(tmp_path, "abc")
    withdraw(tmp_path, "abc")

    assert list((tmp_path / DIRECTORY).iterdir()) == []


@BAD
def test_a_bad_token_never_becomes_a_file(tmp_path: Path, token: str) -> None:
    with pytest.raises(ValueError, match="not base64url"):
        publish(tmp_path, token, "text")

    assert list(tmp_path.iterdir()) == []


@BAD
def test_a_bad_token_never_removes_a_file(tmp_path: Path, token: str) -> None:
    file = tmp_path / ".well-known" / "up"
    file.parent.mkdir()
    file.write_text("stays")

    withdraw(tmp_path, token)

    assert file.exists()


def test_a_failure_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(ChallengeError, match="No space left on device"):
        publish(tmp_path, "abc", "abc.def")

    assert list((tmp_path / DIRECTORY).iterdir()) == []


def test_what_cannot_be_removed_is_only_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / DIRECTORY / "abc").mkdir(parents=True)

    withdraw(tmp_path, "abc")

    assert "stays behind token=abc" in caplog.text
