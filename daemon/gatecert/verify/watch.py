"""Whether listeners that were proven to serve the installed certificate still do. Pure.

A gateway that does not answer is told apart from one that answers with something else: the first
is down, restarting or cut off, and no reload brings it back; the second has lost its certificate,
to a copy that came back from a backup, a configuration that was edited or a reload that lied, and a
reload may well bring it back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gatecert.model import FailureKind
from gatecert.verify.served_chain import SILENT, ProbeFailure, ServedChain
from gatecert.verify.verdict import compare_served_chain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.model import CertificateSummary, Probe


class WatchState(StrEnum):
    """What a look at all listeners came to, best first."""

    SERVED = "served"
    SILENT = "silent"
    MIXED = "mixed"
    DRIFTED = "drifted"


@dataclass(frozen=True, slots=True)
class WatchResult:
    """What a look at all listeners showed.

    Attributes:
        listeners: Those that are not as they should be, ``host:port``.
        detail: One line for the operator about each of them.
    """

    view: WatchState
    listeners: tuple[str, ...] = ()
    detail: str = ""


def is_silent(answer: ServedChain | ProbeFailure) -> bool:
    """Whether nothing answered at a listener, so that nothing is known of what it would serve."""
    return isinstance(answer, ProbeFailure) and answer.kind in SILENT


def all_refuse(answers: Sequence[ServedChain | ProbeFailure]) -> bool:
    """Whether every listener refuses connections, so that the server plainly is not running."""
    return bool(answers) and all(
        isinstance(answer, ProbeFailure) and answer.kind is FailureKind.REFUSED
        for answer in answers
    )


def is_mixed(
    wrong: ServedChain | ProbeFailure,
    answers: Sequence[ServedChain | ProbeFailure],
    summary: CertificateSummary,
) -> bool:
    """Whether a listener that served something else, or failed, also serves the installed one."""
    return not is_silent(wrong) and any(
        answer.endpoint == wrong.endpoint
        and answer.algorithm == wrong.algorithm
        and compare_served_chain(answer, summary).matches
        for answer in answers
    )


def compare(
    answers: Sequence[ServedChain | ProbeFailure],
    summary: CertificateSummary,
    command: Probe | None = None,
) -> WatchResult:
    """Compare what listeners showed with the installed certificate.

    Args:
        answers: What they showed.
        summary: The installed certificate.
        command: What the operator's own proof said; None where there is none. It cannot tell a
            server that is down from one that serves something else, so a no counts as the latter,
            unless a listener that is silent tells the reason.
    """
    wrong = [
        (answer, probe)
        for answer, probe in ((answer, compare_served_chain(answer, summary)) for answer in answers)
        if not probe.matches
    ]
    denied = [command] if command is not None and not command.matches else []
    if not wrong and not denied:
        return WatchResult(WatchState.SERVED)
    silent = bool(wrong) and all(is_silent(answer) for answer, _ in wrong)
    mixed = bool(wrong) and all(is_mixed(answer, answers, summary) for answer, _ in wrong)
    return WatchResult(
        WatchState.SILENT
        if silent
        else WatchState.MIXED
        if mixed and not denied
        else WatchState.DRIFTED,
        tuple(str(probe.endpoint) for _, probe in wrong),
        "; ".join(probe.detail for probe in (*(probe for _, probe in wrong), *denied)),
    )
