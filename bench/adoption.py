"""Adoption of certbot's lineages beside a server that is asked all the time."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from bench.figures import Figure
from bench.usage import used_by
from harness.gatecert import Gatecert
from harness.handshake import HandshakeLoop
from harness.nginx import Nginx
from harness.other_clients import Certbot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.scene import Scene

LINEAGES = 50


def adopt(scene: Scene) -> Iterator[Figure]:
    """Adopt lineages with real certificates, while handshakes go on."""
    scene.say(f"  adopt {LINEAGES} lineages of certbot, {scene.sizes.runs} times")
    certbot = _lineages(scene)
    first = _hostname(0)
    server = Nginx(
        scene.directory / "nginx",
        fullchain=certbot.fullchain(first),
        private_key=certbot.private_key(first),
    )
    seconds, failed, orders = [], 0, 0
    with server:
        for run in range(scene.sizes.runs):
            ours = Gatecert(scene.directory / f"adopted-{run}").use(scene.pebble, scene.names)
            ours.write()
            before = scene.pebble.orders()
            with HandshakeLoop("127.0.0.1", server.port, first, interval=0.01) as loop:
                command = [*ours.command, "adopt", str(certbot.home), "--verify", server.address]
                usage = used_by(command)
            if usage.exit_code or len(ours.run("status", "--json").json()["gateways"]) != LINEAGES:
                raise RuntimeError(f"adopt failed: {usage.output}")
            seconds.append(usage.seconds)
            failed += len(loop.failures)
            orders += scene.pebble.orders() - before
    yield Figure(f"`adopt` of {LINEAGES} lineages: time", "s", seconds, wanted=5)
    yield Figure(f"`adopt` of {LINEAGES} lineages: orders", "", [orders], wanted=0)
    yield Figure(f"`adopt` of {LINEAGES} lineages: failed handshakes", "", [failed], wanted=0)


def _lineages(scene: Scene) -> Certbot:
    """Issue one lineage with certbot, and make the others from it, with certificates of their own.

    certbot takes minutes for as many; gatecert takes seconds.
    """
    certbot = Certbot(scene.directory / "certbot", scene.pebble)
    first = _hostname(0)
    certbot.issue(first)
    issuer = scene.daemon("issuer")
    for number in range(1, LINEAGES):
        issuer.add_gateway(f"gateway-{number}", _hostname(number))
    with issuer:
        issuer.wait_all_enrolled(LINEAGES - 1, 60)
    for number in range(1, LINEAGES):
        _copy(certbot.home, first, _hostname(number), issuer.live(f"gateway-{number}"))
    return certbot


def _copy(home: Path, first: str, hostname: str, live: Path) -> None:
    """Make a lineage like the first one."""
    archive, links = home / "archive" / hostname, home / "live" / hostname
    archive.mkdir(parents=True)
    links.mkdir(parents=True)
    for name in ("cert", "chain", "fullchain", "privkey"):
        shutil.copyfile(live / f"{name}.pem", archive / f"{name}1.pem")
        (links / f"{name}.pem").symlink_to(f"../../archive/{hostname}/{name}1.pem")
    settings = (home / "renewal" / f"{first}.conf").read_text("utf-8")
    (home / "renewal" / f"{hostname}.conf").write_text(settings.replace(first, hostname), "utf-8")


def _hostname(number: int) -> str:
    return f"host-{number}.example.com"
