"""Whether every listener asks its users for a certificate of exactly the authorities in force.

A server names them when it asks for a certificate (RFC 8446 section 4.2.4, RFC 5246 section
7.4.4). GnuTLS (ocserv) and OpenSSL (nginx, HAProxy) name every certificate of their file, the
intermediates too; some servers name roots only. So all roots have to be there, and nothing that is
not in the file. Names are all that a handshake shows: two authorities of the same name cannot be
told apart by it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from gatecert.errors import clean
from gatecert.model import Probe
from gatecert.verify.served_chain import ProbeFailure, ServedChain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from gatecert.verify.verdict import Judge

NAMES_SHOWN: Final = 5
LONGEST_NAME: Final = 120  # characters


def asks_for(roots: AbstractSet[str], intermediates: AbstractSet[str] = frozenset()) -> Judge:
    """What judges an answer by the authorities that the listener asked for.

    Args:
        roots: Subjects that have to be named, RFC 4514 text.
        intermediates: Subjects that may be named besides.
    """
    return partial(_judge, roots=roots, intermediates=intermediates)


def _judge(
    answer: ServedChain | ProbeFailure, *, roots: AbstractSet[str], intermediates: AbstractSet[str]
) -> Probe:
    endpoint = answer.endpoint
    if isinstance(answer, ProbeFailure):
        detail = f"{endpoint} {answer.detail}"
        return Probe(endpoint, "", matches=False, detail=detail, failure=answer.kind)
    objection = _objection(answer, roots, roots | intermediates)
    words = objection or f"asks for user certificates of {listed(roots)}"
    return Probe(endpoint, answer.fingerprint, matches=not objection, detail=f"{endpoint} {words}")


def _objection(answer: ServedChain, required: AbstractSet[str], allowed: AbstractSet[str]) -> str:
    """What is wrong with what a listener asked for, empty when nothing is."""
    if answer.asked is None:
        return "asks for no user certificate in its TLS handshake"
    if not answer.asked:
        return "asks for a user certificate, but names no authority"
    asked = frozenset(answer.asked)
    wrong = []
    if missing := required - asked:
        wrong.append(f"does not ask for user certificates of {listed(missing)}")
    if besides := asked - allowed:
        wrong.append(f"{'' if wrong else 'still '}asks for those of {listed(besides)}")
    return " and ".join(wrong)


def listed(names: Iterable[str]) -> str:
    """Names of authorities on one line, cut after the first few."""
    every = sorted(f"'{clean(name, LONGEST_NAME)}'" for name in names)
    more = f" and {len(every) - NAMES_SHOWN} more" if len(every) > NAMES_SHOWN else ""
    return ", ".join(every[:NAMES_SHOWN]) + more
