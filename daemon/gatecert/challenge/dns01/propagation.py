"""Whether every nameserver of a zone answers with a record, asked directly.

The authority asks whichever nameserver it likes, and usually several; one that lags behind makes a
validation fail that cannot be repeated. So each address of each nameserver is asked, without
recursion and past every cache, at growing intervals until it has the record. They are asked at the
same time, over UDP and then TCP where the answer was truncated.

An address that this host has no route to (IPv6, where there is none) cannot be asked from here and
counts as long as another one could be asked.
"""

from __future__ import annotations

import errno
import logging
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

from gatecert.challenge.dns01.zones import Nameserver
from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.deadline import Deadline

logger = logging.getLogger(__name__)

LONGEST_ANSWER: Final = 2.0  # seconds for one nameserver, each time
FIRST_PAUSE: Final = 0.1  # seconds
PAUSE_GROWTH: Final = 1.6
MOST_AT_ONCE: Final = 16
PAYLOAD: Final = 1232  # bytes; what passes everywhere unfragmented (DNS flag day 2020)

# No address of that family here, or no way out for it
_NO_ROUTE: Final = {errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a nameserver said about the TXT records of a name.

    Attributes:
        texts: Every record, its strings joined.
        complaint: Why there is no usable answer; empty where there is one.
        no_route: It cannot be asked from here at all.
    """

    nameserver: Nameserver
    texts: tuple[str, ...] = ()
    complaint: str = ""
    no_route: bool = False


Ask: TypeAlias = Callable[[Nameserver, str, float], Answer]
"""Asks one nameserver for the TXT records of a name, for so many seconds."""


def ask(nameserver: Nameserver, name: str, seconds: float) -> Answer:
    """Ask one nameserver for the TXT records of a name; never raises."""
    question = dns.message.make_query(name, dns.rdatatype.TXT, use_edns=0, payload=PAYLOAD)
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
        return Answer(nameserver, complaint="does not answer")
    except EOFError:
        return Answer(nameserver, complaint="closes the TCP connection without an answer")
    except OSError as error:
        reason = clean(error.strerror or str(error))
        no_route = error.errno in _NO_ROUTE
        return Answer(nameserver, complaint=f"cannot be asked: {reason}", no_route=no_route)
    except dns.exception.DNSException as error:
        return Answer(nameserver, complaint=f"gives a bad answer: {clean(str(error))}")
    return _read(nameserver, response)


def _read(nameserver: Nameserver, response: dns.message.Message) -> Answer:
    if response.rcode() not in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return Answer(nameserver, complaint=f"answers {dns.rcode.to_text(response.rcode())}")
    texts = tuple(
        b"".join(record.strings).decode("ascii", "replace")
        for records in response.answer
        for record in records
        if isinstance(record, TXT)
    )
    return Answer(nameserver, texts)


def laggards(  # noqa: PLR0913 - what to ask whom, when to be content, and how long
    nameservers: Sequence[Nameserver],
    name: str,
    fault: Callable[[Sequence[str]], str],
    deadline: Deadline,
    *,
    longest_pause: float,
    once: bool = False,
    ask: Ask = ask,
) -> tuple[Answer, ...]:
    """Ask until every nameserver is right, or the time is over.

    Args:
        nameservers: Whom to ask.
        name: The name of the record.
        fault: What is wrong with the texts at the name; empty when nothing is.
        deadline: When to give up.
        longest_pause: Seconds between two looks, at most.
        once: Give up after the first look.
        ask: Asks one nameserver.

    Returns:
        The last answers of those that are still wrong, each with its complaint; none when all is
        well. Where no nameserver at all could be asked, those are all of them.
    """
    waiting = tuple(nameservers)
    unreachable: list[Answer] = []
    pause = FIRST_PAUSE
    right = 0
    pool = ThreadPoolExecutor(min(MOST_AT_ONCE, len(waiting)) or 1, thread_name_prefix="txt")
    try:
        while True:
            seconds = max(FIRST_PAUSE, deadline.within(LONGEST_ANSWER))
            answers = list(pool.map(ask, waiting, repeat(name), repeat(seconds)))
            unreachable += [each for each in answers if each.no_route]
            wrong = [_judged(each, fault) for each in answers if not each.no_route]
            lagging = tuple(each for each in wrong if each.complaint)
            right += len(wrong) - len(lagging)
            if not lagging or once or deadline.passed:
                break
            logger.debug("waiting for name=%s nameservers=%s", name, _names(lagging))
            deadline.wait(min(pause, longest_pause))
            pause *= PAUSE_GROWTH
            waiting = tuple(each.nameserver for each in lagging)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if unreachable and right:
        logger.info(
            "not asked, no route from here name=%s nameservers=%s", name, _names(unreachable)
        )
    return lagging if right or lagging else tuple(unreachable)


def _judged(answer: Answer, fault: Callable[[Sequence[str]], str]) -> Answer:
    return replace(answer, complaint=answer.complaint or fault(answer.texts))


def _names(answers: Sequence[Answer]) -> str:
    return ", ".join(str(each.nameserver) for each in answers)
