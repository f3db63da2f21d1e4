"""Files with unsafe permissions or the wrong owner."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatecert.doctor.exposure import exposures

if TYPE_CHECKING:
    from gatecert.doctor.facts import Exposure


@pytest.fixture
def state(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    for directory in ("accounts/acme", "gateways/vpn/versions/1", "gateways/vpn/requests/2"):
        (state / directory).mkdir(parents=True)
    for file in (
        "lock",
        "accounts/acme/key.pem",
        "gateways/vpn/versions/1/privkey.pem",
        "gateways/vpn/versions/1/cert.pem",
        "gateways/vpn/requests/2/privkey.pem",
    ):
        (state / file).touch()
    for path in (state, *state.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    (state / "gateways/vpn/live").symlink_to("versions/1")
    (state / "gateways/vpn/lost").symlink_to("versions/0")
    return state


def only(found: tuple[Exposure, ...]) -> Exposure:
    (exposure,) = found
    return exposure


def test_safe_permissions_are_no_exposure(state: Path) -> None:
    assert exposures(state, ()) == ()


def test_missing_files_are_no_exposure(tmp_path: Path) -> None:
    assert exposures(tmp_path / "none", ()) == ()


@pytest.mark.parametrize(
    "key",
    [
        "accounts/acme/key.pem",
        "gateways/vpn/versions/1/privkey.pem",
        "gateways/vpn/requests/2/privkey.pem",
    ],
)
@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660])
def test_key_readable_by_others(state: Path, key: str, mode: int) -> None:
    (state / key).chmod(mode)
    exposure = only(exposures(state, ()))
    assert exposure.path == state / key
    assert exposure.fix == f"chmod 0600 {state / key}"
    assert not exposure.wrong_owner


def test_key_group_may_read_its_keys(state: Path) -> None:
    key = state / "gateways/vpn/versions/1/privkey.pem"
    key.chmod(0o640)
    assert exposures(state, ["vpn"]) == ()
    key.chmod(0o660)
    assert only(exposures(state, ["vpn"])).fix == f"chmod 0640 {key}"
    key.chmod(0o640)
    (state / "gateways/vpn/requests/2/privkey.pem").chmod(0o640)
    assert only(exposures(state, ["vpn"])).path.parent.name == "2"


@pytest.mark.parametrize("path", [".", "gateways", "lock", "gateways/vpn/versions/1/cert.pem"])
def test_state_writable_by_others(state: Path, path: str) -> None:
    mode = (state / path).stat().st_mode & 0o777
    (state / path).chmod(mode | 0o022)
    assert only(exposures(state, ())).fix.startswith(f"chmod {mode:04o} ")


def test_file_with_another_owner(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.lstat

    def of_somebody_else(path: Path) -> os.stat_result:
        fields = list(real(path))
        if path.name == "lock":
            fields[4] = 12345  # the user
        return os.stat_result(fields)

    monkeypatch.setattr(Path, "lstat", of_somebody_else)
    exposure = only(exposures(state, ()))
    assert (exposure.wrong_owner, exposure.problem) == (True, "belongs to 12345")


def test_file_removed_during_the_walk_is_no_error(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.lstat

    def gone(path: Path) -> os.stat_result:
        if path.name == "lock":
            raise FileNotFoundError(path)
        return real(path)

    monkeypatch.setattr(Path, "lstat", gone)
    assert exposures(state, ()) == ()
