"""Prove that every listener serves the installed certificate.

The leaf and its intermediates, in that order, must equal the installed ones byte for byte. A root
at the end is superfluous (RFC 8446 section 4.4.2 lets the sender omit it) and harmless, so the
detail only mentions it. Any other difference, a missing intermediate above all, breaks some
clients.

A reload takes time: an old worker may answer once more, and a listener may be closed for a moment.
gatecert therefore repeats the handshake with each listener until it matches or the time is up.
After a match it makes a few more handshakes on new connections. If two processes share the port and
one of them serves another certificate, or fails handshakes, some clients see that: the listener is
*mixed*. These handshakes share the time limit of one. A connection that is refused, reset or not
answered among them does not count, because many servers limit the connections of a client.

Each address of a host is checked. For ``localhost``, one of its addresses is enough.
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
from gatecert.verify.served_chain import SILENT, ProbeFailure, ServedChain
from gatecert.verify.verify_command import ProofCommand, wait_until_proven

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from collections.abc import Set as AbstractSet
    from threading import Event

    from gatecert.model import CertificateSummary, Endpoint

logger = logging.getLogger(__name__)

CONFIRMATIONS: Final = 8  # further handshakes; they miss one of two sockets once in 500 times
WATCH_HANDSHAKES: Final = 4  # handshakes of the check that runs every few minutes
ONE_HANDSHAKE: Final = timedelta(seconds=5)
FIRST_PAUSE: Final = 0.05  # seconds
LONGEST_PAUSE: Final = 1.0  # seconds
MAX_PARALLEL: Final = 16  # listeners in parallel
LOCALHOST: Final = {"localhost"}
SHOWN_DIGITS: Final = 12  # of a fingerprint

Answer = TypeVar("Answer")
Comparison: TypeAlias = "Callable[[ServedChain | ProbeFailure], Probe]"


def prove(  # noqa: PLR0913 - independent parameters of the proof
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
    """Check every listener until it serves the installed certificate, or the time is up.

    Args:
        endpoints: The listeners; with none and no command, the verdict has no probes.
        server_name: The gateway's name as A-labels, or an IP address.
        summary: The installed certificate.
        timeout: The time limit; zero means a single attempt for each listener.
        one_handshake: The time limit of one handshake.
        command: A command that runs at the same time.
        confirmations: Further handshakes after a match.
        cancelled: Set when gatecert is stopping; the last answers then count.
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


def prove_with(  # noqa: PLR0913 - independent parameters of the proof
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
    """Check every listener until its answer matches, or the time is up.

    Args:
        compare: Compares an answer with the expected one; for the others see ``prove``.
        endpoints: The listeners.
        server_name: The gateway's name.
        timeout: The time limit.
        one_handshake: The time limit of one handshake.
        command: A command that runs at the same time.
        algorithms: Key types to request in separate handshakes; an empty one accepts any.
        confirmations: Further handshakes after a match.
        cancelled: Set when gatecert is stopping.
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
    checks = [
        partial(wait, endpoint, algorithm) for endpoint in endpoints for algorithm in algorithms
    ]
    if command is not None:
        checks.append(partial(wait_until_proven, command, deadline))
    return Verdict(tuple(_without_unused_families(_run_parallel(checks))))


def probe_listeners(
    endpoints: Sequence[Endpoint],
    server_name: str,
    *,
    timeout: timedelta = ONE_HANDSHAKE,
    algorithms: Sequence[str] = ("",),
) -> tuple[ServedChain | ProbeFailure, ...]:
    """Return what every listener serves, for each key type.

    A listener that serves two certificates in turn has an answer for each.
    """
    handshake = partial(_probe_listener, server_name=server_name, timeout=timeout.total_seconds())
    checks = [
        partial(handshake, endpoint, algorithm=algorithm)
        for endpoint in _each_address(endpoints, timeout.total_seconds())
        for algorithm in algorithms
    ]
    answers = [answer for some in _run_parallel(checks) for answer in some]
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
    """Make a few handshakes with a listener; return each certificate or kind of failure once."""
    handshake = _handshake(endpoint, server_name, algorithm)
    first = handshake(timeout=timeout)
    if _answer_key(first) in SILENT:
        return [first]
    found = {_answer_key(first): first}
    budget = Deadline.after(timeout)
    for _ in range(WATCH_HANDSHAKES - 1):
        if budget.passed:
            break
        answer = handshake(timeout=budget.remaining)
        if _answer_key(answer) not in SILENT:
            found.setdefault(_answer_key(answer), answer)
    return list(found.values())


def _handshake(
    endpoint: Endpoint, server_name: str, algorithm: str
) -> Callable[..., ServedChain | ProbeFailure]:
    """Return what makes a handshake with a listener."""
    from gatecert.verify.probe import probe  # noqa: PLC0415 - with pyOpenSSL, for handshakes only

    return partial(probe, endpoint, server_name, algorithm=algorithm)


def _answer_key(answer: ServedChain | ProbeFailure) -> str:
    """Return what distinguishes answers: the certificate, or the kind of failure."""
    return answer.fingerprint if isinstance(answer, ServedChain) else answer.kind


def _each_address(endpoints: Sequence[Endpoint], seconds: float) -> list[Endpoint]:
    """Return the listeners, once for each address of their hosts."""
    found: list[Endpoint] = []
    for endpoint in endpoints:
        try:
            every = addresses(endpoint, Deadline.after(seconds)) if not endpoint.address else []
        except ProbeError:  # the probe reports it
            every = []
        if len(every) > 1:
            found += [replace(endpoint, address=each) for each in every]
        else:
            found.append(endpoint)
    return found


def _without_unused_families(probes: Sequence[Probe]) -> list[Probe]:
    """Drop refused addresses of localhost when another of its addresses matches."""
    served = {_listener(each.endpoint) for each in probes if each.endpoint and each.matches}
    return [
        each
        for each in probes
        if each.endpoint is None
        or each.failure is not FailureKind.REFUSED
        or not _is_unused_family(each.endpoint, served)
    ]


def _is_unused_family(endpoint: Endpoint, served: AbstractSet[Endpoint]) -> bool:
    """Tell whether another address of the same localhost listener is served."""
    return endpoint.host in LOCALHOST and _listener(endpoint) in served


def _listener(endpoint: Endpoint) -> Endpoint:
    """Return the listener as configured, without the address."""
    return replace(endpoint, address="")


def compare_served_chain(answer: ServedChain | ProbeFailure, summary: CertificateSummary) -> Probe:
    """Compare the answer of a listener with the installed certificate."""
    endpoint = answer.endpoint
    place = f"{endpoint} ({answer.algorithm.upper()})" if answer.algorithm else f"{endpoint}"
    if isinstance(answer, ProbeFailure):
        detail = f"{place} {answer.detail}"
        return Probe(endpoint, "", matches=False, detail=detail, failure=answer.kind)
    summary = summary.served_to(answer.algorithm, answer.fingerprint)
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


def _wait_until_matching(  # noqa: PLR0913 - independent parameters of the proof
    compare: Comparison,
    endpoint: Endpoint,
    algorithm: str,
    *,
    server_name: str,
    deadline: Deadline,
    one_handshake: float,
    confirmations: int,
) -> Probe:
    """Check a listener until it matches or the time is up; return its last conclusive answer."""
    handshake = _handshake(endpoint, server_name, algorithm)
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
        # A handshake that ran out of time says less than the one before it.
        if latest.fingerprint or seconds >= one_handshake:
            result = latest
    budget = Deadline.after(one_handshake, deadline.cancelled)
    conclusive = not result.matches and result.failure not in SILENT
    if conclusive and (
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
    """Make a handshake, and a few more after a match."""
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
    """Make that many handshakes on new connections, while time is left."""
    for _ in range(times):
        if budget.passed:
            return
        yield compare(handshake(timeout=budget.remaining))


def _shared_port_note(endpoint: Endpoint) -> str:
    """Explain a listener that serves two certificates, with the processes on its port."""
    processes = listening_process(endpoint.port)
    named = f" ({processes} listen there)" if processes else ""
    return f", to some clients: two servers share the port{named}"


def _run_parallel(checks: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Run all at the same time; return the answers in order."""
    if len(checks) <= 1:
        return [check() for check in checks]
    with ThreadPoolExecutor(min(len(checks), MAX_PARALLEL), "verify") as pool:
        return [answer.result() for answer in [pool.submit(check) for check in checks]]


def _mismatch(served: ServedChain, summary: CertificateSummary) -> str:
    """Describe how a served chain differs from the installed one; empty if it does not."""
    if served.fingerprint != summary.fingerprint:
        return f"still serves {_describe_served(served)} instead of {_describe_installed(summary)}"
    installed, sent = summary.chain_fingerprints, served.chain_fingerprints
    if sent == installed or (sent[:-1] == installed and served.ends_in_root):
        return ""
    if sent == installed[: len(sent)]:
        return (
            f"serves the installed certificate without its intermediate certificates"
            f" ({len(sent)} of {len(installed)} sent): let it read fullchain.pem"
        )
    if sent[: len(installed)] == installed:
        return (
            f"serves the installed certificate, followed by {len(sent) - len(installed)}"
            f" certificates that do not belong to its chain"
        )
    return "serves the installed certificate with other intermediate certificates"


def _describe_served(served: ServedChain) -> str:
    """Describe another certificate so that the operator recognises it."""
    return (
        f"the certificate for {served.name or 'no name'} (issued by"
        f" {served.issuer or 'no name'}, sha256 {served.fingerprint[:SHOWN_DIGITS]},"
        f" ends {day(served.not_after)})"
    )


def _describe_installed(summary: CertificateSummary) -> str:
    """Describe the installed certificate in the same terms."""
    return (
        f"the installed certificate (sha256 {summary.fingerprint[:SHOWN_DIGITS]},"
        f" ends {day(summary.not_after)})"
    )
