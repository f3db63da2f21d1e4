"""Check that every listener requests client certificates of exactly the configured client CAs.

A server names the CAs in its certificate request (RFC 8446 section 4.2.4, RFC 5246 section 7.4.4).
GnuTLS (ocserv) and OpenSSL (nginx, HAProxy) name every certificate of their file, including
intermediates; some servers name only roots. The request must therefore name all roots, and nothing
that is not in the file. A handshake shows only names, so it cannot distinguish two CAs of the same
name.
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
    """Return a comparison of an answer with the expected client CAs.

    Args:
        roots: Subjects that the listener must name, RFC 4514 text.
        intermediates: Subjects that it may name as well.
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
    words = mismatch or f"requests client certificates of {format_names(roots)}"
    return Probe(endpoint, answer.fingerprint, matches=not mismatch, detail=f"{endpoint} {words}")


def _mismatch(answer: ServedChain, required: AbstractSet[str], allowed: AbstractSet[str]) -> str:
    """Describe how a certificate request differs from the expected one; empty if it does not."""
    if answer.requested_client_cas is None:
        return "requests no client certificate in its TLS handshake"
    if not answer.requested_client_cas:
        return "requests a client certificate, but names no client CA"
    requested = frozenset(answer.requested_client_cas)
    wrong = []
    if missing := required - requested:
        wrong.append(f"does not request client certificates of {format_names(missing)}")
    if besides := requested - allowed:
        wrong.append(f"{'' if wrong else 'still '}requests those of {format_names(besides)}")
    return " and ".join(wrong)


def format_names(names: Iterable[str]) -> str:
    """Format names of client CAs on one line, cut after the first few."""
    every = sorted(f"'{clean(name, LONGEST_NAME)}'" for name in names)
    more = f" and {len(every) - NAMES_SHOWN} more" if len(every) > NAMES_SHOWN else ""
    return ", ".join(every[:NAMES_SHOWN]) + more
