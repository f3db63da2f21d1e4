"""Propagation: whether every nameserver of a zone answers with a record.

The authority queries any of the nameservers, usually several; one that lags makes a validation
fail, and a failed validation cannot be repeated. Each address of each nameserver is therefore
queried directly, without recursion and past every cache, at growing intervals until it has the
record. All are queried in parallel, over UDP and then over TCP if the answer was truncated.

An answer is right, wrong or unusable:

- Right: it contains the record.
- Wrong: it is authoritative and does not contain the record. The nameserver then has to give a
  right answer, whatever it does meanwhile: the authority would see the wrong one as well.
- Unusable: silence, REFUSED, SERVFAIL, no address, no route to its address (such as IPv6), or an
  answer without authority (lame delegation, RFC 1912 section 2.8). Resolvers skip such a nameserver
  and query the next (RFC 1034 section 5.3.3). It is therefore ignored after a second attempt, as
  long as another answer is right and none is wrong.

A recursive resolver that is queried instead (``propagation: recursive``) has no authority; its
answers still count as right or wrong.
"""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from typing import TYPE_CHECKING, Final, TypeAlias

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
from dns.rdtypes.ANY.TXT import TXT

from gatecert.challenge.dns01.nameservers import Nameserver
from gatecert.errors import InterruptedOrderError, clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gatecert.deadline import Deadline

logger = logging.getLogger(__name__)

QUERY_SECONDS: Final = 2.0  # for one query
FIRST_PAUSE: Final = 0.1  # seconds
PAUSE_GROWTH: Final = 1.6
MAX_PARALLEL: Final = 16
ATTEMPTS: Final = 2  # queries of a nameserver without a usable answer, at least
PAYLOAD: Final = 1232  # bytes; avoids fragmentation (DNS flag day 2020)

LAME: Final = "answers without authority for the zone (lame delegation)"

# This host has no address of that family, or no route.
_NO_ROUTE: Final = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


@dataclass(frozen=True, slots=True)
class NameserverAnswer:
    """The answer of a nameserver for the TXT records of a name.

    Attributes:
        texts: Every record, its strings joined.
        problem: Why there is no usable answer; empty if there is one.
        no_route: Whether this host cannot reach the nameserver at all.
        authoritative: Whether the nameserver is authoritative, so that its answer can be wrong.
    """

    nameserver: Nameserver
    texts: tuple[str, ...] = ()
    problem: str = ""
    no_route: bool = False
    authoritative: bool = True


@dataclass(frozen=True, slots=True)
class PropagationResult:
    """The propagation of a record.

    Attributes:
        lagging: The last answers that would make a validation fail, each with its problem; empty
            if the record is visible.
        passed_over: Unusable answers that are ignored, because other nameservers have the record.
        answered: Whether at least one nameserver gave a usable answer.
    """

    lagging: tuple[NameserverAnswer, ...] = ()
    passed_over: tuple[NameserverAnswer, ...] = ()
    answered: bool = True


TxtQuery: TypeAlias = Callable[[Nameserver, str, float], NameserverAnswer]
"""Queries one nameserver for the TXT records of a name, with a timeout in seconds."""


def query_txt(nameserver: Nameserver, name: str, seconds: float) -> NameserverAnswer:
    """Query one nameserver for the TXT records of a name; never raises."""
    if nameserver.no_address:
        problem = f"has no address: {nameserver.no_address}"
        return NameserverAnswer(nameserver, problem=problem, no_route=True)
    question = dns.message.make_query(name, dns.rdatatype.TXT, use_edns=0, payload=PAYLOAD)
    if not nameserver.recursive:
        question.flags &= ~dns.flags.RD
    endpoint = nameserver.endpoint
    try:
        response, _ = dns.query.udp_with_fallback(
            question,
            endpoint.host,
            timeout=seconds,
            port=endpoint.port,
            ignore_unexpected=True,
            ignore_errors=True,
        )
    except dns.exception.Timeout:
        return NameserverAnswer(nameserver, problem="does not answer")
    except EOFError:
        return NameserverAnswer(nameserver, problem="closes the TCP connection without an answer")
    except OSError as error:
        reason = clean(error.strerror or str(error))
        no_route = error.errno in _NO_ROUTE
        return NameserverAnswer(
            nameserver, problem=f"cannot be reached: {reason}", no_route=no_route
        )
    except dns.exception.DNSException as error:
        return NameserverAnswer(nameserver, problem=f"sends an invalid answer: {clean(str(error))}")
    return _read(nameserver, response)


def _read(nameserver: Nameserver, response: dns.message.Message) -> NameserverAnswer:
    if response.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return NameserverAnswer(
            nameserver, problem=f"answers {dns.rcode.to_text(response.rcode())}"
        )
    texts = tuple(
        b"".join(record.strings).decode("ascii", "replace")
        for records in response.answer
        for record in records
        if isinstance(record, TXT)
    )
    authoritative = nameserver.recursive or bool(response.flags & dns.flags.AA)
    return NameserverAnswer(nameserver, texts, authoritative=authoritative)


def poll_nameservers(  # noqa: PLR0913 - the query, its condition and its limits
    nameservers: Sequence[Nameserver],
    name: str,
    check: Callable[[Sequence[str]], str],
    deadline: Deadline,
    *,
    longest_pause: float,
    once: bool = False,
    query: TxtQuery = query_txt,
) -> PropagationResult:
    """Query nameservers until all of them have the record or the time is over.

    Args:
        nameservers: The nameservers to query.
        name: The name of the record.
        check: Returns what is wrong with the texts at the name; empty if they are right.
        deadline: When to give up.
        longest_pause: Maximum seconds between two rounds.
        once: Give up after the first round.
        query: Queries one nameserver.

    Raises:
        InterruptedOrderError: gatecert is stopping, and the record is not visible yet.
    """
    poll = _Poll(check)
    waiting = tuple(nameservers)
    pause = FIRST_PAUSE
    pool = ThreadPoolExecutor(min(MAX_PARALLEL, len(waiting)) or 1, thread_name_prefix="txt")
    try:
        while True:
            seconds = max(FIRST_PAUSE, deadline.within(QUERY_SECONDS))
            poll.add(pool.map(query, waiting, repeat(name), repeat(seconds)))
            waiting = poll.pending
            if not waiting or once or deadline.passed:
                break
            logger.debug("waiting for name=%s nameservers=%s", name, _names(waiting))
            deadline.wait(min(pause, longest_pause))
            pause *= PAUSE_GROWTH
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if poll.result.lagging and deadline.interrupted:
        raise InterruptedOrderError("gatecert is stopping; the order continues at the next start")
    return poll.result


class _Poll:
    """The answers of all rounds."""

    def __init__(self, check: Callable[[Sequence[str]], str]) -> None:
        self._check = check
        self._right = False
        self._wrong: dict[Nameserver, NameserverAnswer] = {}
        self._unusable: dict[Nameserver, NameserverAnswer] = {}
        self._attempts: Counter[Nameserver] = Counter()

    def add(self, answers: Iterable[NameserverAnswer]) -> None:
        """Add the answers of one round."""
        for answer in answers:
            nameserver = answer.nameserver
            self._unusable.pop(nameserver, None)
            problem = answer.problem or self._check(answer.texts)
            if not problem:
                self._right = True
                self._wrong.pop(nameserver, None)
                continue
            usable = not answer.problem and answer.authoritative
            if usable or nameserver in self._wrong:
                self._wrong[nameserver] = replace(answer, problem=problem)
            else:
                self._unusable[nameserver] = replace(answer, problem=answer.problem or LAME)
                self._attempts[nameserver] += 1

    @property
    def pending(self) -> tuple[Nameserver, ...]:
        """The nameservers to query again; empty once the result is final."""
        reachable = [each for each in self._unusable.values() if not each.no_route]
        undecided = any(self._attempts[each.nameserver] < ATTEMPTS for each in reachable)
        if self._right and not self._wrong and not undecided:
            return ()
        return (*self._wrong, *(each.nameserver for each in reachable))

    @property
    def result(self) -> PropagationResult:
        """The propagation according to the answers."""
        wrong, unusable = tuple(self._wrong.values()), tuple(self._unusable.values())
        if wrong or not self._right:
            return PropagationResult(lagging=wrong or unusable, answered=self._right or bool(wrong))
        return PropagationResult(passed_over=unusable)


def describe_answers(answers: Iterable[NameserverAnswer]) -> str:
    """Describe the problem of each nameserver."""
    return "; ".join(f"{each.nameserver} {each.problem}" for each in answers)


def passed_over_warning(name: str, zone: str, passed_over: Sequence[NameserverAnswer]) -> str:
    """Return the warning about unusable answers while other nameservers have the record."""
    resolvers = all(each.nameserver.recursive for each in passed_over)
    servers = "resolvers" if resolvers else f"nameservers of the zone {zone}"
    setting = "resolver.nameservers" if resolvers else "the zone's NS records"
    return (
        f"the record {name} is visible, but not at all {servers}: {describe_answers(passed_over)}; "
        f"these are ignored; repair them, or remove them from {setting}"
    )


def _names(nameservers: Iterable[Nameserver]) -> str:
    return ", ".join(str(each) for each in nameservers)
