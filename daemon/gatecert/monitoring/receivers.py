"""When a receiver is told what: collected, told, reminded, recovered. Pure.

A problem begins, is collected for ``group``, and is told. While it holds, reminders follow after
``remind``, twice that, and so on. When it has been over for ``group``, its recovery is told; what
comes back before that was never over. What ends before it was told is never told. What comes back
within a day of its recovery has to be over for longer each time, so that a gateway that fails every
few minutes soon stays told as failing.

One message is outgoing at a time. The problems that it carries are marked, and everything that
happens meanwhile waits for the next one. Of a receiver with several URLs, one that does not work
holds up the others for a few attempts only.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Final

from gatecert.model import Event, ReceiverPlan, Severity
from gatecert.monitoring.gateway_problems import is_unknown, problems
from gatecert.monitoring.message_text import Said, document
from gatecert.monitoring.notification_state import Outgoing, Part, ReceiverState, Recovery, Told
from gatecert.monitoring.quiet_hours import quiet_until

if TYPE_CHECKING:
    from gatecert.monitoring.gateway_problems import Past, Problem
    from gatecert.report.gateway_status import GatewayStatus

LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
LONGEST_REMINDER: Final = timedelta(days=30)
MOST_DOUBLINGS: Final = 20
TOGETHER: Final = 8  # reminders that are due within this part of their interval go together
LATELY: Final = timedelta(days=1)
LONGER: Final = 4  # times, for each return
LONGEST_CALM: Final = timedelta(hours=1)
FIRST_PAUSE: Final = timedelta(minutes=1)  # after an attempt that failed
LONGEST_PAUSE: Final = timedelta(hours=1)
MOST_PARTIAL: Final = 5  # failures; from then on, what some URLs have accepted counts as told


@dataclass(slots=True)
class Receiver:
    """A receiver: its plan, what it knows, and which gateways were described.

    Attributes:
        described: Of others, nothing is known since the start, so nothing is told.
    """

    plan: ReceiverPlan
    state: ReceiverState = field(default_factory=ReceiverState)
    zone: tzinfo | None = None
    described: set[str] = field(default_factory=set)
    _soonest: datetime | None = None  # nothing is due before
    _latest: datetime = LONG_AGO  # when something was recorded
    _is_repeated: bool = False  # whether the outgoing message may have arrived already

    # ------------------------------------------------------------------ what happens

    def seen(self, status: GatewayStatus, past: Past, now: datetime) -> bool:
        """Note the problems of a gateway; return whether anything changed."""
        self.described.add(status.name)
        self._latest = max(self._latest, now)
        found = {
            event: problem
            for event, problem in problems(status, past, self.plan, now).items()
            if event in self.plan.events
        }
        changed = False
        for event in Event:
            known = self.state.told.get((status.name, event))
            if event in found:
                changed |= self._holds(known, status.name, found[event], now)
            elif known is not None and not is_unknown(event, status, past):
                changed |= self._is_over(known, now)
            left = self.state.told.get((status.name, event))
            self._soonest = _sooner(self._soonest, self._due(left, now) if left else None)
        return changed

    def forget(self, gateway: str) -> bool:
        """Forget a gateway that is no longer configured; return whether anything changed."""
        self.described.discard(gateway)
        for event in Event:
            self.state.recovered.pop((gateway, event), None)
        gone = [self.state.told.pop((gateway, event), None) for event in Event]
        return any(each is not None for each in gone)

    def _holds(self, known: Told | None, gateway: str, problem: Problem, now: datetime) -> bool:
        if known is None and not self._is_severe(problem.severity):
            return False
        is_new = known is None
        if known is None:
            known = Told(gateway, problem.event, now, problem.severity, problem.text)
            before_it = self.state.recovered.pop((gateway, problem.event), None)
            if before_it is not None and now - before_it.at <= LATELY:
                known.returns = before_it.returns + 1
            self.state.told[gateway, problem.event] = known
        before = (known.since, known.severity, known.raised_at, known.ended_at)
        known.severity, known.text = problem.severity, problem.text
        known.fix, known.code = problem.fix, problem.code
        if known.ended_at is not None:
            known.ended_at = None
            if known.carried is Part.RECOVERED:
                known.since = now  # another one, once that message has arrived
        is_worse = known.told_at is not None and known.severity is not known.told_severity
        if not is_worse or known.severity is not Severity.CRITICAL:
            known.raised_at = None
        elif known.raised_at is None:
            known.raised_at = now
        after = (known.since, known.severity, known.raised_at, known.ended_at)
        return is_new or after != before

    def _is_over(self, known: Told, now: datetime) -> bool:
        if known.ended_at is not None:
            return False
        if known.carried is None and (known.told_at is None or not self._tells_recovery):
            del self.state.told[known.gateway, known.event]
        else:
            known.ended_at, known.raised_at = now, None
        return True

    # ------------------------------------------------------------------ what is due

    def next_at(self, now: datetime) -> datetime | None:
        """Return when there may be something to send; None if nothing is known to come."""
        state = self.state
        if now < self._latest:  # the clock was ahead, and so is all that it has recorded
            return now
        if state.outgoing is not None:
            return state.next_at or now
        if self._soonest is None or state.next_at is None:
            return self._soonest
        return max(self._soonest, state.next_at)

    def look(self, now: datetime) -> None:
        """Find out exactly when something is due; until then it is known to be no sooner."""
        self._set_back(now)
        self._soonest = None
        for each in self.state.told.values():
            self._soonest = _sooner(self._soonest, self._due(each, now))

    def _set_back(self, now: datetime) -> None:
        """Take what a clock that was ahead has recorded as if it were of now."""
        state, self._latest = self.state, now
        for each in state.told.values():
            each.since = min(each.since, now)
            each.told_at = _no_later(each.told_at, now)
            each.raised_at = _no_later(each.raised_at, now)
            each.ended_at = _no_later(each.ended_at, now)
        for key, recovery in state.recovered.items():
            state.recovered[key] = replace(recovery, at=min(recovery.at, now))
        state.told_at = _no_later(state.told_at, now)
        state.failing_since = _no_later(state.failing_since, now)
        state.next_at = _no_later(state.next_at, now + LONGEST_PAUSE)

    def outgoing(self, identifier: str, host: str, now: datetime) -> Outgoing | None:
        """Return the message to send now, marked as going out; None if nothing is due.

        An earlier message that may have arrived goes out again, unchanged.
        """
        self.look(now)
        due = self.next_at(now)
        if due is None or due > now:
            return None
        self._is_repeated = self.state.outgoing is not None
        if self.state.outgoing is None:
            said = self._said(now)
            for each in said:
                each.told.carried, each.told.carried_severity = each.part, each.told.severity
            self.state.outgoing = Outgoing(identifier, document(said, identifier, host, now))
        return self.state.outgoing

    def _said(self, now: datetime) -> list[Said]:
        """Return everything that is due, and what can go with it."""
        found = []
        for each in self.state.told.values():
            due, part = self._due(each, now), _part(each)
            if due is None or self._is_held(each, now):
                continue
            early = timedelta(0)
            if part is Part.BEGAN:
                early = self.plan.group
            elif part is Part.REMINDER:
                early = self._interval(each) / TOGETHER
            if due - early <= now:
                found.append(Said(part, each))
        return found

    def _due(self, each: Told, now: datetime) -> datetime | None:
        """Return when something is to be said about a problem."""
        if each.carried is not None or each.gateway not in self.described:
            return None
        match _part(each):
            case Part.RECOVERED:
                due = (each.ended_at or now) + self._calm(each)
            case Part.BEGAN:
                due = (each.raised_at or each.since) + self.plan.group
            case Part.REMINDER:
                due = (each.told_at or now) + self._interval(each)
        if not self._is_held(each, max(due, now)):
            return due
        quiet = quiet_until(max(due, now), self.plan.quiet_from, self.plan.quiet_until, self.zone)
        return quiet or due

    def _is_held(self, each: Told, moment: datetime) -> bool:
        """Tell whether quiet hours hold something back."""
        if each.severity is Severity.CRITICAL:
            return False
        plan = self.plan
        return quiet_until(moment, plan.quiet_from, plan.quiet_until, self.zone) is not None

    def _interval(self, each: Told) -> timedelta:
        interval: timedelta = self.plan.remind * 2 ** min(each.reminders, MOST_DOUBLINGS)
        return max(self.plan.remind, min(interval, LONGEST_REMINDER))

    def _calm(self, each: Told) -> timedelta:
        """Return for how long a problem has to be over before its recovery is told."""
        calm: timedelta = self.plan.group * LONGER ** min(each.returns, MOST_DOUBLINGS)
        return max(self.plan.group, min(calm, LONGEST_CALM))

    def _is_severe(self, severity: Severity) -> bool:
        return severity is Severity.CRITICAL or self.plan.severity is Severity.WARNING

    @property
    def _tells_recovery(self) -> bool:
        return Event.RECOVERED in self.plan.events

    # ------------------------------------------------------------------ what came of it

    def accepted(self, now: datetime) -> bool:
        """Note that the outgoing message was accepted; return whether it failed before."""
        state = self.state
        failed = bool(state.failures)
        self._conclude(now)
        state.failures, state.failing_since = 0, None
        state.problem = state.fix = ""
        self.look(now)
        return failed

    def _conclude(self, now: datetime) -> None:
        """Note that what the outgoing message says is told."""
        state = self.state
        for key, each in list(state.told.items()):
            if each.carried is not None and not self._is_known(each, now):
                del state.told[key]
        for key, recovery in list(state.recovered.items()):
            if now - recovery.at > LATELY:
                del state.recovered[key]
        state.outgoing, state.told_at, state.next_at = None, now, None

    def failed(
        self,
        problem: str,
        fix: str,
        now: datetime,
        *,
        refused: bool,
        accepted: tuple[str, ...] = (),
    ) -> bool:
        """Note that an attempt failed; return whether it is the first one that did.

        Args:
            problem: Why, one line.
            fix: What to do about it.
            now: The current time.
            refused: Whether nobody can have got the message in this attempt. If that was the first
                one, the next message says anew what is wrong by then.
            accepted: Digests of the URLs that have accepted it. After a few failures, that is
                enough; the others lack this message, and get the next one.
        """
        state = self.state
        state.failures += 1
        state.failing_since = state.failing_since or now
        doublings = min(state.failures - 1, MOST_DOUBLINGS)
        state.next_at = now + min(FIRST_PAUSE * 2**doublings, LONGEST_PAUSE)
        state.problem, state.fix = problem, fix
        if state.outgoing is not None and accepted:
            known = dict.fromkeys((*state.outgoing.accepted, *accepted))
            state.outgoing = replace(state.outgoing, accepted=tuple(known))
        if refused and not self._is_repeated and not (state.outgoing and state.outgoing.accepted):
            self._withdraw()
        elif state.outgoing and state.outgoing.accepted and state.failures >= MOST_PARTIAL:
            self._conclude(now)
        self.look(now)
        return state.failures == 1

    def _is_known(self, each: Told, now: datetime) -> bool:
        """Note that a problem was told; return whether it is still to be remembered."""
        part, each.carried = each.carried, None
        if part is Part.RECOVERED:
            if each.ended_at is not None:
                self.state.recovered[each.gateway, each.event] = Recovery(now, each.returns)
                return False
            each.told_at, each.reminders, each.raised_at = None, 0, None  # it has come back
            each.returns += 1
            return True
        each.reminders = each.reminders + 1 if part is Part.REMINDER else 0
        each.told_at, each.told_severity = now, each.carried_severity
        if each.severity is each.told_severity:
            each.raised_at = None
        elif each.severity is Severity.CRITICAL and each.ended_at is None:
            each.raised_at = now
        return each.ended_at is None or self._tells_recovery

    def _withdraw(self) -> None:
        """Take back the outgoing message, which nobody has got."""
        self.state.outgoing = None
        for key, each in list(self.state.told.items()):
            part, each.carried = each.carried, None
            is_over = part is not None and each.ended_at is not None
            if is_over and (each.told_at is None or not self._tells_recovery):
                del self.state.told[key]


def _sooner(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return min(one, other)


def _no_later(moment: datetime | None, last: datetime) -> datetime | None:
    return None if moment is None else min(moment, last)


def _part(each: Told) -> Part:
    if each.told_at is None:
        return Part.BEGAN
    if each.ended_at is not None:
        return Part.RECOVERED
    return Part.BEGAN if each.raised_at is not None else Part.REMINDER
