"""Daemons with nothing to do: memory, wake-ups, processor."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.caddy_client import CaddyClient
from bench.figures import Figure
from bench.fleet import ADDRESS, WATCH_INTERVAL, Fleet
from bench.listeners import Listeners, ports
from bench.process_tree import ProcessTree, SwitchCounter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.scene import Scene

SETTLE = 120.0  # seconds at most
SETTLE_LARGE = 300.0
READY = 60.0
READY_LARGE = 600.0
MEMORY_SAMPLES, MEMORY_PAUSE = 5, 1.0  # seconds between two of them
CADDY = "Caddy"


def one_gateway(scene: Scene) -> Iterator[Figure]:
    """Observe the daemon with one gateway, and Caddy with one name."""
    with ExitStack() as servers:
        daemon = scene.daemon("idle")
        Fleet(daemon).add(1)
        servers.enter_context(daemon)
        caddy = servers.enter_context(
            CaddyClient(scene.directory / "caddy", scene.pebble, ["caddy.example.com"])
        )
        caddy.wait_all_trusted(READY)
        daemon.wait_ready(READY)
        scene.say("  waiting until both are idle")
        daemon.tree.settle(SETTLE)
        caddy.tree.settle(SETTLE)
        scene.say(f"  processes of gatecert: {len(daemon.tree.pids())}")
        ours, theirs = memory_of(daemon.tree), memory_of(caddy.tree)
        yield Figure("idle memory, 1 gateway: RSS", "MB", ours[0], 70, 30, peers={CADDY: theirs[0]})
        yield Figure("idle memory, 1 gateway: PSS", "MB", ours[1], 60, 20, peers={CADDY: theirs[1]})
        listening = ports(1)[0]
        watching = scene.daemon("watching")
        hostname, listener = "watching.example.com", f"{ADDRESS}:{listening}"
        Fleet(watching).add_gateway("gateway", hostname, listener=listener)
        served = {listening: watching.live("gateway")}
        servers.enter_context(Listeners(scene.directory / "listener", served))
        servers.enter_context(watching)
        watching.wait_ready(READY)
        watching.tree.settle(SETTLE)
        window = scene.sizes.window
        scene.say(f"  observing both, and a daemon with a listener, for {window:g} s")
        mine, other, with_listener = observe(window, daemon.tree, caddy.tree, watching.tree)
        yield Figure(
            "wake-ups a minute, idle, 1 gateway",
            "switches",
            [mine.switches],
            110,
            6,
            peers={CADDY: [other.switches]},
        )
        yield Figure(
            "idle processor, 1 gateway",
            "% of a core",
            [mine.processor],
            peers={CADDY: [other.processor]},
        )
    if window >= WATCH_INTERVAL.total_seconds():  # less would see a look by chance only
        what = "1 gateway with a listener"
        yield Figure(f"wake-ups a minute, idle, {what}", "switches", [with_listener.switches])
        yield Figure(f"idle processor, {what}", "% of a core", [with_listener.processor])


def watched_gateways(scene: Scene) -> Iterator[Figure]:
    """Observe the daemon with many gateways, each with a listener."""
    count = scene.sizes.watched
    daemon = scene.daemon("watched")
    fleet = Fleet(daemon)
    listening = ports(count)
    for number, port in enumerate(listening):
        name = f"gateway{number}"
        fleet.add_gateway(name, f"{name}.example.com", listener=f"{ADDRESS}:{port}")
    served = {port: daemon.live(f"gateway{number}") for number, port in enumerate(listening)}
    with Listeners(scene.directory / "listeners", served), daemon:
        daemon.wait_ready(READY)
        scene.say(f"  waiting until a daemon with {count} gateways is idle")
        daemon.tree.settle(SETTLE)
        scene.say(f"  observing it for {scene.sizes.window:g} s")
        (seen,) = observe(scene.sizes.window, daemon.tree)
    yield Figure(
        f"idle processor, {count} gateways with a listener each",
        "% of a core",
        [seen.processor],
        14,
        1,
    )


def large_fleet(scene: Scene) -> Iterator[Figure]:
    """Start a daemon with very many gateways that are enrolled, and observe it."""
    count = scene.sizes.fleet
    small, large = scene.daemon("one"), scene.daemon("large")
    Fleet(small).add(1)
    scene.say(f"  making {count} certificates")
    Fleet(large).add(count)
    with small:
        small.wait_ready(READY)
        small.tree.settle(SETTLE)
        alone = small.tree.memory().root_rss
    scene.say("  starting the daemon for the first time")
    with large:
        first = large.wait_ready(READY_LARGE)
        large.tree.settle(SETTLE_LARGE)
    yield Figure(f"{count} gateways: the first start to ready", "s", [first])
    starts = []
    for run in range(scene.sizes.runs):
        scene.say(f"  starting it again, {run + 1} of {scene.sizes.runs}")
        with large:
            starts.append(large.wait_ready(READY_LARGE))
            if run + 1 < scene.sizes.runs:
                continue
            large.tree.settle(SETTLE_LARGE)
            memory = large.tree.memory()
            scene.say(f"  observing it for {scene.sizes.window:g} s")
            (seen,) = observe(scene.sizes.window, large.tree)
    yield Figure(f"{count} gateways: start to ready, all enrolled", "s", starts, wanted=5)
    each = (memory.root_rss - alone) * 1000 / (count - 1)
    yield Figure(f"{count} gateways: memory of the core for each", "kB", [each], wanted=4)
    yield Figure(f"{count} gateways: idle processor", "% of a core", [seen.processor], wanted=10)


@dataclass(frozen=True, slots=True)
class Observation:
    """The activity of a tree of processes while it was observed.

    Attributes:
        processor: Percent of one core.
        switches: Context switches a minute.
    """

    processor: float
    switches: float


def observe(seconds: float, *trees: ProcessTree) -> list[Observation]:
    """Observe trees of processes at the same time."""
    with ExitStack() as counting:
        counters = [counting.enter_context(SwitchCounter(tree)) for tree in trees]
        before = [tree.processor_seconds() for tree in trees]
        started = time.monotonic()
        time.sleep(seconds)
        after = [tree.processor_seconds() for tree in trees]
        passed = time.monotonic() - started
    return [
        Observation(100 * (end - start) / passed, 60 * counter.count / passed)
        for start, end, counter in zip(before, after, counters, strict=True)
    ]


def memory_of(tree: ProcessTree) -> tuple[list[float], list[float]]:
    """Return samples of RSS and PSS of all processes, in MB."""
    samples = []
    for _ in range(MEMORY_SAMPLES):
        samples.append(tree.memory())
        time.sleep(MEMORY_PAUSE)
    return [each.rss for each in samples], [each.pss for each in samples]
