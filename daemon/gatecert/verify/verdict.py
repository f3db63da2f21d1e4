"""Whether every listener serves the installed certificate.

"Serves it" means: the leaf and its intermediates, in that order, are the installed ones, byte for
byte. A root sent at the end is superfluous (RFC 8446 section 4.4.2 lets the sender leave it out)
and harmless, so it is only mentioned. Anything else, a missing intermediate above all, breaks some
client and is no match.

A reload takes its time: an old worker may answer once more, a listener may be closed for a moment.
So each listener is asked again and again until it matches or the time is up.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from gatecert.deadline import Deadline
from gatecert.model import Probe, Verdict
from gatecert.verify.command import ProofCommand, wait_until_proven
from gatecert.verify.probe import probe
from gatecert.verify.served import ProbeFailure, ServedChain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from threading import Event

    from gatecert.model import CertificateSummary, Endpoint

logger = logging.getLogger(__name__)

ONE_HANDSHAKE: Final = timedelta(seconds=5)
FIRST_PAUSE: Final = 0.05  # seconds
LONGEST_PAUSE: Final = 1.0  # seconds
MOST_AT_ONCE: Final = 16  # listeners asked in parallel
SHOWN_DIGITS: Final = 12  # of a fingerprint

Answer = TypeVar("Answer")
Judge: TypeAlias = "Callable[[ServedChain | ProbeFailure], Probe]"


def prove(  # noqa: PLR0913 - each says another thing about the proof
    endpoints: Sequence[Endpoint],
    server_name: str,
    summary: CertificateSummary,
    *,
    timeout: timedelta,
    now: Callable[[], datetime],
    one_handshake: timedelta = ONE_HANDSHAKE,
    command: ProofCommand | None = None,
    cancelled: Event | None = None,
) -> Verdict:
    """Ask every listener until it serves the installed certificate, or the time is up.

    Args:
        endpoints: The listeners; with none and no command, the verdict has no probes.
        server_name: The gateway's name as A-labels, or an IP address.
        summary: The installed certificate.
        timeout: How long the listeners may take; with zero each is asked once.
        now: Reads the clock.
        one_handshake: How long one handshake may take.
        command: Asked as well, at the same time.
        cancelled: Set when gatecert is leaving; the last answers then have to do.
    """
    return prove_by(
        partial(judge, summary=summary),
        endpoints,
        server_name,
        timeout=timeout,
        now=now,
        one_handshake=one_handshake,
        command=command,
        algorithms=summary.algorithms,
        cancelled=cancelled,
    )


def prove_by(  # noqa: PLR0913 - each says another thing about the proof
    verdict_on: Judge,
    endpoints: Sequence[Endpoint],
    server_name: str,
    *,
    timeout: timedelta,
    now: Callable[[], datetime],
    one_handshake: timedelta = ONE_HANDSHAKE,
    command: ProofCommand | None = None,
    algorithms: Sequence[str] = ("",),
    cancelled: Event | None = None,
) -> Verdict:
    """Ask every listener until its answer is the one that is wanted, or the time is up.

    Args:
        verdict_on: Says whether an answer is; for the others see ``prove``.
        endpoints: The listeners.
        server_name: The gateway's name.
        timeout: How long the listeners may take.
        now: Reads the clock.
        one_handshake: How long one handshake may take.
        command: Asked as well, whether it says yes.
        algorithms: Kinds of key to ask for apart; an empty one takes any.
        cancelled: Set when gatecert is leaving.
    """
    deadline = Deadline.after(timeout.total_seconds(), cancelled)
    wait = partial(
        _wait_until_wanted,
        verdict_on,
        server_name=server_name,
        deadline=deadline,
        one_handshake=one_handshake.total_seconds(),
    )
    questions = [
        partial(wait, endpoint, algorithm) for endpoint in endpoints for algorithm in algorithms
    ]
    if command is not None:
        questions.append(partial(wait_until_proven, command, deadline))
    return Verdict(now(), tuple(_at_once(questions)))


def look(
    endpoints: Sequence[Endpoint],
    server_name: str,
    *,
    timeout: timedelta = ONE_HANDSHAKE,
    algorithms: Sequence[str] = ("",),
) -> tuple[ServedChain | ProbeFailure, ...]:
    """Ask every listener once what it serves, whatever that is; once for each kind of key."""
    ask = partial(probe, server_name=server_name, timeout=timeout.total_seconds())
    questions = [
        partial(ask, endpoint, algorithm=algorithm)
        for endpoint in endpoints
        for algorithm in algorithms
    ]
    return tuple(_at_once(questions))


def judge(answer: ServedChain | ProbeFailure, summary: CertificateSummary) -> Probe:
    """Compare what a listener showed with the installed certificate."""
    endpoint = answer.endpoint
    place = f"{endpoint} ({answer.algorithm.upper()})" if answer.algorithm else f"{endpoint}"
    if isinstance(answer, ProbeFailure):
        detail = f"{place} {answer.detail}"
        return Probe(endpoint, "", matches=False, detail=detail, failure=answer.kind)
    summary = summary.of(answer.algorithm, answer.fingerprint)
    objection = _objection(answer, summary)
    if objection:
        return Probe(endpoint, answer.fingerprint, matches=False, detail=f"{place} {objection}")
    root = (
        " (and its root, which clients do not need)"
        if len(answer.chain_fingerprints) > len(summary.chain_fingerprints)
        else ""
    )
    detail = f"{place} serves {_name(summary)}{root}"
    return Probe(endpoint, answer.fingerprint, matches=True, detail=detail)


def _wait_until_wanted(  # noqa: PLR0913 - whom to ask, for what, and how long
    verdict_on: Judge,
    endpoint: Endpoint,
    algorithm: str,
    *,
    server_name: str,
    deadline: Deadline,
    one_handshake: float,
) -> Probe:
    """Ask one listener until it matches or the time is up, and keep its last telling answer."""
    ask = partial(probe, endpoint, server_name, algorithm=algorithm)
    result = verdict_on(ask(timeout=one_handshake))
    pause, asked = FIRST_PAUSE, 1
    while not result.matches and not deadline.passed:
        deadline.wait(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
        patience = deadline.within(one_handshake)
        if patience <= 0.0:
            break
        latest = verdict_on(ask(timeout=patience))
        asked += 1
        # A handshake that the end of the time cut short tells less than the one before it.
        if latest.fingerprint or patience >= one_handshake:
            result = latest
    logger.debug("proof endpoint=%s served=%s asked=%d", endpoint, result.matches, asked)
    return result


def _at_once(questions: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Ask everything at the same time; answers come in the questions' order."""
    if len(questions) <= 1:
        return [ask() for ask in questions]
    with ThreadPoolExecutor(min(len(questions), MOST_AT_ONCE), "verify") as pool:
        return [answer.result() for answer in [pool.submit(ask) for ask in questions]]


def _objection(served: ServedChain, summary: CertificateSummary) -> str:
    """What is wrong with a served chain, empty when nothing is."""
    if served.fingerprint != summary.fingerprint:
        return f"still serves {_other(served)} instead of {_name(summary)}"
    installed, sent = summary.chain_fingerprints, served.chain_fingerprints
    if sent == installed or (sent[:-1] == installed and served.ends_in_root):
        return ""
    if sent == installed[: len(sent)]:
        return (
            f"serves the right certificate without its intermediate certificates"
            f" ({len(sent)} of {len(installed)} sent): let it read fullchain.pem"
        )
    if sent[: len(installed)] == installed:
        return (
            f"serves the right certificate, followed by {len(sent) - len(installed)}"
            f" certificates that do not belong to it"
        )
    return "serves the right certificate with other intermediate certificates than the installed"


def _other(served: ServedChain) -> str:
    """A certificate that is not ours, as the operator may recognise it."""
    who = served.subject or "no subject"
    return (
        f"the certificate of {who} (issued by {served.issuer or 'nobody'},"
        f" sha256 {served.fingerprint[:SHOWN_DIGITS]}, ends {served.not_after:%Y-%m-%d})"
    )


def _name(summary: CertificateSummary) -> str:
    """The installed certificate, in the same terms."""
    return (
        f"the installed one (sha256 {summary.fingerprint[:SHOWN_DIGITS]},"
        f" ends {summary.not_after:%Y-%m-%d})"
    )
