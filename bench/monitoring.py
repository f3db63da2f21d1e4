"""Metrics and the status page: memory of the processes, time and size of the answers."""

from __future__ import annotations

import gzip
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.figures import Figure
from bench.fleet import Fleet
from bench.idle import READY, READY_LARGE, SETTLE, SETTLE_LARGE, memory_of
from harness.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bench.process_tree import ProcessTree
    from bench.scene import MeasuredDaemon, Scene

MEGABYTE = 1e6  # bytes


class Answer(NamedTuple):
    """An answer of a listener.

    Attributes:
        milliseconds: From the connection to the last byte.
        size: Bytes, as they were sent.
        body: As it was sent.
    """

    milliseconds: float
    size: int
    body: bytes


def monitoring(scene: Scene) -> Iterator[Figure]:
    """Observe daemons with and without metrics and page, and ask large ones."""
    yield from _memory(scene)
    yield from _scrape(scene)
    yield from _page(scene)


def _memory(scene: Scene) -> Iterator[Figure]:
    metrics = {"listen": [f"127.0.0.1:{free_port()}"]}
    page = {"listen": [f"127.0.0.1:{free_port()}"]}
    receiver = {"command": ["true"]}
    without = scene.daemon("without")
    measured = _with(scene.daemon("metrics"), metrics=metrics)
    everything = _with(
        scene.daemon("everything"),
        metrics={"listen": [f"127.0.0.1:{free_port()}"]},
        page=page,
        notify=[receiver],
    )
    with ExitStack() as running:
        for daemon in (without, measured, everything):
            Fleet(daemon).add(1)
            running.enter_context(daemon)
            daemon.wait_ready(READY)
        for daemon in (without, measured, everything):
            daemon.tree.settle(SETTLE)
        cores = [_cores(each.tree) for each in (without, measured, everything)]
        pss = [memory_of(each.tree)[1] for each in (without, measured, everything)]
        switches = _switches(measured, scene.sizes.window)
    yield Figure("memory of the core without monitoring: RSS", "MB", cores[0])
    more = [one - other for one, other in zip(cores[1], cores[0], strict=True)]
    yield Figure("more memory of the core with metrics: RSS", "MB", more, None, 5)
    yield Figure("all processes with metrics: PSS", "MB", pss[1])
    yield Figure("all processes with metrics, page and notifications: PSS", "MB", pss[2])
    yield Figure("wake-ups a minute of the monitor, idle", "switches", [switches])


def _scrape(scene: Scene) -> Iterator[Figure]:
    count, port = scene.sizes.fleet, free_port()
    daemon = _with(scene.daemon("scraped"), metrics={"listen": [f"127.0.0.1:{port}"]})
    scene.say(f"  making {count} certificates")
    Fleet(daemon).add(count)
    with daemon:
        daemon.wait_ready(READY_LARGE)
        known = f"gatecert_gateways_known {float(count)}".encode()
        daemon.wait_for(
            lambda: known in _get(port, "/metrics").body,
            "all gateways to be known",
            seconds=READY_LARGE,
        )
        daemon.tree.settle(SETTLE_LARGE)
        answers = [_get(port, "/metrics") for _ in range(scene.sizes.runs)]
        small = [_get(port, "/metrics", compressed=True) for _ in range(scene.sizes.runs)]
    yield Figure(f"scrape of {count} gateways", "ms", _times(answers), None, 200)
    yield Figure(f"scrape of {count} gateways, compressed", "ms", _times(small))
    yield Figure(f"scrape of {count} gateways: size", "MB", _sizes(answers))
    yield Figure(f"scrape of {count} gateways, compressed: size", "MB", _sizes(small))


def _page(scene: Scene) -> Iterator[Figure]:
    count, port = scene.sizes.shown, free_port()
    daemon = _with(scene.daemon("shown"), page={"listen": [f"127.0.0.1:{port}"]})
    Fleet(daemon).add(count)
    with daemon:
        daemon.wait_ready(READY_LARGE)
        daemon.wait_for(
            lambda: _get(port, "/").body.count(b"<svg") >= count,
            "all gateways to be shown",
            seconds=READY_LARGE,
        )
        daemon.tree.settle(SETTLE_LARGE)
        # A filter that all gateways pass makes each a page of its own, which no cache has.
        answers = [_get(port, f"/?q={'gateway'[:length]}") for length in range(1, 6)]
        small = [len(gzip.compress(each.body)) / 1000 for each in answers]
    yield Figure(f"status page of {count} gateways", "ms", _times(answers), None, 300)
    yield Figure(f"status page of {count} gateways: size", "MB", _sizes(answers), None, 1)
    yield Figure(f"status page of {count} gateways, compressed: size", "kB", small, None, 100)


def _with(daemon: MeasuredDaemon, **settings: Any) -> MeasuredDaemon:  # noqa: ANN401 - of YAML
    daemon.configuration.update(settings)
    return daemon


def _get(port: int, path: str, *, compressed: bool = False) -> Answer:
    headers: Mapping[str, str] = {"Accept-Encoding": "gzip"} if compressed else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=dict(headers))
    started = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            body: bytes = answer.read()
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ConnectionRefusedError):
            raise
        body = b""  # it does not listen yet
    return Answer(1000 * (time.perf_counter() - started), len(body), body)


def _times(answers: Sequence[Answer]) -> list[float]:
    return [each.milliseconds for each in answers]


def _sizes(answers: Sequence[Answer]) -> list[float]:
    return [each.size / MEGABYTE for each in answers]


def _cores(tree: ProcessTree) -> list[float]:
    return [tree.memory().root_rss for _ in range(3)]


def _switches(daemon: MeasuredDaemon, seconds: float) -> float:
    """Return how often the monitor wakes up in a minute."""
    (monitor,) = daemon.monitors()
    before = _voluntary(monitor)
    time.sleep(seconds)
    return 60 * (_voluntary(monitor) - before) / seconds


def _voluntary(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text("ascii")
    (line,) = [each for each in status.splitlines() if each.startswith("voluntary")]
    return int(line.split()[1])
