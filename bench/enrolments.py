"""Many enrolments at once: what each costs, and how that grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.certbot_client import Certbot
from bench.figures import Figure
from bench.process_tree import SwitchCounter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.scene import Scene

READY_EACH = 0.5  # seconds at most
ENROLLED_EACH = 2.0


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of each enrolment, of many at once.

    Attributes:
        prepared: Processor for starting and the bootstrap certificate, in milliseconds.
        enrolled: Processor from then on, in milliseconds.
        switches: Context switches from then on.
        seconds: From the start of the process until all are enrolled, for all together.
    """

    prepared: float
    enrolled: float
    switches: float
    seconds: float


def burst(scene: Scene) -> Iterator[Figure]:
    """Enrol many gateways at once, and one with certbot."""
    count = scene.sizes.burst
    scene.say(f"  enrolling {count} gateways")
    cost = enrol(scene, "burst", count)
    certbot = Certbot(scene.directory / "certbot", scene.pebble)
    certbot.certonly("certbot.example.com")  # creates the account as well
    alone = [
        1000 * certbot.certonly(f"certbot{run}.example.com").processor
        for run in range(scene.sizes.runs)
    ]
    yield Figure(
        f"processor for one enrolment, {count} at once",
        "ms",
        [cost.enrolled],
        170,
        50,
        peers={"certbot": alone},
    )
    yield Figure(f"context switches of one enrolment, {count} at once", "", [cost.switches], 3000)
    yield Figure(f"processor for one bootstrap certificate, {count} at once", "ms", [cost.prepared])
    yield Figure(f"start to all of {count} enrolled", "s", [cost.seconds])


def growth(scene: Scene) -> Iterator[Figure]:
    """Enrol fleets of growing size, each from nothing."""
    costs: dict[int, float] = {}
    for count in scene.sizes.growth:
        scene.say(f"  enrolling {count} gateways")
        costs[count] = enrol(scene, f"growth{count}", count).enrolled
        yield Figure(f"processor for one enrolment of {count}", "ms", [costs[count]])
    smallest = min(costs)
    for count in sorted(costs)[1:]:
        yield Figure(
            f"the same, {count} gateways compared with {smallest}",
            "times",
            [costs[count] / costs[smallest]],
            wanted=1.2,
        )


def enrol(scene: Scene, name: str, count: int) -> Cost:
    """Start a daemon on an empty state directory, and wait until all gateways are enrolled."""
    daemon = scene.daemon(name)
    for number in range(count):
        daemon.add_gateway(f"gateway{number}", f"{name}-{number}.example.com")
    with daemon:
        daemon.wait_ready(30 + READY_EACH * count)
        with SwitchCounter(daemon.tree) as counter:
            prepared = daemon.tree.processor_seconds()
            daemon.wait_all_enrolled(count, 30 + ENROLLED_EACH * count)
            seconds = daemon.seconds_since_start
            enrolled = daemon.tree.processor_seconds() - prepared
    return Cost(1000 * prepared / count, 1000 * enrolled / count, counter.count / count, seconds)
