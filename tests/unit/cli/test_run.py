from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatecert.cli import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("debug", [False, True])
def test_the_exit_code_is_the_same_with_a_traceback(
    debug: bool,  # noqa: FBT001 - a parameter of the test
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--debug"] if debug else []
    missing = str(tmp_path / "missing.yaml")
    monkeypatch.setattr("sys.argv", ["gatecert", *options, "-c", missing, "check"])

    with pytest.raises(SystemExit) as ended:
        run()

    errors = capsys.readouterr().err
    assert ended.value.code == 2
    assert errors.splitlines()[-1].startswith(f"gatecert: {missing}: does not exist")
    assert ("Traceback" in errors) is debug
