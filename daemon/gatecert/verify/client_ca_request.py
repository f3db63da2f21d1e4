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

    from gatecert.verify.verdict import Comparison

NAMES_SHOWN: Final = 5
LONGEST_NAME: Final = 120  # characters


def expect_client_cas(
    roots: AbstractSet[str], intermediates: AbstractSet[str] = frozenset()
) -> Comparison:
    """What judges an answer by the authorities that the listener asked for.

    Args:
        roots: Subjects that have to be named, RFC 4514 text.
        intermediates: Subjects that may be named besides.
    """
    return partial(_compare, roots=roots, intermediates=intermediates)


def _compare(
    answer: ServedChain | ProbeFailure, *, roots: AbstractSet[str], intermediates: AbstractSet[str]
) -> Probe:
    endpoint = answer.endpoint
    if isinstance(answer, ProbeFailure):
        detail = f"{endpoint} {answer.detail}"
        return Probe(endpoint, "", matches=False, detail=detail, failure=answer.kind)
    mismatch = _mismatch(answer, roots, roots | intermediates)
    words = mismatch or f"asks for user certificates of {format_names(roots)}"
    return Probe(endpoint, answer.fingerprint, matches=not mismatch, detail=f"{endpoint} {words}")


def _mismatch(answer: ServedChain, required: AbstractSet[str], allowed: AbstractSet[str]) -> str:
    """What is wrong with what a listener asked for, empty when nothing is."""
    if answer.requested_client_cas is None:
        return "asks for no user certificate in its TLS handshake"
    if not answer.requested_client_cas:
        return "asks for a user certificate, but names no authority"
    requested = frozenset(answer.requested_client_cas)
    wrong = []
    if missing := required - requested:
        wrong.append(f"does not ask for user certificates of {format_names(missing)}")
    if besides := requested - allowed:
        wrong.append(f"{'' if wrong else 'still '}asks for those of {format_names(besides)}")
    return " and ".join(wrong)


def format_names(names: Iterable[str]) -> str:
    """Names of authorities on one line, cut after the first few."""
    every = sorted(f"'{clean(name, LONGEST_NAME)}'" for name in names)
    more = f" and {len(every) - NAMES_SHOWN} more" if len(every) > NAMES_SHOWN else ""
    return ", ".join(every[:NAMES_SHOWN]) + more
