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

    from harness.gatecert import LiveFiles

REUSE = "listen 127.0.0.1:{port} ssl reuseport;"


def copied(files: LiveFiles, directory: Path) -> LiveFiles:
    """The pair that is live now, as files that no later pair replaces."""
    directory.mkdir()
    for path in (files["fullchain"], files["private_key"]):
        (directory / path.name).write_bytes(path.read_bytes())
    return {
        "fullchain": directory / files["fullchain"].name,
        "private_key": directory / files["private_key"].name,
    }


# ---------------------------------------------------------------------- 39


def test_row_39_two_servers_on_one_port(scene: Scene) -> None:
    gatecert = scene.gatecert()
    issued(gatecert.run("enroll"))
    old = copied(gatecert.files(VPN), scene.directory / "old")
    port = free_port()
    shared = REUSE.format(port=port)
    first = Nginx(
        scene.directory / "first",
        **old,
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
    old = copied(gatecert.files(VPN), scene.directory / "old")
    port = free_port()
    good = Nginx(
        scene.directory / "good",
        **gatecert.files(VPN),
        more=f"listen 127.0.0.2:{port} ssl;",
    )
    stale = Nginx(
        scene.directory / "stale",
        **old,
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
