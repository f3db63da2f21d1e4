"""Volumes that are mounted wrongly or in part: the error says what is wrong and what to do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.container.conftest import BOSTON, FILES, HOSTNAME

from harness.container import Container, Sidecar

if TYPE_CHECKING:
    from pathlib import Path

    from tests.container.conftest import Outside, Tell

    from harness.container import Podman

IMAGE = "localhost/gatecert"
STATE = "/var/lib/gatecert"
LIMIT = 5  # certificates a week for the same names, as at Let's Encrypt
COPY = "/etc/gateway/boston.pem"


@pytest.fixture
def configuration(outside: Outside, tmp_path: Path) -> Path:
    """Return the compose file's gatecert, without its gateway."""
    settings = outside.adapt(yaml.safe_load((FILES / "compose-gatecert.yaml").read_text("utf-8")))
    settings["gateways"][BOSTON]["install"] = {"copy_to": [{"path": COPY, "contents": "combined"}]}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(settings), "utf-8")
    return path


def sidecar(podman: Podman, outside: Outside, configuration: Path, *volumes: str) -> Sidecar:
    options = [
        *("--read-only", "--read-only-tmpfs=false", "--cap-drop=ALL", outside.mounted),
        f"--volume={configuration}:/etc/gatecert/config.yaml:ro",
        *(f"--volume={volume}" for volume in volumes),
    ]
    return Sidecar(podman, "gatecert", IMAGE, options)


def test_a_copy_mounted_as_a_file_is_reported(
    podman: Podman, outside: Outside, configuration: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "gateway"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "boston.pem").touch(0o666)
    volumes = (f"{folder}:/etc/gateway", f"{folder / 'boston.pem'}:{COPY}")
    mounted = sidecar(podman, outside, configuration, *volumes).start()
    mounted.wait_for(lambda: f"cannot replace {COPY}" in mounted.log, "the copy to be refused")
    assert "it is a mount point" in mounted.log
    assert "mount /etc/gateway instead: a mounted file cannot be replaced" in mounted.log


def test_a_gateway_that_mounts_a_single_file_is_detected(
    podman: Podman, outside: Outside, configuration: Path, tmp_path: Path
) -> None:
    """Mount a single file, which never changes; only a handshake shows that."""
    settings = yaml.safe_load(configuration.read_text("utf-8"))
    settings["gateways"][BOSTON]["install"] = {
        "verify": ["127.0.0.1:8443"],
        "verify_timeout": "3s",
        "key_group": "10001",
    }
    configuration.write_text(yaml.safe_dump(settings), "utf-8")
    mounted = sidecar(podman, outside, configuration, f"gatecert:{STATE}").start()
    mounted.wait_for(lambda: mounted.is_healthy, "a certificate")
    live = podman.volume("gatecert") / "gateways" / BOSTON / "live"
    server = (FILES / "gateway.conf").read_text("utf-8")
    (tmp_path / "gateway.conf").write_text(server.replace(str(live.parent), "/certs"), "utf-8")
    options = [
        *("--user=101:10001", "--tmpfs=/tmp"),
        f"--volume={FILES / 'gateway.conf'}:/etc/nginx/conf.d/default.conf:ro",
        *(
            f"--volume={(live / name).resolve()}:{STATE}/gateways/{BOSTON}/live/{name}:ro"
            for name in ("fullchain.pem", "privkey.pem")
        ),
    ]
    gateway = Container(
        podman, "gateway", "localhost/nginx", options, ["nginx", "-g", "daemon off;"]
    )
    gateway.start()
    gateway.wait_for(outside.served, "the gateway to serve")

    outside.names.point(HOSTNAME, "127.0.0.1")
    said = "a single mounted file never changes"
    mounted.wait_for(lambda: said in mounted.log, "gatecert to find out")
    assert outside.served(trusted=True) is None


def test_a_volume_of_another_user_is_reported(
    podman: Podman, outside: Outside, configuration: Path, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    mounted = sidecar(podman, outside, configuration, f"{tmp_path / 'state'}:{STATE}").start()
    assert mounted.wait() == 1
    (line, *_) = [one for one in mounted.log.splitlines() if STATE in one]
    assert f"let user 10001 own {STATE}, which belongs to user root" in line


def test_files_of_another_user_in_the_volume_are_reported(
    podman: Podman, outside: Outside, configuration: Path, tmp_path: Path
) -> None:
    """Give the directory back to its user, but not the files in it, as after a run as root."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "gateways").mkdir(mode=0o700)
    (tmp_path / "state").chmod(0o777)
    mounted = sidecar(podman, outside, configuration, f"{tmp_path / 'state'}:{STATE}").start()
    said = f"let user 10001 own {STATE}/gateways, which belongs to user root"
    mounted.wait_for(lambda: said in mounted.log, "gatecert to complain")


def test_with_an_empty_volume_and_a_kept_account_rate_limits_hold(
    podman: Podman, outside: Outside, configuration: Path, tell: Tell
) -> None:
    settings = yaml.safe_load(configuration.read_text("utf-8"))
    settings["gateways"][BOSTON]["install"] = {}
    configuration.write_text(yaml.safe_dump(settings), "utf-8")
    outside.names.point(HOSTNAME, "127.0.0.1")
    remembered = [f"{name}:{STATE}/{name}" for name in ("accounts", "spending")]
    options = sidecar(podman, outside, configuration, *remembered).options
    begin = time.monotonic()
    for _ in range(LIMIT):
        ended = podman.last(*options, IMAGE, "enroll")
        assert ended.exit_code == 0, ended.errors
    assert outside.pebble.certificates() == LIMIT

    asked = len(outside.pebble.requests())
    ended = podman.last(*options, IMAGE, "enroll")
    tell(
        f"{LIMIT + 1} empty volumes in {time.monotonic() - begin:.1f} s: "
        f"{outside.pebble.certificates()} certificates of 1 account, the last asked for nothing"
    )
    assert "nothing was sent" in ended.output + ended.errors
    assert not [one for one in outside.pebble.requests()[asked:] if one.startswith("POST")]
    assert outside.pebble.accounts() == 1
    assert outside.pebble.certificates() == outside.pebble.orders() == LIMIT
