"""http-01 with a real nginx on port 80: with files that it serves, and as a proxy."""

from __future__ import annotations

import socket
import stat
from typing import TYPE_CHECKING

import pytest
import requests

from harness.pebble import PebbleOptions
from harness.ports import free_port
from harness.recipe import Recipe
from harness.waiting import wait_until

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from conftest import StartPebble
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

BOSTON = "boston"
DIRECTORY = ".well-known/acme-challenge"


def nginx(tmp_path: Path, recipe: str, port: int, places: dict[str, str]) -> Recipe:
    here = {"0.0.0.0:80": f"127.0.0.1:{port}", "[::]:80": ""}
    return Recipe(tmp_path / "nginx", recipe, port=port, places=here | places)


@pytest.fixture
def webroot(tmp_path: Path) -> Path:
    directory = tmp_path / "html"
    directory.mkdir()
    return directory


@pytest.fixture
def behind_files(
    gatecert: Gatecert, names: ChallengeTestServer, hostname: str, webroot: Path
) -> Gatecert:
    names.point(hostname, "127.0.0.1")
    gatecert.configuration["challenges"] = {"http-01": {"webroot": str(webroot)}}
    return gatecert


def use(gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str) -> None:
    """Do what ``Gatecert.use`` does, without changing the challenges."""
    challenges = gatecert.configuration["challenges"]
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname)
    gatecert.configuration["challenges"] = challenges


def test_nginx_serves_the_files_that_gatecert_writes(
    behind_files: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    hostname: str,
    servers: ExitStack,
    tmp_path: Path,
    webroot: Path,
) -> None:
    port = pebble.ports.http01
    servers.enter_context(
        nginx(tmp_path, "nginx-http-01-webroot.conf", port, {"/var/www/html": str(webroot)})
    )
    use(behind_files, pebble, names, hostname)
    behind_files.write()

    result = behind_files.run("enroll")

    assert result.exit_code == 0, result.errors
    assert behind_files.is_enrolled(BOSTON)
    assert list((webroot / DIRECTORY).iterdir()) == []
    elsewhere = requests.get(
        f"http://127.0.0.1:{port}/", timeout=5, allow_redirects=False, headers={"Host": hostname}
    )
    assert elsewhere.headers["Location"] == f"https://{hostname}/"


def test_files_of_a_killed_gatecert_are_removed(
    behind_files: Gatecert,
    start_pebble: StartPebble,
    names: ChallengeTestServer,
    hostname: str,
    servers: ExitStack,
    tmp_path: Path,
    webroot: Path,
) -> None:
    pebble = start_pebble(PebbleOptions(reused_authorizations=0))
    port = pebble.ports.http01
    use(behind_files, pebble, names, hostname)
    directory = webroot / DIRECTORY

    def published() -> list[Path]:
        return [path for path in directory.glob("*") if not path.name.startswith(".")]

    # gatecert is killed while the CA waits for a response.
    with socket.create_server(("127.0.0.1", port)):
        behind_files.start()
        wait_until(published, "a file in the webroot", seconds=20)
        behind_files.process.kill()
    (left,) = published()
    assert stat.S_IMODE(left.stat().st_mode) == 0o644
    servers.enter_context(
        nginx(tmp_path, "nginx-http-01-webroot.conf", port, {"/var/www/html": str(webroot)})
    )

    behind_files.start()

    wait_until(
        lambda: left not in published(),
        "the file to be removed",
        seconds=10,
        explain=behind_files.process.tail,
    )


def test_a_link_in_the_webroot_is_not_followed(
    behind_files: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    hostname: str,
    tmp_path: Path,
    webroot: Path,
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (webroot / ".well-known").symlink_to(elsewhere)
    use(behind_files, pebble, names, hostname)
    behind_files.write()

    result = behind_files.run("enroll")

    assert result.exit_code == 1
    assert ".well-known is a symbolic link" in result.errors
    assert "challenges.http-01.webroot" in result.errors
    assert "Traceback" not in result.errors
    assert list(elsewhere.iterdir()) == []


def test_nginx_forwards_the_requests_of_the_ca(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    hostname: str,
    servers: ExitStack,
    tmp_path: Path,
) -> None:
    own = free_port()
    servers.enter_context(
        nginx(
            tmp_path,
            "nginx-http-01-proxy.conf",
            pebble.ports.http01,
            {"127.0.0.1:888": f"127.0.0.1:{own}"},
        )
    )
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname)
    gatecert.configuration["challenges"] = {"http-01": {"listen": [f"127.0.0.1:{own}"]}}
    gatecert.write()

    result = gatecert.run("enroll")

    assert result.exit_code == 0, result.errors
    assert gatecert.is_enrolled(BOSTON)
