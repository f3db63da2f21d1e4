"""Record of what each receiver was told, as values and as ``STATE/notifications.json``.

The monitor imports no pydantic, so the file is read by hand: strictly, since a wrong value must not
make it tell something twice, or never. Unknown keys are ignored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from gatecert.model import Event, Severity
from gatecert.monitoring.gateway_problems import Past
from gatecert.store.damaged_files import DamagedRecordError

if TYPE_CHECKING:
    from collections.abc import Iterator

    Kind = TypeVar("Kind")
    Choice = TypeVar("Choice", bound=StrEnum)

SCHEMA: Final = 1
FILE_NAME: Final = "notifications.json"
LARGEST: Final = 64 << 20  # bytes; 10,000 gateways with two problems each need 10 MB a receiver


class Part(StrEnum):
    """Content of a message about a problem."""

    BEGAN = "began"
    REMINDER = "reminder"
    RECOVERED = "recovered"


@dataclass(slots=True)
class Told:
    """A problem of a gateway, and what a receiver knows of it.

    Attributes:
        since: When it was first seen.
        severity: How bad it is now; of one that ended, how bad it was.
        told_at: When a message about it was accepted last; None for never.
        told_severity: How bad it was then.
        reminders: How many were accepted.
        raised_at: When it became worse than it was told; None if it did not.
        ended_at: When it was first seen to be over; None while it holds.
        carried: What the outgoing message says about it; None if it is not in that message.
        carried_severity: How bad that message says it is.
        returns: How often in a row it came back soon after its recovery was told.
    """

    gateway: str
    event: Event
    since: datetime
    severity: Severity
    text: str
    fix: str = ""
    code: str = ""
    told_at: datetime | None = None
    told_severity: Severity = Severity.WARNING
    reminders: int = 0
    raised_at: datetime | None = None
    ended_at: datetime | None = None
    carried: Part | None = None
    carried_severity: Severity = Severity.WARNING
    returns: int = 0


@dataclass(frozen=True, slots=True)
class Recovery:
    """Recovery that a receiver was told of.

    Attributes:
        at: When that was.
        returns: As of the problem.
    """

    at: datetime
    returns: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that a receiver may or may not have got.

    Attributes:
        id: The same in every attempt.
        document: What is sent (docs/notifications.md).
        accepted: Which URLs of the receiver's file have accepted it, as digests.
    """

    id: str
    document: dict[str, object]
    accepted: tuple[str, ...] = ()


@dataclass(slots=True)
class ReceiverState:
    """Memory of what a receiver was told, and whether it works.

    Attributes:
        told: By gateway and event.
        recovered: What was over lately, in the same way.
        outgoing: Recorded before it is sent, and until it is accepted.
        told_at: When it accepted a message last.
        failures: Failed attempts in a row.
        failing_since: When the first of them was.
        next_at: Before which there is no other attempt; None if the last one was accepted.
        problem: Why the last attempt failed; empty if it did not.
        fix: What to do about it.
        identity: Digest of the receiver's kind, file and command; empty if an earlier version did
            not record it.
    """

    told: dict[tuple[str, Event], Told] = field(default_factory=dict)
    recovered: dict[tuple[str, Event], Recovery] = field(default_factory=dict)
    outgoing: Outgoing | None = None
    told_at: datetime | None = None
    failures: int = 0
    failing_since: datetime | None = None
    next_at: datetime | None = None
    problem: str = ""
    fix: str = ""
    identity: str = ""

    @property
    def has_problem(self) -> bool:
        """Tell whether the last attempt failed, and that still matters.

        It does not if the message was withdrawn and everything in it is over: then nothing waits,
        and no later attempt shows that the receiver works.
        """
        if self.failing_since is None:
            return False
        is_partial = self.told_at is not None and self.told_at >= self.failing_since
        return is_partial or self.outgoing is not None or bool(self.told)


@dataclass(slots=True)
class NotificationState:
    """Everything that outlives the monitor.

    Attributes:
        gateways: What each gateway was like, by name.
        receivers: By name.
    """

    gateways: dict[str, Past] = field(default_factory=dict)
    receivers: dict[str, ReceiverState] = field(default_factory=dict)


def encode(state: NotificationState) -> bytes:
    """Return the contents of the file."""
    document = {
        "schema": SCHEMA,
        "gateways": {
            name: {
                "proven": past.proven,
                "pointed_here": past.pointed_here,
                "hostname": past.hostname,
            }
            for name, past in state.gateways.items()
        },
        "receivers": {name: _receiver(each) for name, each in state.receivers.items()},
    }
    return f"{json.dumps(document, separators=(',', ':'))}\n".encode()


def decode(data: bytes) -> NotificationState:
    """Read the contents of the file.

    Raises:
        DamagedRecordError: It is not JSON, has another schema, or a value of the wrong type.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedRecordError("it is not JSON") from error
    record = _Record(document)
    if record.get("schema", int) != SCHEMA:
        raise DamagedRecordError("its schema is not known to this gatecert")
    return NotificationState(
        {
            name: Past(
                each.get("proven", str),
                each.get("pointed_here", bool),
                each.optional("hostname", str) or "",
            )
            for name, each in record.records("gateways")
        },
        {name: _read_receiver(each) for name, each in record.records("receivers")},
    )


def _receiver(state: ReceiverState) -> dict[str, object]:
    outgoing = state.outgoing
    return {
        "told": [_told(each) for each in state.told.values()],
        "recovered": [
            {"gateway": name, "event": event, "at": _time(each.at), "returns": each.returns}
            for (name, event), each in state.recovered.items()
        ],
        "outgoing": None
        if outgoing is None
        else {
            "id": outgoing.id,
            "document": outgoing.document,
            "accepted": list(outgoing.accepted),
        },
        "told_at": _time(state.told_at),
        "failures": state.failures,
        "failing_since": _time(state.failing_since),
        "next_at": _time(state.next_at),
        "problem": state.problem,
        "fix": state.fix,
        "identity": state.identity,
    }


def _told(each: Told) -> dict[str, object]:
    return {
        "gateway": each.gateway,
        "event": each.event,
        "since": _time(each.since),
        "severity": each.severity,
        "text": each.text,
        "fix": each.fix,
        "code": each.code,
        "told_at": _time(each.told_at),
        "told_severity": each.told_severity,
        "reminders": each.reminders,
        "raised_at": _time(each.raised_at),
        "ended_at": _time(each.ended_at),
        "carried": each.carried,
        "carried_severity": each.carried_severity,
        "returns": each.returns,
    }


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment is not None else None


def _read_receiver(record: _Record) -> ReceiverState:
    told = [_read_told(_Record(each)) for each in record.get("told", list)]
    recovered = [_Record(each) for each in record.get("recovered", list)]
    return ReceiverState(
        {(each.gateway, each.event): each for each in told},
        {
            (each.get("gateway", str), each.choice("event", Event)): Recovery(
                each.known_time("at"), each.get("returns", int)
            )
            for each in recovered
        },
        _read_outgoing(record.optional("outgoing", dict)),
        record.time("told_at"),
        record.get("failures", int),
        record.time("failing_since"),
        record.time("next_at"),
        record.get("problem", str),
        record.get("fix", str),
        record.optional("identity", str) or "",
    )


def _read_outgoing(value: dict[str, object] | None) -> Outgoing | None:
    if value is None:
        return None
    record = _Record(value)
    accepted = record.get("accepted", list)
    if not all(isinstance(each, str) for each in accepted):
        raise DamagedRecordError("accepted: not a list of texts")
    return Outgoing(record.get("id", str), record.get("document", dict), tuple(accepted))


def _read_told(record: _Record) -> Told:
    carried = record.optional("carried", str)
    return Told(
        record.get("gateway", str),
        record.choice("event", Event),
        record.known_time("since"),
        record.choice("severity", Severity),
        record.get("text", str),
        record.get("fix", str),
        record.get("code", str),
        record.time("told_at"),
        record.choice("told_severity", Severity),
        record.get("reminders", int),
        record.time("raised_at"),
        record.time("ended_at"),
        None if carried is None else record.choice("carried", Part),
        record.choice("carried_severity", Severity),
        record.get("returns", int),
    )


class _Record:
    """A JSON object whose values must have the expected types."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise DamagedRecordError("not an object where one is expected")
        self._value = value

    def get(self, key: str, kind: type[Kind]) -> Kind:
        value = self._value.get(key)
        if type(value) is not kind:
            raise DamagedRecordError(f"{key}: not of type {kind.__name__}")
        return value

    def optional(self, key: str, kind: type[Kind]) -> Kind | None:
        return None if self._value.get(key) is None else self.get(key, kind)

    def choice(self, key: str, choices: type[Choice]) -> Choice:
        try:
            return choices(self.get(key, str))
        except ValueError as error:
            raise DamagedRecordError(f"{key}: an unknown value") from error

    def time(self, key: str) -> datetime | None:
        text = self.optional(key, str)
        if text is None:
            return None
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise DamagedRecordError(f"{key}: not a time") from error

    def known_time(self, key: str) -> datetime:
        found = self.time(key)
        if found is None:
            raise DamagedRecordError(f"{key}: no time")
        return found

    def records(self, key: str) -> Iterator[tuple[str, _Record]]:
        for name, value in self.get(key, dict).items():
            yield name, _Record(value)
