"""The scripts of container/; tests/container runs them in containers."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCRIPTS = Path(__file__).parents[2] / "container"
COUNTS = 'trap "echo told >>$0" HUP; echo started >>$0; while :; do sleep 0.05; done'
SECONDS = 10


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def replace_link(link: Path, target: str) -> None:
    link.with_name("new").symlink_to(target)
    link.with_name("new").replace(link)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "boston"
    for version in ("1", "2"):
        (directory / "versions" / version).mkdir(parents=True)
        (directory / "versions" / version / "fullchain.pem").touch()
    (directory / "client-ca").mkdir()
    (directory / "client-ca/bundle.pem").write_text("one")
    (directory / "live").symlink_to("versions/1")
    return directory


@pytest.fixture
def told(directory: Path, tmp_path: Path) -> Iterator[Callable[[], list[str]]]:
    """Return the output of the watched server, once it runs."""
    log = tmp_path / "log"
    log.touch()
    command = ["sh", str(SCRIPTS / "watch"), str(directory), "HUP", "sh", "-c", COUNTS, str(log)]
    process = subprocess.Popen(command)

    def lines() -> list[str]:
        return log.read_text("utf-8").split()

    try:
        wait_for(lambda: lines() == ["started"])
        yield lines
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)


def test_a_server_is_reloaded_for_certificates_and_client_cas(
    directory: Path, told: Callable[[], list[str]]
) -> None:
    replace_link(directory / "live", "versions/2")
    wait_for(lambda: told() == ["started", "told"])
    (directory / "client-ca/new.pem").write_text("two")
    (directory / "client-ca/new.pem").replace(directory / "client-ca/bundle.pem")
    wait_for(lambda: told() == ["started", "told", "told"])


def test_the_pod_runs_the_same_script() -> None:
    """A ConfigMap cannot refer to a file."""
    documents = yaml.safe_load_all((SCRIPTS / "pod.yaml").read_text("utf-8"))
    (settings,) = (one["data"] for one in documents if one["kind"] == "ConfigMap")

    assert settings["watch"] == (SCRIPTS / "watch").read_text("utf-8")
