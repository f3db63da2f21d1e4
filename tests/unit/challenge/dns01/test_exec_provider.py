"""Arguments, environment and exit status of the operator's command."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, TypeAlias

import pytest

from gatecert.challenge.dns01 import exec_provider
from gatecert.challenge.dns01.exec_provider import ExecProvider
from gatecert.config.schema import Dns01Settings
from gatecert.errors import ChallengeError, ProviderNotContactedError
from gatecert.model import TextRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Script: TypeAlias = Callable[[str], Path]

RECORD = TextRecord("_acme-challenge.vpn.example.com", "va-l_ue", "example.com")


@pytest.fixture
def script(tmp_path: Path) -> Script:
    def write(body: str) -> Path:
        path = tmp_path / "hook"
        path.write_text(f"#!/bin/sh\n{body}\n", "ascii")
        path.chmod(0o700)
        return path

    return write


def provider(*argv: object, timeout: str = "5s") -> ExecProvider:
    return ExecProvider(
        Dns01Settings.model_validate(
            {
                "provider": "exec",
                "command": [str(word) for word in argv],
                "command_timeout": timeout,
                "ttl": "90s",
            }
        )
    )


def test_the_command_gets_the_action_the_name_and_the_value(script: Script, tmp_path: Path) -> None:
    told = tmp_path / "told"
    hook = provider(script(f'printf "%s\\n" "$@" >> {told}'), "--zone", "$HOME")

    hook.publish(RECORD)
    hook.withdraw(RECORD)

    assert told.read_text("ascii").splitlines() == [
        "--zone", "$HOME", "present", RECORD.name, RECORD.value,
        "--zone", "$HOME", "clean-up", RECORD.name, RECORD.value,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "-rf.example.com", "--help", "$(reboot).example.com", "a b.example.com", "a\nb.example.com",
        "\\000.example.com", "", "\x1b[2J.example.com", "caf\u00e9.example.com", "a;b", "a/../b",
    ],
)  # fmt: skip
def test_an_unsafe_name_is_not_passed_to_the_command(
    script: Script, tmp_path: Path, name: str
) -> None:
    told = tmp_path / "told"
    hook = provider(script(f"touch {told}"))

    for record in (TextRecord(name, "value", "example.com"), TextRecord("a.b", "value", name)):
        for act in (hook.publish, hook.withdraw):
            with pytest.raises(
                ProviderNotContactedError, match="is not a name that can be passed to a command"
            ) as caught:
                act(record)
            assert str(caught.value).isprintable()
    assert not told.exists()


def test_the_environment_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    told = tmp_path / "told"
    code = "import json, os, sys; json.dump(dict(os.environ), open(sys.argv[1], 'w'))"

    provider(sys.executable, "-c", code, told).publish(RECORD)

    given = json.loads(told.read_text("utf-8"))
    given.pop("LC_CTYPE", None)  # set by Python
    assert given.keys() == {
        "PATH", "HOME", "LANG",
        "GATECERT_ACTION", "GATECERT_NAME", "GATECERT_VALUE", "GATECERT_ZONE", "GATECERT_TTL",
    }  # fmt: skip
    assert given["GATECERT_ACTION"] == "present"
    assert given["GATECERT_NAME"] == RECORD.name
    assert given["GATECERT_VALUE"] == RECORD.value
    assert given["GATECERT_ZONE"] == "example.com"
    assert given["GATECERT_TTL"] == "90"
    for name in given:
        assert name in (exec_provider.__doc__ or "")


def test_a_failure_contains_the_end_of_the_output(script: Script) -> None:
    path = script("echo no such zone >&2; exit 3")

    with pytest.raises(ChallengeError) as caught:
        provider(path).publish(RECORD)

    assert caught.value.message == (
        f"challenges.dns-01.command {path} present failed (exit status 3): no such zone"
    )


def test_a_failure_without_output_is_an_error(script: Script) -> None:
    with pytest.raises(ChallengeError, match=r"clean-up failed \(killed by SIGKILL\) \("):
        provider(script("kill -9 $$")).withdraw(RECORD)


def test_a_command_that_hangs_is_killed(script: Script) -> None:
    with pytest.raises(ChallengeError, match=r"present did not end within 0\.1 s: waiting") as it:
        provider(script("echo waiting; exec sleep 60"), timeout="100ms").publish(RECORD)

    assert "challenges.dns-01.command_timeout" in it.value.fix


def test_a_missing_command_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProviderNotContactedError, match="no-such-hook was not found"):
        provider("no-such-hook").publish(RECORD)
    with pytest.raises(ProviderNotContactedError, match="cannot be run: No such file"):
        provider(tmp_path / "missing").publish(RECORD)
