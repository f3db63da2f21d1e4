"""``gatecert revoke`` and ``gatecert account``: errors before the CA is contacted."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Protocol

import pytest
import yaml

from gatecert import cli
from gatecert.acme.account_key import new_account_key
from gatecert.model import Account
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from pathlib import Path

NOWHERE = "https://127.0.0.1:9/directory"


class Run(Protocol):
    """Runs a command; returns exit code, standard output and error."""

    def __call__(self, *arguments: str) -> tuple[int, str, str]: ...


@pytest.fixture
def authorities() -> list[str]:
    return ["first"]


@pytest.fixture
def run(
    tmp_path: Path,
    authorities: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    configuration = tmp_path / "config.yaml"
    authority = {"directory_url": NOWHERE, "terms_of_service_agreed": True}
    gateway = {"hostname": "vpn.example.com", "addresses": ["192.0.2.7"]}
    written = {
        "state_directory": str(tmp_path / "state"),
        "authorities": dict.fromkeys(authorities, authority),
        "challenges": {"http-01": {"listen": ["127.0.0.1:5002"]}},
        "gateways": {"vpn": gateway},
    }
    configuration.write_text(yaml.dump(written), "utf-8")

    def command(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gatecert", "-c", str(configuration), *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
        with pytest.raises(SystemExit) as ended:
            cli.run()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return command


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            ("--reason", "keycompromized"),
            "unknown reason 'keycompromized', did you mean keyCompromise?",
        ),
        (("--reason", "xyz"), "unknown reason 'xyz'; possible: unspecified, keyCompromise"),
        (
            ("--reason", "certificateHold"),
            "the certificate's owner cannot use the reason certificateHold",
        ),
        (("--by", "me"), "unknown key --by 'me'; possible: account or certificate"),
    ],
)
def test_unknown_reason_or_key_is_wrong_usage(
    run: Run, arguments: tuple[str, ...], why: str
) -> None:
    code, out, err = run("revoke", "vpn", *arguments)
    assert (code, out) == (2, "")
    assert why in err
    assert err.count("\n") == 1


def test_gateway_without_a_certificate_cannot_be_revoked(run: Run) -> None:
    code, _, err = run("revoke", "vpn")
    assert code == 2
    assert "has no certificate that could be revoked" in err
    code, _, err = run("revoke", "vpm")
    assert code == 2
    assert "did you mean 'vpn'" in err


def test_missing_account_is_shown_without_contacting_the_ca(run: Run) -> None:
    code, out, _ = run("account", "show")
    assert code == 0
    assert "account    none yet" in out
    assert NOWHERE in out


def test_missing_accounts_are_wrong_usage(run: Run) -> None:
    for command in (("rollover",), ("deactivate", "--yes")):
        code, _, err = run("account", *command)
        assert (code, "there is no account with CA first" in err) == (2, True)
    code, _, err = run("account", "rollover", "frist")
    assert (code, "no authority is called 'frist', did you mean 'first'" in err) == (2, True)


@pytest.mark.parametrize("authorities", [["first", "second"]])
def test_authority_is_required_if_there_are_several(run: Run) -> None:
    for command in ("rollover", "deactivate"):
        code, _, err = run("account", command)
        assert (code, "name the authority (configured: first, second)" in err) == (2, True)


def test_deactivation_requires_confirmation(run: Run) -> None:
    code, out, err = run("account", "deactivate", "first")
    assert (code, out) == (2, "")
    assert "use --yes" in err


@pytest.mark.enable_socket
def test_unreachable_authority_is_reported(run: Run, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "state")
    key = new_account_key()
    store.save_account("first", Account(key, "https://127.0.0.1:9/1", NOWHERE, ("mailto:a@b.c",)))
    store.save_next_key("first", new_account_key())
    code, out, _ = run("account", "show")
    assert code == 1
    assert "status     unknown: CA first (127.0.0.1:9) cannot be reached" in out
    assert "contact    mailto:a@b.c" in out
    assert "pending    interrupted key rollover" in out
    code, _, err = run("account", "rollover")
    assert (code, "cannot be reached" in err) == (1, True)
    kept = store.account("first")
    assert kept is not None
    assert kept.private_key == key
