"""The properties that hold for every input from outside, and the count of inputs tried.

- No traceback: nothing but a `GatecertError` comes out, its message clean and of sane length.
- No hang: an input is dealt with in a time that does not depend on it.
- No growth: what is kept of an input has an upper bound (`tests.fuzz.long` watches the memory).

Each property is a hypothesis test. In CI hypothesis draws the inputs; in the long run the very same
property is driven by coverage (`tests.fuzz.long`).
"""

from __future__ import annotations

import os
import signal
import struct
from contextlib import contextmanager, suppress
from mmap import mmap
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.fuzz.source import Make, Source

from gatecert.errors import ConfigurationError, GatecertError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType


MOST_SECONDS: Final = 2.0  # of computing, for one input
LONGEST_WAIT: Final = 30.0  # seconds, on a machine that has other things to do
LONGEST_MESSAGE: Final = 100_000  # characters: a hundred subproblems, each of them cut
USUAL_EXAMPLES: Final = 200
INPUT_SIZE: Final = 400  # octets; a document is changed with fewer
COUNTER: Final = struct.Struct("=Q")
TIMES: Final = int(os.environ.get("GATECERT_FUZZ_TIMES", "1"))  # as many examples

PHASES: Final = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)


class Hang(BaseException):
    """An input took longer than an input may take; nothing on the way may catch this."""


class Counter:
    """The number of inputs tried, stored so that it survives the process."""

    def __init__(self) -> None:
        self.number = 0
        self._shared: mmap | None = None

    def share(self, path: Path) -> None:
        """Keep the number in a file, too."""
        path.write_bytes(COUNTER.pack(0))
        with path.open("r+b") as file:
            self._shared = mmap(file.fileno(), COUNTER.size)

    def add(self) -> None:
        """One more input has kept its promise."""
        self.number += 1
        if self._shared is not None:
            COUNTER.pack_into(self._shared, 0, self.number)


counter = Counter()


class Property(Protocol):
    """A test for hypothesis, and what drives it without."""

    makers: tuple[Make[Any], ...]
    share: int
    __name__: str

    def __call__(self) -> None:
        """Let hypothesis draw the inputs."""
        ...

    def try_input(self, data: bytes, seconds: float = MOST_SECONDS) -> None:
        """Try one input, given as octets."""
        ...


def promised(
    *makers: Make[Any], examples: int = USUAL_EXAMPLES, share: int = 1
) -> Callable[[Callable[..., None]], Property]:
    """Make a property of a function of an input.

    Args:
        makers: Make the arguments.
        examples: How many inputs are enough for CI.
        share: Of a long run, compared with other properties.
    """

    def decorate(function: Callable[..., None]) -> Property:
        def try_input(data: bytes, seconds: float = MOST_SECONDS) -> None:
            source = Source(data)
            with in_time(seconds):
                arguments = [maker(source) for maker in makers]
                with _shown(function, arguments):
                    function(*arguments)
            counter.add()

        @settings(
            max_examples=examples * TIMES,
            deadline=None,  # ours counts, and does not change with what else the machine does
            database=None,
            derandomize="CI" in os.environ,  # what is new is for the long run to find
            suppress_health_check=list(HealthCheck),
            phases=PHASES,
        )
        @given(st.binary(min_size=INPUT_SIZE, max_size=INPUT_SIZE))
        def held(data: bytes) -> None:
            try_input(data)

        held.__name__ = function.__name__
        held.__qualname__ = function.__qualname__
        held.__module__ = function.__module__
        found = cast("Property", held)
        found.share = share
        found.makers = makers
        found.try_input = try_input  # type: ignore[method-assign] # of this very property
        return found

    return decorate


@contextmanager
def _shown(function: Callable[..., None], arguments: Sequence[object]) -> Iterator[None]:
    """Say which input it was that broke a promise."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"{function.__name__} of {arguments!r}")
        raise


@contextmanager
def in_time(seconds: float = MOST_SECONDS) -> Iterator[None]:
    """Interrupt what computes for too long, and what waits for far too long.

    Raises:
        Hang: It did.
    """

    def end(_number: int, _frame: FrameType | None) -> None:
        raise Hang(f"an input took more than {seconds:g} s, or {LONGEST_WAIT:g} s of waiting")

    limits = (
        (signal.SIGPROF, signal.ITIMER_PROF, seconds),
        (signal.SIGALRM, signal.ITIMER_REAL, LONGEST_WAIT),
    )
    before = [signal.signal(number, end) for number, _, _ in limits]
    for _, timer, limit in limits:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(limits, before, strict=True):
            signal.setitimer(timer, 0.0)
            signal.signal(number, handler)


@contextmanager
def refused_properly() -> Iterator[None]:
    """Let an operator's error pass, if it may be shown to one; everything else is a failure."""
    with suppress(GatecertError):
        try:
            yield
        except GatecertError as error:
            check_error(error)
            raise


def check_error(error: GatecertError, longest: int = LONGEST_MESSAGE) -> None:
    """A message is one clean line, or one for each problem of a configuration."""
    lines = [str(error)]
    if isinstance(error, ConfigurationError):
        lines = [str(problem) for problem in error.problems]
        assert lines, "a configuration is refused, and nothing said of why"
    for line in lines:
        check_line(line, longest)


def check_line(line: str, longest: int = LONGEST_MESSAGE) -> None:
    """Text that may stand on a terminal and in a log."""
    assert line.strip(), "nothing is said"
    assert line.isprintable(), f"control characters in {line!r}"
    assert len(line) <= longest, f"{len(line)} characters"
