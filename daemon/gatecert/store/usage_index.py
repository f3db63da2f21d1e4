"""The counted requests to one CA in memory, found by kind and group.

The index is the sum of all changes in their order (`UsageIndex.apply`), so every process that
reads the same changes has the same index. An index by group is built when it is first asked for,
and kept up to date from then on.

A request in the future counts from the moment that is noticed (``CountedRequest.noticed``). After a
review at an instant, exactly the requests after it are marked, so the next review looks only at
those between the two instants unless the clock was set back.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatecert.model import CountedBy, CountedRequest, GroupUse, RequestKind, UsageChange
from gatecert.store.counting_rules import dated, with_mark
from gatecert.store.request_groups import groups_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from gatecert.model import Expenses, RequestGroup


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
        self._groups: dict[tuple[RequestKind, CountedBy], dict[str, list[_Entry]]] = {}
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

    def number(self, kind: RequestKind) -> int:
        """Return the number of requests of a kind."""
        return self._sizes[kind]

    def is_counted(self, request: CountedRequest) -> bool:
        """Tell whether a request with the same kind and id counts; False for one without an id."""
        return self.find(request) is not None

    def find(self, wanted: CountedRequest) -> CountedRequest | None:
        """Return the request with the same kind and id; None for a request without an id."""
        found = self._by_id.get((wanted.kind, wanted.id)) if wanted.id else None
        return None if found is None else found.request

    def instants(
        self, group: RequestGroup, *, since: datetime, now: datetime, count: int
    ) -> list[datetime]:
        """Return from when requests count; see `RateLimitUsageStore.instants`."""
        members = self._grouped(group.kind, group.by).get(group.value, [])
        end = bisect_right(members, now, key=_time)
        begin = max(0, end - count)
        newest = [entry.request.at for entry in members[begin:end]]
        if end < len(members):
            newest = sorted([*newest, *(_noticed(entry, now) for entry in members[end:])])
        return [instant for instant in newest[-count:] if instant > since]

    def busiest_groups(
        self, kind: RequestKind, by: CountedBy, *, since: datetime, now: datetime, full: int
    ) -> list[GroupUse]:
        """Return how busy groups are; see `RateLimitUsageStore.busiest_groups`."""
        if by is CountedBy.REGISTERED_DOMAIN and 2 * self.number(kind) < full:
            by = CountedBy.ALL  # the Public Suffix List is slow to load
        spent: list[GroupUse] = []
        busiest = GroupUse(0, ())
        for members in self._grouped(kind, by).values():
            latest, size = members[-1].request, len(members)
            if latest.at <= since or size <= busiest.used:
                continue
            use = GroupUse(_count_since(members, since, now), latest.names)
            if use.used >= full:
                spent.append(use)
            elif use.used > busiest.used:
                busiest = use
        return [*spent, busiest]

    def change_for(self, expenses: Expenses) -> UsageChange | None:
        """Return the change that counts requests; None if nothing changes.

        It also marks requests in the future.
        """
        now = expenses.now
        if not expenses.counted and not expenses.validated and not self._needs_review(now):
            return None
        return UsageChange(now, dated(expenses, self.latest), expenses.validated)

    def _needs_review(self, now: datetime) -> bool:
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

    def _grouped(self, kind: RequestKind, by: CountedBy) -> dict[str, list[_Entry]]:
        if (kind, by) not in self._groups:
            groups: dict[str, list[_Entry]] = {}
            for entry in self._by_time:
                if entry.request.kind is kind:
                    for group in groups_of(entry.request, by):
                        groups.setdefault(group, []).append(entry)
            self._groups[kind, by] = groups
        return self._groups[kind, by]

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

    def _groups_of(self, request: CountedRequest) -> Iterator[tuple[dict[str, list[_Entry]], str]]:
        for (kind, by), groups in self._groups.items():
            if kind is request.kind:
                for group in groups_of(request, by):
                    yield groups, group


def _count_since(members: list[_Entry], since: datetime, now: datetime) -> int:
    """Return how many of a group's requests, which are ordered by time, count now."""
    end = bisect_right(members, now, key=_time)
    past = end - bisect_right(members, since, hi=end, key=_time)
    return past + sum(_noticed(entry, now) > since for entry in members[end:])


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
