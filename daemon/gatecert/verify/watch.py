"""Check whether listeners still serve the installed certificate. Pure.

A gateway that does not answer differs from one that answers with another certificate. The first is
down, restarting or unreachable, and a reload does not help. The second has lost its certificate,
for example to a restored backup, an edited configuration or a reload that had no effect, and a
reload may help.
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
    """The state of all listeners, best first."""

    SERVED = "served"
    SILENT = "silent"
    MIXED = "mixed"
    DRIFTED = "drifted"


@dataclass(frozen=True, slots=True)
class WatchResult:
    """The result of a check of all listeners.

    Attributes:
        listeners: Those with a problem, ``host:port``.
        detail: A description of each problem, on one line.
    """

    state: WatchState
    listeners: tuple[str, ...] = ()
    detail: str = ""


def is_silent(answer: ServedChain | ProbeFailure) -> bool:
    """Tell whether the listener did not answer, so that its certificate is unknown."""
    return isinstance(answer, ProbeFailure) and answer.kind in SILENT


def all_refuse(answers: Sequence[ServedChain | ProbeFailure]) -> bool:
    """Tell whether every listener refuses connections: the server is not running."""
    return bool(answers) and all(
        isinstance(answer, ProbeFailure) and answer.kind is FailureKind.REFUSED
        for answer in answers
    )


def is_mixed(
    wrong: ServedChain | ProbeFailure,
    answers: Sequence[ServedChain | ProbeFailure],
    summary: CertificateSummary,
) -> bool:
    """Tell whether a listener with a wrong answer also serves the installed certificate."""
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
    """Compare the answers of listeners with the installed certificate.

    Args:
        answers: The answers of all listeners.
        summary: The installed certificate.
        command: The result of the operator's command; None without one. It cannot tell a server
            that is down from one that serves another certificate, so a failure counts as the
            latter, unless a silent listener explains it.
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
