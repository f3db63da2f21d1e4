"""Any sequence of uses of a store, beside a model; disks are full and processes are killed in it.

After each step the store shows exactly what the model has. A use that fails leaves what was before
it, or what would have been after it, or one of the few states in between that the protocol allows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.conformance.counted_requests import Counted, used_at
from tests.conformance.store_material import CHAINS
from tests.conformance.store_under_test import Killed
from tests.conformance.stored_contents import (
    GATEWAYS,
    Contents,
    shown_by,
    shown_request,
    shown_version,
    without_nothing,
)

from gatecert.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.conformance.store_under_test import StoreUnderTest

    from gatecert.model import IssuedChain, KeyRequest, RequestGroup, Version

AllCounted: TypeAlias = Mapping[str, Counted]

a_gateway = st.sampled_from(GATEWAYS)
a_number = st.integers(0, CHAINS - 1)
# None at all, in most uses; or the first step that fails, and whether the process is killed there.
a_failure = (
    st.none()
    | st.none()
    | st.none()
    | st.tuples(st.sampled_from((0, 0, 4, 8, 12, 16)), st.booleans())
)


class StoreMachine(RuleBasedStateMachine):
    """Plays a host that uses a store.

    Args:
        tested: The store.

    Attributes:
        contents: What the store has, by the model; not the counted requests.
        urls: The directories of the CAs at which it counts requests.
        counted: The counted requests, by directory URL.
    """

    urls: ClassVar[tuple[str, ...]] = ()

    def __init__(self, tested: StoreUnderTest) -> None:
        super().__init__()
        self.data: st.DataObject
        self.tested = tested
        self.store = tested.open()
        self.contents: Contents = {}
        self.counted: AllCounted = dict.fromkeys(self.urls, Counted())
        self.began = datetime.now(UTC).replace(microsecond=0)
        self.numbers = count()

    # ------------------------------------------------------------------ the model

    @invariant()
    def the_store_has_what_the_model_has(self) -> None:
        now = self.tested.now()
        assert shown_by(self.store) == self.contents
        assert self.shown_used(now) == self.used(self.counted, now)

    def use(
        self,
        action: Callable[[], object],
        after: Contents,
        *between: Contents,
        counted: AllCounted | None = None,
        too_many: AllCounted | None = None,
    ) -> None:
        """Use the store, which may fail: at each step in turn, until that leaves a trace.

        Args:
            action: The use.
            after: What the store has afterwards.
            between: What it may have too if the use fails.
            counted: The counted requests afterwards, if they change.
            too_many: What may be counted instead if the use fails.
        """
        after, counted = without_nothing(after), counted or self.counted
        either = [counted, *([too_many] if too_many is not None else [])]
        first = self.data.draw(a_failure)
        if first is None:
            action()
        else:
            step, killed = first
            while self.fails(action, step, killed=killed):
                if self.has_changed(after, between, either):
                    return
                step += 1
        self.contents, self.counted = after, counted

    def fails(self, action: Callable[[], object], step: int, *, killed: bool) -> bool:
        """Use the store while a step fails; tell whether the use took so many steps."""
        try:
            with self.tested.failing_at(step, killed=killed):
                action()
        except (StorageError, Killed):
            if killed:
                self.store = self.tested.open()
            return True
        return False

    def has_changed(
        self, after: Contents, between: tuple[Contents, ...], either: Sequence[AllCounted]
    ) -> bool:
        """Tell whether a use that failed has left a trace; the model then has it too."""
        before = self.contents, self.counted
        shown, now = shown_by(self.store), self.tested.now()
        used = self.shown_used(now)
        if used == self.used(self.counted, now):
            assert shown in [self.contents, *map(without_nothing, (after, *between))]
        else:  # requests are counted last, when everything else is in its place
            counted = [each for each in either if used == self.used(each, now)]
            assert counted
            assert shown == after
            self.counted = counted[0]
        self.contents = shown
        return (self.contents, self.counted) != before

    def shown_used(self, now: datetime) -> list[dict[RequestGroup, int]]:
        """Return how many requests count at each CA, as the store shows it."""
        return [used_at(self.store, url, now) for url in self.urls]

    def used(self, counted: AllCounted, now: datetime) -> list[dict[RequestGroup, int]]:
        """Return how many requests count at each CA, by the model."""
        return [counted[url].used(now) for url in self.urls]

    def with_entry(self, *key: str, value: object) -> Contents:
        return {**self.contents, key: value}

    def entries(self, *key: str) -> tuple[Any, ...]:
        return tuple(self.contents.get(key, ()))

    def instant(self) -> datetime:
        """A later instant each time, near now."""
        return self.began + timedelta(milliseconds=next(self.numbers))

    # ------------------------------------------------------------------ what befalls a host

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.data = data

    @rule()
    def restart(self) -> None:
        self.store = self.tested.open()

    @rule(minutes=st.sampled_from([20, 50, 130]))
    def wait(self, minutes: int) -> None:
        self.tested.later(timedelta(minutes=minutes))

    # ------------------------------------------------------------------ for several kinds of use

    def with_request(self, gateway: str, request: KeyRequest) -> Contents:
        requests = (shown_request(request), *self.entries("requests", gateway))
        return self.with_entry("requests", gateway, value=requests)

    def with_version(self, gateway: str, chain: IssuedChain, now: datetime) -> Contents:
        versions = (shown_version(gateway, chain, now), *self.entries("versions", gateway))
        return self.with_entry("versions", gateway, value=versions)

    def check_added(self, version: Version) -> None:
        versions = self.store.versions(version.gateway)
        assert versions[0] == version
        assert len({each.id for each in versions}) == len(versions)
