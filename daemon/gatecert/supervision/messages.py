"""Messages between the core and its processes: one JSON object per line, over a stream socket.

Each message is a frozen dataclass of plain values; ``kind`` on the line is its class's name. A line
that is not such an object, has unknown or missing fields, a value of another type, an infinite
number or an unknown kind of outcome is a `MessageError`: its sender is broken
(docs/decisions/0016-core-and-worker.md).
"""

from __future__ import annotations

import json
import sys
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Final

from gatecert.outcome_kinds import OutcomeKind, Stage

LONGEST_LINE: Final = 64 << 20  # bytes; a hundred thousand gateways need some ten megabytes


class MessageError(Exception):
    """A line that is no message."""


@dataclass(frozen=True, slots=True)
class Message:
    """Base of all messages."""


# ---------------------------------------------------------------------- to the worker


@dataclass(frozen=True, slots=True)
class Load(Message):
    """Read the configuration file, and write what it contains to the snapshot."""

    path: str


@dataclass(frozen=True, slots=True)
class Resume(Message):
    """Take the configuration from the snapshot."""


@dataclass(frozen=True, slots=True)
class Open(Message):
    """Begin to work below the state directory.

    Attributes:
        unsaved: State that earlier workers could not write, by gateway; see ``StateCache``.
        listening: Whether the core answers http-01 on inherited sockets.
        changed: Whether the configuration is new, so that its warnings are due.
        monitored: Whether to describe each gateway after work on it, and to measure.
    """

    unsaved: dict[str, list[str]]
    listening: bool = False
    changed: bool = False
    monitored: bool = False


@dataclass(frozen=True, slots=True)
class Retain(Message):
    """Continue with state that a worker before could not write."""

    unsaved: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Work(Message):
    """Work on a gateway; answered by one `Done`. Without any of it, the gateway is described only.

    Attributes:
        look_now: Look at everything, whether it is due or not.
        prepare: Give it something to serve first.
        attend: Run a pass.
        lost: Why the worker before was lost during a pass over this gateway; empty if none was.
    """

    gateway: str
    look_now: bool = False
    prepare: bool = False
    attend: bool = True
    lost: str = ""

    @property
    def describes_only(self) -> bool:
        """True if nothing is done to the gateway."""
        return not (self.prepare or self.attend or self.lost)


@dataclass(frozen=True, slots=True)
class Fetched(Message):
    """The CA has fetched the response for a token."""

    token: str


@dataclass(frozen=True, slots=True)
class Leave(Message):
    """End, after the passes in progress; answered by `Left`.

    Attributes:
        now: Interrupt the passes.
    """

    now: bool = False


# ---------------------------------------------------------------------- to the core


@dataclass(frozen=True, slots=True)
class Configured(Message):
    """The configuration is valid.

    Attributes:
        gateways: Their names.
        longest_pass: Seconds after which a pass hangs.
        idle: Seconds after which an idle worker is not needed any more.
        memory: Bytes of resident memory that a worker may have.
        held: By challenge type, each address and port that something forwards to.
        monitoring: A `MonitoringPlan` in plain values; empty if there is nothing to monitor.
        issues: Whether this host orders for gateways in the field.
        following: A `FollowingPlan` in plain values; empty without a fleet.
    """

    state_directory: str
    gateways: list[str]
    longest_pass: float
    idle: float
    memory: int
    held: dict[str, list[str]] = field(default_factory=dict)
    monitoring: dict[str, Any] = field(default_factory=dict)
    issues: bool = False
    following: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Invalid(Message):
    """The configuration is not valid.

    Attributes:
        problems: Each as place, key and words.
    """

    problems: list[list[str]]


@dataclass(frozen=True, slots=True)
class Failed(Message):
    """The worker cannot work at all."""

    message: str
    fix: str


@dataclass(frozen=True, slots=True)
class Opened(Message):
    """The worker takes work.

    Attributes:
        stamps: What stands on the disk for each gateway, as `stored_stamp` says; empty for a
            configuration that is not new.
    """

    stamps: dict[str, str]


@dataclass(frozen=True, slots=True)
class Done(Message):
    """Work on a gateway has ended.

    Attributes:
        outcome: The kind of outcome; empty if there is nothing to report.
        next_at: RFC 3339; empty for on an event.
        wake_at: When the next pass is due, in seconds since the epoch; 0 if unknown.
        stamp: What stands on the disk now; empty if that is unknown.
        busy: Another process changes the gateway, so nothing was done.
        described_only: Nothing was to be done.
    """

    gateway: str
    outcome: str = ""
    detail: str = ""
    code: str = ""
    fix: str = ""
    seconds: float = 0.0
    next_at: str = ""
    wake_at: float = 0.0
    stamp: str = ""
    busy: bool = False
    described_only: bool = False


@dataclass(frozen=True, slots=True)
class Described(Message):
    """The status of a gateway, for the monitor.

    Attributes:
        status: A `GatewayStatus` in plain values.
    """

    gateway: str
    status: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unreadable(Message):
    """The status of a gateway cannot be read, for the monitor.

    Attributes:
        at: The time of the attempt, in seconds since the epoch.
    """

    gateway: str
    at: float
    code: str
    problem: str
    fix: str


@dataclass(frozen=True, slots=True)
class Measured(Message):
    """A measurement, for the monitor; see ``gatecert.measurement``."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Step(Message):
    """Progress of a pass, one line for the operator."""

    gateway: str
    stage: str
    text: str


@dataclass(frozen=True, slots=True)
class Record(Message):
    """A log record, with the attributes of ``logging.LogRecord``."""

    name: str
    levelno: int
    msg: str
    args: list[Any]
    pathname: str
    lineno: int
    funcName: str  # noqa: N815 - as in logging
    created: float
    exc_text: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expect(Message):
    """Say when the response for this token is fetched."""

    token: str


@dataclass(frozen=True, slots=True)
class Forget(Message):
    """The token is of no interest any more."""

    token: str


@dataclass(frozen=True, slots=True)
class Look(Message):
    """Other hosts have news of these gateways, of which the follower tells."""

    gateways: list[str]


@dataclass(frozen=True, slots=True)
class FleetSeen(Message):
    """The fleet as the follower has seen it, for the monitor.

    Attributes:
        report: A `FleetReport` in plain values.
    """

    report: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Left(Message):
    """The last message of a worker.

    Attributes:
        unsaved: As in `Open`.
    """

    unsaved: dict[str, list[str]]


# ---------------------------------------------------------------------- to the monitor


@dataclass(frozen=True, slots=True)
class Watch(Message):
    """Work by this plan from now on.

    Attributes:
        plan: A `MonitoringPlan` in plain values; empty if there is nothing to monitor any more.
        gateways: The names of all gateways, in the order of the configuration.
        core: Process id of the core.
    """

    plan: dict[str, Any]
    gateways: list[str]
    core: int


@dataclass(frozen=True, slots=True)
class Ready(Message):
    """Every gateway has something to serve, or not yet."""

    ready: bool


# ---------------------------------------------------------------------- to the follower


@dataclass(frozen=True, slots=True)
class Follow(Message):
    """Follow the fleet's database by this plan from now on.

    Attributes:
        plan: A `FollowingPlan` in plain values.
        life: UUID of the core, by which it is told from another daemon with the same name.
        listening: Whether the core answers http-01 on inherited sockets.
    """

    plan: dict[str, Any]
    life: str
    listening: bool


TO_WORKER: Final = (Load, Resume, Open, Retain, Work, Fetched, Leave)
TO_CORE: Final = (
    Configured,
    Invalid,
    Failed,
    Opened,
    Done,
    Described,
    Unreadable,
    Measured,
    Step,
    Record,
    Expect,
    Forget,
    Look,
    FleetSeen,
    Left,
)
TO_MONITOR: Final = (Watch, Ready, Described, Unreadable, Measured, FleetSeen, Leave)
TO_FOLLOWER: Final = (Follow, Leave)

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "str": (str,),
    "int": (int,),
    "float": (float,),
    "bool": (bool,),
}
_KINDS: Final[dict[str, type[Message]]] = {
    each.__name__: each for each in (*TO_WORKER, *TO_CORE, *TO_MONITOR, *TO_FOLLOWER)
}
_REQUIRED: Final = {
    kind: {
        each.name
        for each in fields(kind)
        if each.default is MISSING and each.default_factory is MISSING
    }
    for kind in _KINDS.values()
}
_FIELDS: Final = {
    kind: {each.name: str(each.type) for each in fields(kind)} for kind in _KINDS.values()
}
_ALLOWED: Final[dict[tuple[type[Message], str], set[str]]] = {
    (Done, "outcome"): {"", *OutcomeKind},
    (Step, "stage"): {*Stage},
}


def encode(message: Message) -> bytes:
    """Return the line of a message, with its end."""
    content = {name: getattr(message, name) for name in _FIELDS[type(message)]}
    line = json.dumps({"kind": type(message).__name__, **content}, separators=(",", ":"))
    return line.encode() + b"\n"


def decode(line: bytes) -> Message:
    """Return the message of a line.

    Raises:
        MessageError: It is none.
    """
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MessageError("a line that is not JSON") from error
    if not isinstance(content, dict):
        raise MessageError("a line that is no JSON object")
    kind = _KINDS.get(str(content.pop("kind", "")))
    if kind is None:
        raise MessageError("a message of an unknown kind")
    known = _FIELDS[kind]
    if not _REQUIRED[kind] <= content.keys() <= known.keys():
        raise MessageError(f"a message {kind.__name__} with other fields")
    for name, value in content.items():
        allowed = _ALLOWED.get((kind, name))
        if not _is(value, known[name]) or (allowed is not None and value not in allowed):
            raise MessageError(f"a message {kind.__name__} with a wrong value of {name}")
    return kind(**content)


def _is(value: object, kind: str) -> bool:
    """Return whether a value has a type, given as it is written in this module."""
    if kind == "Any":
        return True
    if kind.startswith("list["):
        inner = kind.removeprefix("list[")[:-1]
        return isinstance(value, list) and all(_is(each, inner) for each in value)
    if kind.startswith("dict[str, "):
        inner = kind.removeprefix("dict[str, ")[:-1]
        return isinstance(value, dict) and all(_is(each, inner) for each in value.values())
    if isinstance(value, bool):
        return kind == "bool"
    if kind == "float" and isinstance(value, int | float):
        return abs(value) <= sys.float_info.max  # which NaN is not either
    return isinstance(value, _TYPES[kind])


class LineReader:
    """Splits what arrives on a stream into lines."""

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._length = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that ``data`` completes.

        Raises:
            MessageError: A line is too long.
        """
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join((*self._parts, lines[0]))
            self._parts, self._length = [], 0
        self._parts.append(rest)
        self._length += len(rest)
        if self._length > self._longest:
            raise MessageError("a line without an end")
        return lines

    @property
    def incomplete(self) -> bool:
        """True while a line has begun and not ended."""
        return self._length > 0
