"""Decides whether the records of a gateway have to be published, and remembers the answer.

- An unchanged address is never published again, since services count such updates and block the
  name. What was accepted last is in the gateway's state and survives restarts.
- A service that counts updates is asked for nothing either if the name already has the right
  records, which a look-up shows.
- The published records are looked up once an hour. If somebody else has changed them, they are
  published again; after an answer that nothing changed, that is not repeated for a day.
- A service that does not answer is tried again after 1, 5, 15 and then every 60 minutes; one that
  asks for a pause gets it, even if an operator asks for an update.
- A refusal or a block is not tried again until the settings or a secret file change, an operator
  asks (``gatecert enroll``), or a day or a week has passed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import add
from typing import TYPE_CHECKING, Final

from gatecert.ddns.address_source import AddressSource, FoundAddresses
from gatecert.ddns.updater import RecordChange, Updater
from gatecert.errors import (
    ChallengeError,
    DdnsBlockedError,
    DdnsError,
    DdnsRefusedError,
    DdnsUnreachableError,
    GatecertError,
    NoPublicAddressError,
    ProviderNotContactedError,
    RecordRefusedError,
    ResolutionError,
)
from gatecert.model import AddressRecords, DdnsProblem, DdnsState, RecordKind
from gatecert.resolve.gateway_addresses import is_internal, is_public
from gatecert.resolve.lookup import AddressResolver, LookupStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

RETRIES: Final = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60))
AFTER_REFUSAL: Final = timedelta(days=1)
AFTER_BLOCK: Final = timedelta(days=7)
CHECK: Final = timedelta(hours=1)
CHECK_AFTER_NO_CHANGE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RecordPolicy:
    """The rules of which records are kept.

    Attributes:
        kinds: The record types.
        remove_stale: Whether to remove the records of a type of which there is no address.
        allow_private: Whether to publish addresses that are not public.
        interval: How often to look at the addresses.
        one_each: Whether the provider takes only one address of each type.
        counts_updates: Whether needless updates are held against the name.
    """

    kinds: tuple[RecordKind, ...] = tuple(RecordKind)
    remove_stale: bool = False
    allow_private: bool = False
    interval: timedelta = timedelta(minutes=5)
    one_each: bool = False
    counts_updates: bool = False


@dataclass(frozen=True, slots=True)
class RecordKeeper:
    """Keeps the records of one gateway.

    Attributes:
        hostname: The name (A-labels).
        resolver: Shows which records the name has.
        stamp: Returns a text that changes with the settings and the secret files.
        after: Returns an instant about one interval after another.
    """

    hostname: str
    policy: RecordPolicy
    source: AddressSource
    updater: Updater
    resolver: AddressResolver
    stamp: Callable[[], str]
    after: Callable[[datetime, timedelta], datetime] = add

    def keep(self, before: DdnsState | None, *, now: datetime, asked: bool) -> DdnsState:
        """Publish the gateway's addresses if that is due; never raise an expected error.

        Args:
            before: What the last call returned; None if there was none.
            now: Aware UTC.
            asked: Whether an operator asks for a look.

        Returns:
            What is known now; ``published_at`` is ``now`` if records changed.
        """
        stamp = self.stamp()
        state = before if before is not None and before.stamp == stamp else DdnsState(stamp)
        if not asked and not _is_due(state, now):
            return state
        if _is_held_back(state, now, asked=asked):
            return replace(state, looked_at=now, next_look=self._next_look(state, now))
        state = replace(state, looked_at=now, next_look=self.after(now, self.policy.interval))
        try:
            found = self.source.find()
            change = self._wanted(found)
            if self._is_right(state, change, now):
                state = self._confirmed(state, change, now)
            else:
                changed = self.updater.update(change)
                state = self._published(state, change, now, changed=changed)
        except ChallengeError as error:
            return self._failed(state, _translated(error), now)
        except ResolutionError as error:  # of the source
            return self._failed(state, NoPublicAddressError(error.message, fix=error.fix), now)
        except GatecertError as error:
            return self._failed(state, error, now)
        incomplete = self._incomplete(found, change)
        return state if incomplete is None else self._failed(state, incomplete, now)

    def _wanted(self, found: FoundAddresses) -> RecordChange:
        """Return the records that the name ought to have.

        Raises:
            NoPublicAddressError: There is no address that may be published.
        """
        allowed = [each for each in found.addresses if self.policy.allow_private or is_public(each)]
        records = []
        for kind in self.policy.kinds:
            own = tuple(each for each in allowed if RecordKind.of(each) is kind)
            if self.policy.one_each:
                own = own[:1]
            if own or (self.policy.remove_stale and kind not in found.unknown and allowed):
                records.append(AddressRecords(kind, own))
        if not any(each.addresses for each in records):
            raise _no_address(found, self.policy)
        return RecordChange(self.hostname, tuple(records))

    def _is_right(self, state: DdnsState, change: RecordChange, now: datetime) -> bool:
        """Check that nothing has to be published."""
        if state.published_at is None:
            # The look-up makes resolvers remember that a name does not exist, which would delay
            # the first order; at a service that counts updates the name exists.
            return self.policy.counts_updates and self._shows(change, now_known=False)
        if change.records != state.published:
            return False
        if state.next_check is None or state.next_check > now:
            return state.next_check is not None
        return self._shows(change, now_known=True)

    def _shows(self, change: RecordChange, *, now_known: bool) -> bool:
        """Look the name up; a look-up that shows nothing certain counts as ``now_known``."""
        (lookup,) = self.resolver.look_up([self.hostname])
        if lookup.status is not LookupStatus.ADDRESSES or lookup.unknown:
            missing = lookup.status in {LookupStatus.NO_ADDRESS, LookupStatus.NO_SUCH_NAME}
            return now_known and not (missing and not self.policy.counts_updates)
        if not self.policy.allow_private and any(map(is_internal, lookup.addresses)):
            return now_known  # internal DNS differs from the public one
        for records in change.records:
            shown = {each for each in lookup.addresses if RecordKind.of(each) is records.kind}
            if shown != set(records.addresses):
                return False
        return True

    def _confirmed(self, state: DdnsState, change: RecordChange, now: datetime) -> DdnsState:
        if change.records != state.published:  # the name had them before
            state = replace(state, published=change.records, published_at=now)
        check = state.next_check
        due = check is None or check <= now
        return _well(replace(state, next_check=now + CHECK if due else check))

    def _incomplete(
        self, found: FoundAddresses, change: RecordChange
    ) -> NoPublicAddressError | None:
        """Return what is wrong if the source does not know the address for one of the types."""
        missing = [
            kind
            for kind in self.policy.kinds
            if kind in found.unknown and change.addresses(kind) is None
        ]
        if not missing or not found.reason:
            return None
        return NoPublicAddressError(
            f"no {missing[0]} record is kept: {found.reason}", fix=found.fix
        )

    def _published(
        self, state: DdnsState, change: RecordChange, now: datetime, *, changed: bool
    ) -> DdnsState:
        check = now + (CHECK if changed else CHECK_AFTER_NO_CHANGE)
        done = replace(state, published=change.records, published_at=now, next_check=check)
        return _well(done)

    def _failed(self, state: DdnsState, error: GatecertError, now: datetime) -> DdnsState:
        """Return the state after an error; what waits for how long depends on its kind."""
        known = state.problem
        since = known.since if known is not None and known.code == error.code else now
        problem = DdnsProblem(error.code, error.message, error.fix, since)
        if not isinstance(error, DdnsError) or isinstance(error, NoPublicAddressError):
            return replace(state, problem=problem)
        failures = state.failures + 1
        not_before = None
        match error:
            case DdnsBlockedError():
                retry_at = now + AFTER_BLOCK
            case DdnsRefusedError():
                retry_at = now + AFTER_REFUSAL
            case DdnsUnreachableError(pause=float() as pause):
                not_before = now + timedelta(seconds=pause)
                retry_at = max(now + _delay(failures), not_before)
            case _:
                retry_at = now + _delay(failures)
        failed = replace(
            state, problem=problem, failures=failures, not_before=not_before, retry_at=retry_at
        )
        return replace(failed, next_look=self._next_look(failed, now))

    def _next_look(self, state: DdnsState, now: datetime) -> datetime:
        """Return when to look again; a change of a secret file is noticed at the interval."""
        at = self.after(now, self.policy.interval)
        return min(at, state.retry_at) if state.retry_at and state.retry_at > now else at


def _is_due(state: DdnsState, now: datetime) -> bool:
    clock_was_set_back = state.looked_at is not None and state.looked_at > now
    return state.next_look is None or state.next_look <= now or clock_was_set_back


def _is_held_back(state: DdnsState, now: datetime, *, asked: bool) -> bool:
    for instant in (state.not_before, None if asked else state.retry_at):
        if instant is not None and now < instant <= now + AFTER_BLOCK:
            return True
    return False


def _well(state: DdnsState) -> DdnsState:
    return replace(state, problem=None, failures=0, not_before=None, retry_at=None)


def _delay(failures: int) -> timedelta:
    return RETRIES[min(failures, len(RETRIES)) - 1]


def _no_address(found: FoundAddresses, policy: RecordPolicy) -> NoPublicAddressError:
    if found.reason:
        return NoPublicAddressError(f"no address to publish: {found.reason}", fix=found.fix)
    wanted = " or ".join(policy.kinds)
    if found.addresses:
        return NoPublicAddressError(
            f"no address to publish: {_listed(found.addresses)} cannot be published as {wanted}",
            fix="name a source of public addresses, or set allow_private: true for a network of "
            "your own",
        )
    return NoPublicAddressError(
        f"no address to publish: none was found for {wanted}",
        fix="connect the interface, name another source, or correct records",
    )


def _listed(addresses: Sequence[str]) -> str:
    return ", ".join(addresses[:4])


def _translated(error: ChallengeError) -> DdnsError:
    """Return the error of a provider of dns-01 as one of dynamic DNS."""
    # Without a cause it is about the settings, which stay wrong until they change.
    settings = isinstance(error, ProviderNotContactedError) and error.__cause__ is None
    refused = settings or isinstance(error, RecordRefusedError)
    kind = DdnsRefusedError if refused else DdnsUnreachableError
    return kind(error.message, fix=error.fix)
