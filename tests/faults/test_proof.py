"""Rows 39 and 40: a proof that holds for every client."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

from tests.faults.scene import VPN, Scene, issued, refused
from tests.faults.test_gateway import der, served

from harness.nginx import Nginx
from harness.ports import free_port
from harness.process import program

if TYPE_CHECKING:
    from pathlib import Path

REUSE = "listen 127.0.0.1:{port} ssl reuseport;"

# ---------------------------------------------------------------------- 39


def test_row_39_two_servers_on_one_port(scene: Scene) -> None:
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    old = scene.directory / "old"
    old.mkdir()
    for name in ("fullchain", "privkey"):
        (old / f"{name}.pem").write_bytes((gatecert.live(VPN) / f"{name}.pem").read_bytes())
    port = free_port()
    shared = REUSE.format(port=port)
    first = Nginx(
        scene.directory / "first",
        fullchain=old / "fullchain.pem",
        private_key=old / "privkey.pem",
        more=shared,
    )
    second = Nginx(scene.directory / "second", **gatecert.files(VPN), more=shared)
    for server in (first, second):
        scene.servers.enter_context(server)
    reloads = scene.directory / "reloads"
    reload = ["/bin/sh", "-c", f"echo >> {reloads}; kill -HUP $(cat {second.pid_file})"]
    gatecert.configuration["gateways"][VPN]["install"] = {
        "reload": reload,
        "verify": [f"127.0.0.1:{port}"],
        "verify_timeout": "2s",
    }
    gatecert.write()
    refused(gatecert.run("enroll", "--force"), "two servers share the port", "nginx (pid ")
    live = gatecert.certificate(VPN)
    assert served(second) == der(live)
    status = gatecert.status(VPN)
    assert (status["state"], status["last_error"]["code"]) == ("mixed", "mixed")
    before = reloads.read_text("utf-8")

    gatecert.run("enroll")
    gatecert.run("enroll")
    assert reloads.read_text("utf-8") == before, "reloads again, which changes nothing"
    assert gatecert.certificate(VPN) == live

    first.process.stop()
    issued(gatecert.run("enroll"))
    assert gatecert.state(VPN) == "trusted"
    assert scene.pebble.orders() == 2


# ---------------------------------------------------------------------- 40


def in_a_mount_namespace(hosts: Path, argv: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command that sees another /etc/hosts."""
    script = f'mount --bind {hosts} /etc/hosts && exec "$@"'
    mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
    return subprocess.run(
        [program("unshare"), *mapped, "--mount", "/bin/sh", "-c", script, "sh", *argv],
        text=True,
        check=False,
        capture_output=True,
    )


def test_row_40_one_address_of_several_is_stale(scene: Scene) -> None:
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    old = scene.directory / "old"
    old.mkdir()
    for name in ("fullchain", "privkey"):
        (old / f"{name}.pem").write_bytes((gatecert.live(VPN) / f"{name}.pem").read_bytes())
    port = free_port()
    good = Nginx(
        scene.directory / "good",
        **gatecert.files(VPN),
        more=f"listen 127.0.0.2:{port} ssl;",
    )
    stale = Nginx(
        scene.directory / "stale",
        fullchain=old / "fullchain.pem",
        private_key=old / "privkey.pem",
        more=f"listen 127.0.0.3:{port} ssl;",
    )
    for server in (good, stale):
        scene.servers.enter_context(server)
    hosts = scene.directory / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.0.2 edge.test\n127.0.0.3 edge.test\n", "utf-8")
    gatecert.configuration["gateways"][VPN]["install"] = {
        "reload": good.reload_command,
        "verify": [f"edge.test:{port}"],
        "verify_timeout": "2s",
    }
    gatecert.write()
    result = in_a_mount_namespace(hosts, [*gatecert.command, "enroll", "--force"])
    assert result.returncode == 1
    assert f"edge.test:{port} (127.0.0.3) still serves" in result.stderr
    assert f"edge.test:{port} (127.0.0.2)" not in result.stderr
    live = gatecert.certificate(VPN)
    assert served(good) == der(live)
    assert gatecert.last_error(VPN) == "not-served"
