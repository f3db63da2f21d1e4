"""Account store, order journal and progress in memory, for the ACME client."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.fakes.acme_server import DIRECTORY_URL
from tests.fakes.clock import NOW

from gatecert.acme.budget import Budget
from gatecert.certificate import key as certificate_key
from gatecert.certificate.request import build_request
from gatecert.model import (
    Account,
    Expenses,
    KeyRequest,
    Limits,
    Message,
    OrderHeld,
    PendingOrder,
    Stage,
    Target,
)
from gatecert.store.counting_rules import limit_reached
from gatecert.store.lock import LockLease
from gatecert.store.protocol import Lease
from gatecert.store.usage_index import UsageIndex

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from gatecert.model import (
        CountedBy,
        CountedRequest,
        GroupUse,
        LimitReached,
        RequestGroup,
        RequestKind,
    )


class Usage:
    """A RateLimitUsageStore in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._usage: defaultdict[str, UsageIndex] = defaultdict(UsageIndex)

    def count_requests(
        self, directory_url: str, expenses: Expenses, within: Limits
    ) -> LimitReached | None:
        index = self._usage[directory_url]
        reached = limit_reached(index, expenses, within)
        change = index.change_for(expenses if reached is None else Expenses(expenses.now))
        if change is not None:
            index.apply(change)
        return reached

    def instants(
        self,
        directory_url: str,
        group: RequestGroup,
        *,
        since: datetime,
        now: datetime,
        count: int,
    ) -> Sequence[datetime]:
        return self._usage[directory_url].instants(group, since=since, now=now, count=count)

    def number_counted(self, directory_url: str, kind: RequestKind) -> int:
        return self._usage[directory_url].number(kind)

    def busiest_groups(
        self,
        directory_url: str,
        kind: RequestKind,
        by: CountedBy,
        *,
        since: datetime,
        now: datetime,
        full: int,
    ) -> Sequence[GroupUse]:
        index = self._usage[directory_url]
        return index.busiest_groups(kind, by, since=since, now=now, full=full)

    def counted(self, directory_url: str = DIRECTORY_URL) -> tuple[CountedRequest, ...]:
        """Return the counted requests to one CA."""
        return self._usage[directory_url].requests


class Accounts(Usage):
    """An IssuerStore in memory.

    Attributes:
        trouble: What is raised by ``save_account`` and ``save_next_key``, by their names.
        forgets: Whether the next key is not there when it is read back.
        pauses: What other hosts were told: the directory of a CA, and for how long it pauses.
    """

    def __init__(self) -> None:
        super().__init__()
        self.trouble: dict[str, BaseException] = {}
        self.forgets = False
        self.kept: dict[str, Account] = {}
        self.history: list[Account] = []
        self.next_keys: dict[str, bytes] = {}
        self.retired: list[str] = []
        self.pauses: list[tuple[str, timedelta]] = []

    def account(self, authority: str) -> Account | None:
        return self.kept.get(authority)

    def save_account(self, authority: str, account: Account) -> None:
        self._meet_trouble("save_account")
        self.kept[authority] = account
        self.history.append(account)

    def _meet_trouble(self, name: str) -> None:
        if name in self.trouble:
            raise self.trouble[name]

    def next_key(self, authority: str) -> bytes | None:
        return self.next_keys.get(authority)

    def save_next_key(self, authority: str, private_key: bytes) -> None:
        self._meet_trouble("save_next_key")
        if not self.forgets:
            self.next_keys[authority] = private_key

    def remove_next_key(self, authority: str) -> None:
        self.next_keys.pop(authority, None)

    def retire_account(self, authority: str) -> None:
        self.kept.pop(authority, None)
        self.retired.append(authority)

    def pause_orders(self, directory_url: str, pause: timedelta) -> None:
        self.pauses.append((directory_url, pause))


@dataclass
class Journal:
    """An OrderJournal in memory.

    Attributes:
        usage: Counts the requests of its orders.
        held: Why the fleet holds its orders back.
    """

    target: Target
    usage: Usage = field(default_factory=Usage)
    order: PendingOrder | None = None
    request: KeyRequest | None = None
    forgotten: int = 0
    lease: Lease = field(default_factory=LockLease)
    held: OrderHeld | None = None

    def pending(self) -> tuple[PendingOrder, KeyRequest] | None:
        if self.order is None or self.request is None:
            return None
        return self.order, self.request

    def new_request(self, *, common_name: bool = False) -> KeyRequest:
        private_key = certificate_key.generate(self.target.key.type)
        first = self.target.hostname if common_name else None
        csr = build_request(private_key, self.target.identifiers, common_name=first)
        return KeyRequest("request-1", NOW, private_key, csr)

    def open(
        self, request: KeyRequest, directory_url: str, expenses: Expenses, within: Limits
    ) -> LimitReached | OrderHeld | None:
        if self.held is not None:
            return self.held
        reached = self.usage.count_requests(directory_url, expenses, within)
        self.request = request if reached is None else None
        return reached

    def record(self, order: PendingOrder) -> None:
        self.order = order

    def forget(self) -> None:
        self.order = self.request = None
        self.forgotten += 1


@dataclass
class Told:
    """A Progress that keeps what it was told."""

    messages: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)

    def __call__(self, gateway: str, stage: Stage, message: Message) -> None:
        assert (gateway, stage) == ("boston", Stage.ORDER)
        if isinstance(message, str):
            self.messages.append(message)
        else:
            assert message.seconds is None or 0 < message.seconds <= 300
            self.waits.append(message.reason)


UNLIMITED = Budget(Accounts(), DIRECTORY_URL, Limits(), "acme", "acme", lambda: NOW)
