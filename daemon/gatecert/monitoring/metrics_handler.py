"""The paths of a listener for metrics."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from gatecert.monitoring.exchange import Handler, Request, Response
from gatecert.monitoring.exposition import Format, choose_format

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.monitoring.metrics import Metrics

KEPT_SECONDS: Final = 1.0  # many clients at once share one body of 5 to 9 MB
HTML: Final = "text/html; charset=utf-8"
INDEX: Final = (
    b'<!doctype html><html lang="en"><title>gatecert</title>'
    b'<p>gatecert: <a href="/metrics">metrics</a></p></html>\n'
)


def metrics_handler(metrics: Metrics, now: Callable[[], float] = time.monotonic) -> Handler:
    """Return what answers ``/metrics``, and ``/`` with a link to it.

    Args:
        metrics: What is shown.
        now: Seconds on a clock that is never set.
    """
    kept: dict[Format, tuple[bytes, float]] = {}  # with when it was made

    def answer(request: Request) -> Response:
        match request.path:
            case "/metrics":
                accept = request.headers.get("accept", "")
                chosen = choose_format(accept)
                if chosen not in kept or now() - kept[chosen][1] >= KEPT_SECONDS:
                    kept[chosen] = (metrics.exposition(accept)[1], now())
                return Response(kept[chosen][0], content_type=chosen.content_type)
            case "/":
                return Response(INDEX, content_type=HTML)
            case _:
                return Response(b"not found\n", status=404)

    return answer
