"""Whether every nameserver of a zone answers with a record, asked directly.

The authority asks whichever nameserver it likes, and usually several; one that lags behind makes a
validation fail that cannot be repeated. So each address of each nameserver is asked, without
recursion and past every cache, at growing intervals until it has the record. They are asked at the
same time, over UDP and then TCP where the answer was truncated.

What one of them answers is right, wrong or nothing:

- Right is an answer with the record.
- Wrong is an authoritative answer without it. Who has given one has to give a right one, whatever
  it does meanwhile: the authority would see what it has seen.
- Nothing is everything else: silence, REFUSED, SERVFAIL, no address, no route to its address (IPv6,
  where there is none), an answer without authority (a lame delegation, RFC 1912 section 2.8).
  Resolvers pass such a nameserver over and ask the next (RFC 1034 section 5.3.3), so it is passed
  over here, after a second chance, as long as another one is right and none is wrong.

A resolver that is asked in their place (``propagation: recursive``) has no authority, and what it
answers is right or wrong all the same.
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
from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gatecert.deadline import Deadline

logger = logging.getLogger(__name__)

QUERY_SECONDS: Final = 2.0  # seconds for one nameserver, each time
FIRST_PAUSE: Final = 0.1  # seconds
PAUSE_GROWTH: Final = 1.6
MAX_PARALLEL: Final = 16
ATTEMPTS: Final = 2  # times that a nameserver without a usable answer is asked, at least
PAYLOAD: Final = 1232  # bytes; what passes everywhere unfragmented (DNS flag day 2020)

LAME: Final = "answers without authority for the zone (a lame delegation)"

# No address of that family here, or no way out for it
_NO_ROUTE: Final = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


@dataclass(frozen=True, slots=True)
class NameserverAnswer:
    """What a nameserver said about the TXT records of a name.

    Attributes:
        texts: Every record, its strings joined.
        complaint: Why there is no usable answer; empty where there is one.
        no_route: It cannot be asked from here at all.
        authoritative: Whether it speaks for the zone, and so can be wrong.
    """

    nameserver: Nameserver
    texts: tuple[str, ...] = ()
    complaint: str = ""
    no_route: bool = False
    authoritative: bool = True


@dataclass(frozen=True, slots=True)
class PropagationResult:
    """Where a record can be seen.

    Attributes:
        lagging: The last answers of those that keep a validation from succeeding, each with its
            complaint; none when all is well.
        passed_over: Those that gave no usable answer, while others have the record.
        heard: Whether at least one gave a usable answer.
    """

    lagging: tuple[NameserverAnswer, ...] = ()
    passed_over: tuple[NameserverAnswer, ...] = ()
    heard: bool = True


TxtQuery: TypeAlias = Callable[[Nameserver, str, float], NameserverAnswer]
"""Asks one nameserver for the TXT records of a name, for so many seconds."""


def query_txt(nameserver: Nameserver, name: str, seconds: float) -> NameserverAnswer:
    """Ask one nameserver for the TXT records of a name; never raises."""
    if nameserver.no_address:
        complaint = f"has no address: {nameserver.no_address}"
        return NameserverAnswer(nameserver, complaint=complaint, no_route=True)
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
        return NameserverAnswer(nameserver, complaint="does not answer")
    except EOFError:
        return NameserverAnswer(nameserver, complaint="closes the TCP connection without an answer")
    except OSError as error:
        reason = clean(error.strerror or str(error))
        no_route = error.errno in _NO_ROUTE
        return NameserverAnswer(
            nameserver, complaint=f"cannot be asked: {reason}", no_route=no_route
        )
    except dns.exception.DNSException as error:
        return NameserverAnswer(nameserver, complaint=f"gives a bad answer: {clean(str(error))}")
    return _read(nameserver, response)


def _read(nameserver: Nameserver, response: dns.message.Message) -> NameserverAnswer:
    if response.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return NameserverAnswer(
            nameserver, complaint=f"answers {dns.rcode.to_text(response.rcode())}"
        )
    texts = tuple(
        b"".join(record.strings).decode("ascii", "replace")
        for records in response.answer
        for record in records
        if isinstance(record, TXT)
    )
    speaks = nameserver.recursive or bool(response.flags & dns.flags.AA)
    return NameserverAnswer(nameserver, texts, authoritative=speaks)


def poll_nameservers(  # noqa: PLR0913 - what to ask whom, when to be content, and how long
    nameservers: Sequence[Nameserver],
    name: str,
    fault: Callable[[Sequence[str]], str],
    deadline: Deadline,
    *,
    longest_pause: float,
    once: bool = False,
    query: TxtQuery = query_txt,
) -> PropagationResult:
    """Ask until the record can be seen everywhere, or the time is over.

    Args:
        nameservers: Whom to ask.
        name: The name of the record.
        fault: What is wrong with the texts at the name; empty when nothing is.
        deadline: When to give up.
        longest_pause: Seconds between two looks, at most.
        once: Give up after the first look.
        query: Queries one nameserver.
    """
    poll = _Poll(fault)
    waiting = tuple(nameservers)
    pause = FIRST_PAUSE
    pool = ThreadPoolExecutor(min(MAX_PARALLEL, len(waiting)) or 1, thread_name_prefix="txt")
    try:
        while True:
            seconds = max(FIRST_PAUSE, deadline.within(QUERY_SECONDS))
            poll.enter(pool.map(query, waiting, repeat(name), repeat(seconds)))
            waiting = poll.worth_asking
            if not waiting or once or deadline.passed:
                break
            logger.debug("waiting for name=%s nameservers=%s", name, _names(waiting))
            deadline.wait(min(pause, longest_pause))
            pause *= PAUSE_GROWTH
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return poll.result


class _Poll:
    """What nameservers have answered so far."""

    def __init__(self, fault: Callable[[Sequence[str]], str]) -> None:
        self._fault = fault
        self._right = False
        self._wrong: dict[Nameserver, NameserverAnswer] = {}
        self._silent: dict[Nameserver, NameserverAnswer] = {}
        self._chances: Counter[Nameserver] = Counter()

    def enter(self, answers: Iterable[NameserverAnswer]) -> None:
        """Take down the answers of one look."""
        for answer in answers:
            nameserver = answer.nameserver
            self._silent.pop(nameserver, None)
            complaint = answer.complaint or self._fault(answer.texts)
            if not complaint:
                self._right = True
                self._wrong.pop(nameserver, None)
                continue
            usable = not answer.complaint and answer.authoritative
            if usable or nameserver in self._wrong:
                self._wrong[nameserver] = replace(answer, complaint=complaint)
            else:
                self._silent[nameserver] = replace(answer, complaint=answer.complaint or LAME)
                self._chances[nameserver] += 1

    @property
    def worth_asking(self) -> tuple[Nameserver, ...]:
        """Whom to ask again, none when nothing can change any more."""
        silent = [each for each in self._silent.values() if not each.no_route]
        undecided = any(self._chances[each.nameserver] < ATTEMPTS for each in silent)
        if self._right and not self._wrong and not undecided:
            return ()
        return (*self._wrong, *(each.nameserver for each in silent))

    @property
    def result(self) -> PropagationResult:
        """Where the record can be seen."""
        wrong, silent = tuple(self._wrong.values()), tuple(self._silent.values())
        if wrong or not self._right:
            return PropagationResult(lagging=wrong or silent, heard=self._right or bool(wrong))
        return PropagationResult(passed_over=silent)


def describe_answers(answers: Iterable[NameserverAnswer]) -> str:
    """Who gave which complaint."""
    return "; ".join(f"{each.nameserver} {each.complaint}" for each in answers)


def passed_over_warning(name: str, zone: str, passed_over: Sequence[NameserverAnswer]) -> str:
    """What to say where some gave no usable answer while others have the record."""
    resolvers = all(each.nameserver.recursive for each in passed_over)
    who = "resolvers" if resolvers else f"nameservers of the zone {zone}"
    where = "resolver.nameservers" if resolvers else "the zone's NS records"
    return (
        f"the record {name} can be seen, but not at all {who}: {describe_answers(passed_over)}; "
        f"these are passed over; repair them, or take them out of {where}"
    )


def _names(nameservers: Iterable[Nameserver]) -> str:
    return ", ".join(str(each) for each in nameservers)
