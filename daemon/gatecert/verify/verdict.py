"""Whether every listener serves the installed certificate.

"Serves it" means: the leaf and its intermediates, in that order, are the installed ones, byte for
byte. A root sent at the end is superfluous (RFC 8446 section 4.4.2 lets the sender leave it out)
and harmless, so it is only mentioned. Anything else, a missing intermediate above all, breaks some
client and is no match.

A reload takes its time: an old worker may answer once more, a listener may be closed for a moment.
So each listener is asked again and again until it matches or the time is up. Once it does, it is
asked a few times more on fresh connections: where two processes share a port and one of them still
serves another certificate, or fails handshakes, some clients see that, and the listener is *mixed*.
All of these handshakes together take no longer than one may; a connection that is refused, reset
or not answered then means nothing, for many servers limit how many they take from one client.

A host with several addresses is asked at each of them. ``localhost`` alone is served well at one.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from gatecert.challenge.listening import listening_process
from gatecert.deadline import Deadline
from gatecert.model import FailureKind, Probe, Verdict
from gatecert.time_format import day
from gatecert.verify.connect import ProbeError, addresses
from gatecert.verify.probe import probe
from gatecert.verify.served_chain import SILENT, ProbeFailure, ServedChain
from gatecert.verify.verify_command import ProofCommand, wait_until_proven

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from collections.abc import Set as AbstractSet
    from threading import Event

    from gatecert.model import CertificateSummary, Endpoint

logger = logging.getLogger(__name__)

CONFIRMATIONS: Final = 8  # further handshakes: one of two sockets is missed once in 500 times
WATCH_HANDSHAKES: Final = 4  # handshakes of a look that is repeated every few minutes
ONE_HANDSHAKE: Final = timedelta(seconds=5)
FIRST_PAUSE: Final = 0.05  # seconds
LONGEST_PAUSE: Final = 1.0  # seconds
MAX_PARALLEL: Final = 16  # listeners asked in parallel
LOCALHOST: Final = {"localhost"}
SHOWN_DIGITS: Final = 12  # of a fingerprint

Answer = TypeVar("Answer")
Comparison: TypeAlias = "Callable[[ServedChain | ProbeFailure], Probe]"


def prove(  # noqa: PLR0913 - each says another thing about the proof
    endpoints: Sequence[Endpoint],
    server_name: str,
    summary: CertificateSummary,
    *,
    timeout: timedelta,
    one_handshake: timedelta = ONE_HANDSHAKE,
    command: ProofCommand | None = None,
    confirmations: int = CONFIRMATIONS,
    cancelled: Event | None = None,
) -> Verdict:
    """Ask every listener until it serves the installed certificate, or the time is up.

    Args:
        endpoints: The listeners; with none and no command, the verdict has no probes.
        server_name: The gateway's name as A-labels, or an IP address.
        summary: The installed certificate.
        timeout: How long the listeners may take; with zero each is asked once.
        one_handshake: How long one handshake may take.
        command: Asked as well, at the same time.
        confirmations: Further handshakes with a listener that serves it.
        cancelled: Set when gatecert is leaving; the last answers then have to do.
    """
    return prove_with(
        partial(compare_served_chain, summary=summary),
        endpoints,
        server_name,
        timeout=timeout,
        one_handshake=one_handshake,
        command=command,
        algorithms=summary.algorithms,
        confirmations=confirmations,
        cancelled=cancelled,
    )


def prove_with(  # noqa: PLR0913 - each says another thing about the proof
    compare: Comparison,
    endpoints: Sequence[Endpoint],
    server_name: str,
    *,
    timeout: timedelta,
    one_handshake: timedelta = ONE_HANDSHAKE,
    command: ProofCommand | None = None,
    algorithms: Sequence[str] = ("",),
    confirmations: int = CONFIRMATIONS,
    cancelled: Event | None = None,
) -> Verdict:
    """Ask every listener until its answer is the one that is wanted, or the time is up.

    Args:
        compare: Says whether an answer is; for the others see ``prove``.
        endpoints: The listeners.
        server_name: The gateway's name.
        timeout: How long the listeners may take.
        one_handshake: How long one handshake may take.
        command: Asked as well, whether it says yes.
        algorithms: Kinds of key to ask for apart; an empty one takes any.
        confirmations: Further handshakes with a listener whose answer is the wanted one.
        cancelled: Set when gatecert is leaving.
    """
    deadline = Deadline.after(timeout.total_seconds(), cancelled)
    endpoints = _each_address(endpoints, one_handshake.total_seconds())
    wait = partial(
        _wait_until_matching,
        compare,
        server_name=server_name,
        deadline=deadline,
        one_handshake=one_handshake.total_seconds(),
        confirmations=confirmations,
    )
    questions = [
        partial(wait, endpoint, algorithm) for endpoint in endpoints for algorithm in algorithms
    ]
    if command is not None:
        questions.append(partial(wait_until_proven, command, deadline))
    return Verdict(tuple(_without_unused_families(_run_parallel(questions))))


def probe_listeners(
    endpoints: Sequence[Endpoint],
    server_name: str,
    *,
    timeout: timedelta = ONE_HANDSHAKE,
    algorithms: Sequence[str] = ("",),
) -> tuple[ServedChain | ProbeFailure, ...]:
    """Ask every listener what it serves, whatever that is; for each kind of key.

    A listener that serves two certificates in turn is told of once for each.
    """
    ask = partial(_probe_listener, server_name=server_name, timeout=timeout.total_seconds())
    questions = [
        partial(ask, endpoint, algorithm=algorithm)
        for endpoint in _each_address(endpoints, timeout.total_seconds())
        for algorithm in algorithms
    ]
    answers = [answer for some in _run_parallel(questions) for answer in some]
    served = {_listener(each.endpoint) for each in answers if isinstance(each, ServedChain)}
    return tuple(
        answer
        for answer in answers
        if isinstance(answer, ServedChain)
        or answer.kind is not FailureKind.REFUSED
        or not _is_unused_family(answer.endpoint, served)
    )


def _probe_listener(
    endpoint: Endpoint, *, server_name: str, timeout: float, algorithm: str
) -> list[ServedChain | ProbeFailure]:
    """Shake hands with one listener a few times; its answers, each certificate or failure once."""
    ask = partial(probe, endpoint, server_name, algorithm=algorithm)
    first = ask(timeout=timeout)
    if _shown(first) in SILENT:
        return [first]
    found = {_shown(first): first}
    budget = Deadline.after(timeout)
    for _ in range(WATCH_HANDSHAKES - 1):
        if budget.passed:
            break
        answer = ask(timeout=budget.remaining)
        if _shown(answer) not in SILENT:
            found.setdefault(_shown(answer), answer)
    return list(found.values())


def _shown(answer: ServedChain | ProbeFailure) -> str:
    """What tells one answer from another: the certificate, or the kind of failure."""
    return answer.fingerprint if isinstance(answer, ServedChain) else answer.kind


def _each_address(endpoints: Sequence[Endpoint], seconds: float) -> list[Endpoint]:
    """The listeners, each once for every address of its host."""
    found: list[Endpoint] = []
    for endpoint in endpoints:
        try:
            every = addresses(endpoint, Deadline.after(seconds)) if not endpoint.address else []
        except ProbeError:  # told by whoever asks it
            every = []
        if len(every) > 1:
            found += [replace(endpoint, address=each) for each in every]
        else:
            found.append(endpoint)
    return found


def _without_unused_families(probes: Sequence[Probe]) -> list[Probe]:
    """The probes, without an address of localhost that nobody uses: another one serves well."""
    served = {_listener(each.endpoint) for each in probes if each.endpoint and each.matches}
    return [
        each
        for each in probes
        if each.endpoint is None
        or each.failure is not FailureKind.REFUSED
        or not _is_unused_family(each.endpoint, served)
    ]


def _is_unused_family(endpoint: Endpoint, served: AbstractSet[Endpoint]) -> bool:
    """Whether the same listener of localhost is served at another of its addresses."""
    return endpoint.host in LOCALHOST and _listener(endpoint) in served


def _listener(endpoint: Endpoint) -> Endpoint:
    """What was configured, whichever of its addresses is meant."""
    return replace(endpoint, address="")


def compare_served_chain(answer: ServedChain | ProbeFailure, summary: CertificateSummary) -> Probe:
    """Compare what a listener showed with the installed certificate."""
    endpoint = answer.endpoint
    place = f"{endpoint} ({answer.algorithm.upper()})" if answer.algorithm else f"{endpoint}"
    if isinstance(answer, ProbeFailure):
        detail = f"{place} {answer.detail}"
        return Probe(endpoint, "", matches=False, detail=detail, failure=answer.kind)
    summary = summary.of(answer.algorithm, answer.fingerprint)
    mismatch = _mismatch(answer, summary)
    if mismatch:
        return Probe(endpoint, answer.fingerprint, matches=False, detail=f"{place} {mismatch}")
    root = (
        " (and its root, which clients do not need)"
        if len(answer.chain_fingerprints) > len(summary.chain_fingerprints)
        else ""
    )
    detail = f"{place} serves {_describe_installed(summary)}{root}"
    return Probe(endpoint, answer.fingerprint, matches=True, detail=detail)


def _wait_until_matching(  # noqa: PLR0913 - whom to ask, for what, and how long
    compare: Comparison,
    endpoint: Endpoint,
    algorithm: str,
    *,
    server_name: str,
    deadline: Deadline,
    one_handshake: float,
    confirmations: int,
) -> Probe:
    """Ask one listener until it matches or the time is up, and keep its last telling answer."""
    handshake = partial(probe, endpoint, server_name, algorithm=algorithm)
    confirmed = partial(
        _confirmed, compare, handshake, confirmations=confirmations, cancelled=deadline.cancelled
    )
    result = confirmed(one_handshake)
    pause, attempts, ever_mixed = FIRST_PAUSE, 1, result.mixed
    while not result.matches and not deadline.passed:
        deadline.wait(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
        seconds = deadline.within(one_handshake)
        if seconds <= 0.0:
            break
        latest = confirmed(seconds)
        attempts += 1
        ever_mixed = ever_mixed or latest.mixed
        # A handshake that the end of the time cut short tells less than the one before it.
        if latest.fingerprint or seconds >= one_handshake:
            result = latest
    budget = Deadline.after(one_handshake, deadline.cancelled)
    telling = not result.matches and result.failure not in SILENT
    if telling and (
        ever_mixed
        or (
            result.failure is None
            and any(each.matches for each in _repeat(compare, handshake, confirmations, budget))
        )
    ):
        result = replace(result, mixed=True, detail=f"{result.detail}{_shared_port_note(endpoint)}")
    logger.debug("proof endpoint=%s served=%s asked=%d", endpoint, result.matches, attempts)
    return result


def _confirmed(
    compare: Comparison,
    handshake: Callable[..., ServedChain | ProbeFailure],
    seconds: float,
    *,
    confirmations: int,
    cancelled: Event | None,
) -> Probe:
    """Shake hands, and a few times more where that showed what is wanted."""
    result = compare(handshake(timeout=seconds))
    if not result.matches:
        return result
    budget = Deadline.after(seconds, cancelled)
    for again in _repeat(compare, handshake, confirmations, budget):
        if not again.matches and again.failure not in SILENT:
            return replace(again, mixed=True)
    return result


def _repeat(
    compare: Comparison,
    handshake: Callable[..., ServedChain | ProbeFailure],
    times: int,
    budget: Deadline,
) -> Iterator[Probe]:
    """Shake hands on so many fresh connections, as far as the time goes."""
    for _ in range(times):
        if budget.passed:
            return
        yield compare(handshake(timeout=budget.remaining))


def _shared_port_note(endpoint: Endpoint) -> str:
    """What is wrong with a listener that serves two certificates, and who shares its port."""
    who = listening_process(endpoint.port)
    named = f" ({who} listen there)" if who else ""
    return f", to some clients: two servers share the port{named}"


def _run_parallel(questions: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Ask everything at the same time; answers come in the questions' order."""
    if len(questions) <= 1:
        return [ask() for ask in questions]
    with ThreadPoolExecutor(min(len(questions), MAX_PARALLEL), "verify") as pool:
        return [answer.result() for answer in [pool.submit(ask) for ask in questions]]


def _mismatch(served: ServedChain, summary: CertificateSummary) -> str:
    """What is wrong with a served chain, empty when nothing is."""
    if served.fingerprint != summary.fingerprint:
        return f"still serves {_describe_served(served)} instead of {_describe_installed(summary)}"
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


def _describe_served(served: ServedChain) -> str:
    """A certificate that is not ours, as the operator may recognise it."""
    who = served.subject or "no subject"
    return (
        f"the certificate of {who} (issued by {served.issuer or 'nobody'},"
        f" sha256 {served.fingerprint[:SHOWN_DIGITS]}, ends {day(served.not_after)})"
    )


def _describe_installed(summary: CertificateSummary) -> str:
    """The installed certificate, in the same terms."""
    return (
        f"the installed one (sha256 {summary.fingerprint[:SHOWN_DIGITS]},"
        f" ends {day(summary.not_after)})"
    )
