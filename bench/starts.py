"""From the start of a process to certificates in place, and one enrolment in a running daemon."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from bench.caddy_client import CaddyClient
from bench.certbot_client import Certbot
from bench.figures import Figure
from bench.listeners import ADDRESS, Listeners, ports
from harness.handshake import served_certificate
from harness.ocserv import Ocserv
from harness.process import program
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.scene import Scene

POLL = 0.002  # seconds
TWENTY = 20
TIMEOUT = 120.0  # seconds


def from_nothing(scene: Scene) -> Iterator[Figure]:
    """Start the daemon on an empty state directory, with a real gateway, again and again."""
    scene.say(f"  starting with nothing, {scene.sizes.runs} times")
    starts = [_start(scene, run) for run in range(scene.sizes.runs)]
    yield Figure("start to bootstrap in place", "s", [start[0] for start in starts], 0.39, 0.3)
    yield Figure("start to trusted and served, with reload", "s", [start[1] for start in starts])


def warm(scene: Scene) -> Iterator[Figure]:
    """Enrol one gateway after the other while a worker runs, without any reload.

    Each is enrolled when its name comes to point here.
    """
    runs = 2 * scene.sizes.runs
    scene.say(f"  enrolling one after the other, {runs} times, and with certbot")
    with ExitStack() as servers:
        daemon = scene.daemon("warm")
        daemon.configuration["resolver"]["interval"] = "1s"
        hostnames = [f"warm{number}.example.com" for number in range(runs + 1)]
        for number, hostname in enumerate(hostnames):
            daemon.add_gateway(f"gateway{number}", hostname)
            scene.names.point(hostname, "192.0.2.1")
        servers.enter_context(daemon)
        for number, hostname in enumerate(hostnames, start=1):
            scene.names.point(hostname, "127.0.0.1")
            daemon.wait_all_enrolled(number, TIMEOUT)
        taken = daemon.enrolled()
    certbot = Certbot(scene.directory / "certbot", scene.pebble)
    alone = [certbot.certonly(f"certbot{run}.example.com") for run in range(scene.sizes.runs + 1)]
    yield Figure(
        "one warm enrolment without reload",
        "s",
        [taken[f"gateway{number}"] for number in range(1, runs + 1)],
        0.13,
        0.05,
        peers={"certbot": [usage.seconds for usage in alone[1:]]},  # the first has no account yet
    )


def twenty(scene: Scene) -> Iterator[Figure]:
    """Obtain twenty certificates at once; certbot: one after the other."""
    ours: list[float] = []
    theirs: list[float] = []
    our_processor: list[float] = []
    their_processor: list[float] = []
    for run in range(scene.sizes.runs):
        scene.say(f"  {TWENTY} names, {run + 1} of {scene.sizes.runs}")
        seconds, processor = _ours(scene, run)
        ours.append(seconds)
        our_processor.append(processor)
        if run < 2:  # noqa: PLR2004 - Caddy waits between its orders, always alike
            seconds, processor = _caddys(scene, run)
            theirs.append(seconds)
            their_processor.append(processor)
    scene.say(f"  {TWENTY} names with certbot")
    certbot = Certbot(scene.directory / "certbot", scene.pebble)
    used = [certbot.certonly(f"certbot{number}.example.com") for number in range(TWENTY)]
    yield Figure(
        f"{TWENTY} names from start to all trusted",
        "s",
        ours,
        2.8,
        1.2,
        peers={"Caddy": theirs, "certbot": [sum(usage.seconds for usage in used)]},
    )
    yield Figure(
        f"{TWENTY} names from start to all trusted: processor",
        "s",
        our_processor,
        peers={
            "Caddy": their_processor,
            "certbot": [sum(usage.processor for usage in used)],
        },
    )


def _start(scene: Scene, run: int) -> tuple[float, float]:
    """Return the seconds to the bootstrap certificate, and to one that a client trusts."""
    hostname = f"start{run}.example.com"
    daemon = scene.daemon(f"start{run}")
    files = daemon.files("gateway")
    gateway = Ocserv(scene.directory / f"start{run}", **files)
    # The gateway starts when it has a certificate: the first reload may have to wait for it.
    reload = f'until kill -HUP "$(cat {gateway.pid_file})" 2>/dev/null; do sleep 0.01; done'
    install = {"reload": [program("sh"), "-c", reload], "verify": [gateway.address]}
    daemon.add_gateway("gateway", hostname, install=install)

    def is_trusted() -> bool:
        try:
            return bool(
                served_certificate("127.0.0.1", gateway.port, hostname, trusted=scene.pebble.root)
            )
        except OSError:
            return False

    with ExitStack() as servers:
        servers.push(gateway.__exit__)
        servers.enter_context(daemon)
        wait_until(files["fullchain"].exists, "the bootstrap certificate", interval=POLL)
        bootstrapped = daemon.seconds_since_start
        gateway.start()
        explain = daemon.process.tail
        wait_until(is_trusted, "a trusted certificate", seconds=30, explain=explain)
        return bootstrapped, daemon.seconds_since_start


def _ours(scene: Scene, run: int) -> tuple[float, float]:
    """Return seconds and processor time until each certificate is in ``live``.

    A handshake with each then shows that clients trust it.
    """
    daemon = scene.daemon(f"twenty{run}")
    hostnames = {f"gateway{number}": f"run{run}-{number}.example.com" for number in range(TWENTY)}
    for name, hostname in hostnames.items():
        daemon.add_gateway(name, hostname)
    with daemon:
        waiting = list(hostnames)

        def all_are_enrolled() -> bool:
            while waiting and daemon.is_enrolled(waiting[-1]):
                waiting.pop()
            return not waiting

        daemon.wait_for(all_are_enrolled, f"{TWENTY} certificates", seconds=TIMEOUT)
        seconds, processor = daemon.seconds_since_start, daemon.tree.processor_seconds()
        served = dict(zip(ports(TWENTY), hostnames, strict=True))
        lives = {port: daemon.live(name) for port, name in served.items()}
        with Listeners(scene.directory / f"twenty{run}-listeners", lives):
            for port, name in served.items():
                served_certificate(ADDRESS, port, hostnames[name], trusted=scene.pebble.root)
    return seconds, processor


def _caddys(scene: Scene, run: int) -> tuple[float, float]:
    """Return seconds and processor time until Caddy serves each certificate."""
    hostnames = [f"caddy{run}-{number}.example.com" for number in range(TWENTY)]
    with CaddyClient(scene.directory / f"caddy{run}", scene.pebble, hostnames) as caddy:
        caddy.wait_all_trusted(TIMEOUT)
        return caddy.seconds_since_start, caddy.tree.processor_seconds()
