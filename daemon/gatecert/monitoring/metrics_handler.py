"""The paths of a listener for metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatecert.monitoring.exchange import Handler, Request, Response

if TYPE_CHECKING:
    from gatecert.monitoring.metrics import Metrics

HTML: Final = "text/html; charset=utf-8"
INDEX: Final = (
    b'<!doctype html><html lang="en"><title>gatecert</title>'
    b'<p>gatecert: <a href="/metrics">metrics</a></p></html>\n'
)


def metrics_handler(metrics: Metrics) -> Handler:
    """Return what answers ``/metrics``, and ``/`` with a link to it."""

    def answer(request: Request) -> Response:
        match request.path:
            case "/metrics":
                content_type, body = metrics.exposition(request.headers.get("accept", ""))
                return Response(body, content_type=content_type)
            case "/":
                return Response(INDEX, content_type=HTML)
            case _:
                return Response(b"not found\n", status=404)

    return answer
