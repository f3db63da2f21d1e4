"""The status page: all gateways as HTML and JSON, the endpoints of health checks, and events.

Read-only. Everything that is shown may come from a CA, a DNS server or a certificate: the template
escapes it, `Renderer` removes characters that are not printable, and the policy of the page
(https://www.w3.org/TR/CSP3/) allows no script and no style but its own, by their hashes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatecert.monitoring.event_stream import changes
from gatecert.monitoring.exchange import Response
from gatecert.monitoring.page_view import (
    MOST_WITH_HISTORY,
    Filter,
    ListView,
    gateway_view,
    grouped,
    head,
    row,
)
from gatecert.monitoring.rendering import Renderer
from gatecert.report.as_of import as_of
from gatecert.report.gateway_status import as_json
from gatecert.report.health import HealthLevel, health_problems
from gatecert.report.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from datetime import datetime

    from gatecert.monitoring.exchange import Request
    from gatecert.monitoring.overview import Overview
    from gatecert.monitoring.page_view import Row
    from gatecert.report.gateway_status import GatewayStatus

HTML: Final = "text/html; charset=utf-8"
GATEWAYS: Final = "/gateways/"
MOST_KEPT: Final = 16  # responses that are kept for a minute
ALWAYS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
UNSERVABLE, NOT_FOUND, BAD_REQUEST = 503, 404, 400


class Page:
    """Answers the requests for the status page.

    Args:
        overview: What is shown.
        now: Returns the current time, aware.
    """

    def __init__(self, overview: Overview, now: Callable[[], datetime]) -> None:
        self._overview = overview
        self._now = now
        self._renderer = Renderer()
        self._moment: Hashable = None
        self._statuses: tuple[GatewayStatus, ...] = ()
        self._rows: list[Row] = []
        self._kept: dict[Hashable, bytes] = {}
        self._answers: dict[str, Callable[[Request], Response]] = {
            "/": self._list,
            "/status.json": self._json,
            "/healthz": self._health,
            "/readyz": self._readiness,
            "/events": self._events,
        }

    def __call__(self, request: Request) -> Response:
        """Return the response."""
        if request.path.startswith(GATEWAYS):
            return self._gateway(request.path.removeprefix(GATEWAYS))
        answer = self._answers.get(request.path)
        return answer(request) if answer is not None else _text(["not found"], NOT_FOUND)

    def _list(self, request: Request) -> Response:
        chosen = Filter.of(request.query)

        def make() -> bytes:
            now = self._now()
            if len(self._rows) != len(self._statuses):
                with_history = len(self._statuses) <= MOST_WITH_HISTORY
                self._rows = [row(one, now, with_history=with_history) for one in self._statuses]
            shown = [each for each in self._rows if chosen.allows(each)]
            view = ListView(
                number=self._overview.number,
                head=head(self._overview, self._statuses, now),
                groups=grouped(shown),
                total=len(self._rows),
                shown=len(shown),
                filter=chosen,
            )
            return self._renderer.list_page(view)

        return self._html(self._once(("list", chosen), make))

    def _gateway(self, name: str) -> Response:
        if name not in self._overview.names:
            return _text(["not found: no gateway of the configuration has this name"], NOT_FOUND)
        if name not in self._overview.statuses:
            why = self._overview.unreadable.get(name, "")
            told = f"its status cannot be read: {why}" if why else "not read yet; try again soon"
            return _text([f"{name}: {told}"], UNSERVABLE)

        def make() -> bytes:
            now = self._now()
            one = as_of(self._overview.statuses[name], now)
            top = head(self._overview, self._statuses, now)
            return self._renderer.gateway_page(gateway_view(self._overview, one, top, now))

        return self._html(self._once(("gateway", name), make))

    def _json(self, _: Request) -> Response:
        def make() -> bytes:
            text = as_json(
                self._statuses,
                now=self._now(),
                daemon=self._overview.daemon,
                monitoring=self._overview.monitoring,
            )
            return f"{text}\n".encode()

        body = self._once("json", make)
        return Response(body, content_type="application/json", headers=ALWAYS)

    def _health(self, _: Request) -> Response:
        return _text([] if self._overview.daemon is not None else ["daemon not running"])

    def _readiness(self, request: Request) -> Response:
        wanted = request.query.get("level", HealthLevel.SERVING)
        if wanted not in set(HealthLevel):
            return _text([f"level: use {' or '.join(HealthLevel)}"], BAD_REQUEST)
        now, overview = self._now(), self._overview
        statuses = [as_of(one, now) for one in overview.described]
        problems = health_problems(statuses, overview.daemon, HealthLevel(wanted), now)
        if not problems and not overview.complete:
            missing = len(overview.order) - len(statuses)
            unread = f"{missing} of {len(overview.order)} gateways not read yet"
            problems = [unread if missing else "daemon starts: not every gateway can serve yet"]
        return _text(problems)

    def _events(self, request: Request) -> Response:
        seen = request.headers.get("last-event-id") or request.query.get("since", "")
        return Response(
            content_type="text/event-stream",
            headers={**ALWAYS, "X-Accel-Buffering": "no"},  # nginx passes each event on at once
            stream=changes(self._overview, seen),
        )

    def _html(self, body: bytes) -> Response:
        headers = {**ALWAYS, "Content-Security-Policy": self._renderer.policy}
        return Response(body, content_type=HTML, headers=headers)

    def _once(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """Return what was made for this key since the last change and in this minute."""
        overview, now = self._overview, self._now()
        moment = (
            overview.number,
            overview.daemon,
            overview.monitoring,
            now.replace(second=0, microsecond=0),
        )
        if moment != self._moment:
            self._moment = moment
            self._kept.clear()
            self._rows = []
            self._statuses = tuple(as_of(one, now) for one in overview.described)
        if key not in self._kept:
            if len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = make()
        return self._kept[key]


def _text(problems: list[str], status: int = UNSERVABLE) -> Response:
    """Return the problems with this status, or ``ok``."""
    if not problems:
        return Response(b"ok\n", headers=ALWAYS)
    lines = "".join(f"{one_line(each)[:1_000]}\n" for each in problems)
    return Response(lines.encode("utf-8", "replace"), status, headers=ALWAYS)
