"""The counted requests to one CA in memory, found by kind and group.

The index is the sum of all changes in their order (`UsageIndex.apply`), so every process that
reads the same changes has the same index. A group is what a rate limit counts together, for example
the requests of one account. An index by group is built when it is first asked for, and kept up to
date from then on.

A request in the future counts from the moment that is noticed (``CountedRequest.noticed``). After a
review at an instant, exactly the requests after it are marked, so the next review looks only at
those between the two instants unless the clock was set back.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from gatecert.model import CountedRequest, RequestKind, UsageChange

if TYPE_CHECKING:
    from datetime import datetime

Grouping: TypeAlias = Callable[[CountedRequest], Iterable[Hashable]]
"""Returns the groups of a request, each once; must not depend on ``noticed``."""


@dataclass(slots=True, eq=False)
class _Entry:
    """A request in its place.

    Attributes:
        number: Its place in the order of counting.
    """

    number: int
    request: CountedRequest

    @property
    def place(self) -> tuple[datetime, int]:
        """Its place in the order of time."""
        return self.request.at, self.number


class UsageIndex:
    """The requests to one CA; not safe for threads."""

    def __init__(self, changes: Iterable[UsageChange] = ()) -> None:
        self._number = 0
        self._entries: dict[int, _Entry] = {}
        self._by_time: list[_Entry] = []
        self._by_id: dict[tuple[RequestKind, str], _Entry] = {}
        self._by_order: defaultdict[str, dict[int, _Entry]] = defaultdict(dict)
        self._groups: dict[tuple[RequestKind, Grouping], dict[Hashable, list[_Entry]]] = {}
        self._sizes: Counter[RequestKind] = Counter()
        self._reviewed: datetime | None = None
        for change in changes:
            self.apply(change)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def requests(self) -> tuple[CountedRequest, ...]:
        """All requests, in the order of counting."""
        return tuple(entry.request for entry in self._entries.values())

    @property
    def latest(self) -> datetime | None:
        """The latest time of a request."""
        return self._by_time[-1].request.at if self._by_time else None

    def count(self, kind: RequestKind) -> int:
        """Return the number of requests of a kind."""
        return self._sizes[kind]

    def find(self, wanted: CountedRequest) -> CountedRequest | None:
        """Return the request with the same kind and id; None for a request without an id."""
        found = self._by_id.get((wanted.kind, wanted.id)) if wanted.id else None
        return None if found is None else found.request

    def instants(  # noqa: PLR0913 - what, of whom, and from when to when
        self,
        kind: RequestKind,
        grouping: Grouping,
        group: Hashable,
        *,
        since: datetime,
        now: datetime,
        count: int,
    ) -> list[datetime]:
        """Return the instants from which the newest requests of a group count, oldest first.

        Args:
            kind: The kind of the requests.
            grouping: What the limit counts together.
            group: One of the groups.
            since: Requests up to here no longer count.
            now: The clock's time.
            count: How many at most.
        """
        members = self._grouped(kind, grouping).get(group, [])
        end = bisect_right(members, now, key=_time)
        begin = max(0, end - count)
        newest = [entry.request.at for entry in members[begin:end]]
        if end < len(members):
            newest = sorted([*newest, *(_noticed(entry, now) for entry in members[end:])])
        return [instant for instant in newest[-count:] if instant > since]

    def needs_review(self, now: datetime) -> bool:
        """Tell whether a mark of a request in the future is missing or out of date."""
        return any(True for _ in self._unreviewed(now))

    def apply(self, change: UsageChange) -> None:
        """Make a change."""
        now = change.clock
        if now is not None:
            for entry, request in self._unreviewed(now):
                entry.request = request
            self._reviewed = now
        for request in change.counted:
            self._add(request)
            if now is None or with_mark(request, now) is not request:
                self._reviewed = None
        for entry in list(self._by_order.get(change.validated, {}).values()):
            self._remove(entry)

    def _unreviewed(self, now: datetime) -> Iterator[tuple[_Entry, CountedRequest]]:
        """Yield the entries whose marks change, and what becomes of their requests."""
        begin, end = 0, None
        if self._reviewed is not None:
            begin = bisect_right(self._by_time, min(now, self._reviewed), key=_time)
            if self._reviewed <= now:
                end = bisect_right(self._by_time, now, lo=begin, key=_time)
        for entry in self._by_time[begin:end]:
            request = with_mark(entry.request, now)
            if request is not entry.request:
                yield entry, request

    def _grouped(self, kind: RequestKind, grouping: Grouping) -> dict[Hashable, list[_Entry]]:
        if (kind, grouping) not in self._groups:
            groups: dict[Hashable, list[_Entry]] = {}
            for entry in self._by_time:
                if entry.request.kind is kind:
                    for group in grouping(entry.request):
                        groups.setdefault(group, []).append(entry)
            self._groups[kind, grouping] = groups
        return self._groups[kind, grouping]

    def _add(self, request: CountedRequest) -> None:
        earlier = self._by_id.get((request.kind, request.id)) if request.id else None
        if earlier is not None:
            self._remove(earlier)
        entry = _Entry(self._number, request)
        self._number += 1
        self._entries[entry.number] = entry
        self._sizes[request.kind] += 1
        _insert(self._by_time, entry)
        if request.id:
            self._by_id[request.kind, request.id] = entry
        if order := _validated_order(request):
            self._by_order[order][entry.number] = entry
        for groups, group in self._groups_of(request):
            _insert(groups.setdefault(group, []), entry)

    def _remove(self, entry: _Entry) -> None:
        request = entry.request
        del self._entries[entry.number]
        self._sizes[request.kind] -= 1
        _delete(self._by_time, entry)
        if request.id:
            del self._by_id[request.kind, request.id]
        if order := _validated_order(request):
            del self._by_order[order][entry.number]
            if not self._by_order[order]:
                del self._by_order[order]
        for groups, group in self._groups_of(request):
            _delete(groups[group], entry)
            if not groups[group]:
                del groups[group]

    def _groups_of(
        self, request: CountedRequest
    ) -> Iterator[tuple[dict[Hashable, list[_Entry]], Hashable]]:
        for (kind, grouping), groups in self._groups.items():
            if kind is request.kind:
                for group in grouping(request):
                    yield groups, group


def with_mark(request: CountedRequest, now: datetime) -> CountedRequest:
    """Mark a request with the current time if it seems to be in the future.

    Returns:
        The same object if nothing changes.
    """
    if request.at <= now:
        return request if request.noticed is None else replace(request, noticed=None)
    known = request.noticed
    return request if known is not None and known <= now else replace(request, noticed=now)


def _noticed(entry: _Entry, now: datetime) -> datetime:
    """Return the instant from which a request in the future counts."""
    known = entry.request.noticed
    return known if known is not None and known <= now else now


def _validated_order(request: CountedRequest) -> str:
    """Return the order of a validation, whose id is "<order> <name>"; empty for others."""
    return request.id.rpartition(" ")[0] if request.kind is RequestKind.VALIDATION else ""


def _time(entry: _Entry) -> datetime:
    return entry.request.at


def _insert(entries: list[_Entry], entry: _Entry) -> None:
    if not entries or entries[-1].place < entry.place:
        entries.append(entry)
    else:
        insort(entries, entry, key=lambda each: each.place)


def _delete(entries: list[_Entry], entry: _Entry) -> None:
    del entries[bisect_left(entries, entry.place, key=lambda each: each.place)]
