"""``gatecert adopt``: its report, its exit codes and its errors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

import pytest
from tests.fakes.client_directories import (
    SHOP,
    Office,
    certbot_account,
    certbot_lineage,
    write,
)
from tests.fakes.clock import DAY

from gatecert import cli
from gatecert.app import utc_now
from gatecert.setup.host import Host

if TYPE_CHECKING:
    from pathlib import Path

MAIL = "mail.example.com"
SETTINGS = """account = 4711
server = https://acme-v02.api.letsencrypt.org/directory
authenticator = {}"""


class Run(Protocol):
    """Runs the command; returns exit code, standard output and error."""

    def __call__(self, *arguments: str) -> tuple[int, str, str]: ...


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setattr("gatecert.cli.adopt_command.read_host", lambda *_: Host())

    def command(*arguments: str) -> tuple[int, str, str]:
        configuration = str(tmp_path / "config.yaml")
        monkeypatch.setattr(sys, "argv", ["gatecert", "-c", configuration, "adopt", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.run()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return command


@pytest.fixture
def certbot(tmp_path: Path) -> Path:
    directory, office, now = tmp_path / "letsencrypt", Office(), utc_now()
    certbot_account(directory)
    for name, end, how in ((SHOP, 90, "standalone"), (MAIL, -1, "dns-unheard")):
        leaf = office.issue(name, begin=now - 2 * DAY, end=now + end * DAY)
        chain = office.fullchain(leaf)
        certbot_lineage(directory, name, leaf, chain, settings=SETTINGS.format(how))
    return directory


def test_each_certificate_and_what_is_left_to_do(run: Run, certbot: Path, tmp_path: Path) -> None:
    code, output, errors = run(str(certbot))

    assert code == 1  # one could not be adopted
    assert f"certbot in {certbot}: 2 certificates, 1 account" in output
    assert f"✓ {SHOP}: adopted, until " in output
    assert f"✗ {MAIL}: not adopted: the certificate 'CN={MAIL}' expired on " in errors
    assert f"→ renew it first (certbot renew --cert-name {MAIL})" in errors
    assert f"{tmp_path / 'config.yaml'} has 1 new gateway." in output
    assert "Nothing was ordered, and no file of certbot was changed." in output
    assert "systemctl disable --now certbot.timer" in output
    assert "To go back: systemctl enable --now certbot.timer" in output


def test_a_dry_run_shows_the_configuration_and_writes_nothing(
    run: Run, certbot: Path, tmp_path: Path
) -> None:
    code, output, _ = run(str(certbot), "--dry-run")

    assert code == 1
    assert f"✓ {SHOP}: would be adopted" in output
    assert f"hostname: {SHOP}" in output
    assert output.endswith("Nothing was changed.\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letsencrypt"]


def test_nothing_to_adopt_is_said(run: Run, certbot: Path, tmp_path: Path) -> None:
    (certbot / "renewal" / f"{SHOP}.conf").unlink()

    code, output, errors = run(str(certbot))

    assert code == 1
    assert "Nothing was adopted, and nothing was changed." in output
    assert MAIL in errors
    assert not (tmp_path / "config.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("missing",), "does not exist"),
        ((".", "--verify", "127.0.0.1:none"), "--verify"),
        ((".", "--directory-url", "http://x/y"), "is not safe"),
    ],
)
def test_wrong_usage_is_one_line(
    run: Run,
    certbot: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    why: str,
) -> None:
    monkeypatch.chdir(certbot)

    code, _, errors = run(*arguments)

    assert code == 2
    assert why in errors
    assert "Traceback" not in errors


def test_a_broken_configuration_is_not_touched(run: Run, certbot: Path, tmp_path: Path) -> None:
    write(tmp_path / "config.yaml", "gateways: [\n")

    code, _, errors = run(str(certbot))

    assert code == 2
    assert "config.yaml" in errors
    assert (tmp_path / "config.yaml").read_text("utf-8") == "gateways: [\n"
    assert not (tmp_path / "state").exists()
