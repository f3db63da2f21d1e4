"""Commands beside the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.certbot_client import Certbot
from bench.figures import Figure
from bench.usage import used_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.scene import Scene


def status(scene: Scene) -> Iterator[Figure]:
    """Ask for the status of one gateway; certbot: list one certificate."""
    scene.say(f"  status, {scene.sizes.runs} times")
    daemon = scene.daemon("status").add_gateway("gateway", "status.example.com")
    with daemon:
        daemon.wait_all_enrolled(1, 30)
        used = [used_by([*daemon.command, "status"]) for _ in range(scene.sizes.runs)]
    for usage in used:
        if usage.exit_code:
            raise RuntimeError(f"status failed: {usage.output}")
    certbot = Certbot(scene.directory / "certbot", scene.pebble)
    certbot.certonly("certbot.example.com")
    listed = [certbot.certificates() for _ in range(scene.sizes.runs)]
    yield Figure(
        "`status` with 1 gateway: processor",
        "s",
        [usage.processor for usage in used],
        0.67,
        0.2,
        peers={"certbot": [usage.processor for usage in listed]},
    )
    yield Figure(
        "`status` with 1 gateway: time",
        "s",
        [usage.seconds for usage in used],
        peers={"certbot": [usage.seconds for usage in listed]},
    )
