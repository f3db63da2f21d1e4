"""Imports of commands, each run in a process of its own on a real configuration."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SHOW_IMPORTS = """
import sys
from gatecert.__main__ import main
try:
    main()
finally:
    print("MODULES", *{name.partition(".")[0] for name in sys.modules})
"""

NETWORK = {"acme", "dns", "josepy", "lexicon", "requests", "tldextract", "urllib3"}
DAEMON = {"apscheduler", "asyncio"}
CERTIFICATES = {"OpenSSL", "cryptography", "ssl"}
CONFIGURATION = {"pydantic", "yaml"}
FLEET = {"alembic", "psycopg", "sqlalchemy"}

HANDSHAKES = {"OpenSSL", "psutil"}

UNUSED = {
    "--help": NETWORK | DAEMON | CERTIFICATES | CONFIGURATION,
    "--version": NETWORK | DAEMON | CERTIFICATES | CONFIGURATION,
    "profile boston": NETWORK | DAEMON | CERTIFICATES,
    "csr manual": NETWORK | DAEMON | {"OpenSSL", "ssl"},
    "status": NETWORK | DAEMON | HANDSHAKES,
    "status --json": NETWORK | DAEMON | HANDSHAKES,
    "check": NETWORK | DAEMON | {"OpenSSL"},
    "client-ca list boston": NETWORK | DAEMON | HANDSHAKES,
    "fleet plan": NETWORK | DAEMON | HANDSHAKES,
    "enroll manual": NETWORK | DAEMON | {"OpenSSL"},
}

PREPARE = """
import sys, threading
from pathlib import Path
from gatecert.app import build
from gatecert.config.load import load
application = build(load(Path(sys.argv[1])), lambda *_: None, threading.Event())
print(application.pipeline.prepare(application.targets["boston"]).kind)
print("MODULES", *{name.partition(".")[0] for name in sys.modules})
"""


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("commands")
    path = tmp_path / "config.yaml"
    path.write_text(
        f"state_directory: {tmp_path / 'state'}\n"
        "authorities:\n"
        "  letsencrypt: {directory_url: letsencrypt, terms_of_service_agreed: true}\n"
        "challenges: {http-01: {listen: ['127.0.0.1:80']}}\n"
        "gateways:\n"
        "  boston: {hostname: boston.example.com, mode: automatic, install: {reload: ['true']}}\n"
        "  manual: {hostname: manual.example.com, mode: custom, install: {reload: ['true']}}\n",
        "utf-8",
    )
    run(path, "enroll manual")
    return path


def run(configuration: Path, command: str) -> tuple[int, set[str]]:
    """Return a command's exit code and the packages that it imports."""
    finished = subprocess.run(
        [sys.executable, "-c", SHOW_IMPORTS, "-c", str(configuration), *command.split()],
        capture_output=True,
        text=True,
        check=False,
    )
    mark, *modules = finished.stdout.splitlines()[-1].split()
    assert mark == "MODULES"
    return finished.returncode, set(modules)


def test_bootstrap_certificate_is_in_place_before_large_libraries_are_imported(
    configuration: Path,
) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", PREPARE, str(configuration)],
        capture_output=True,
        text=True,
        check=True,
    )
    *outcome, last = finished.stdout.splitlines()
    assert outcome == ["bootstrapped"]
    assert not set(last.split()) & (NETWORK | DAEMON | HANDSHAKES | FLEET)


@pytest.mark.parametrize("command", UNUSED)
def test_command_imports_only_what_it_uses(configuration: Path, command: str) -> None:
    code, modules = run(configuration, command)
    assert code == 0
    assert "typer" in modules
    assert not modules & (UNUSED[command] | FLEET)
