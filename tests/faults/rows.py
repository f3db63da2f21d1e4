"""The catalogue: what each row is called, and where it says nothing of a peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROWS: Mapping[int, tuple[str, str]] = {
    1: (
        "badNonce storm (50 %, 90 %)",
        "uses the error's nonce, bounded retries, still issues at 50 %",
    ),
    2: (
        "429 and 503 with Retry-After, in seconds and as HTTP-date",
        "waits that long, across restarts too",
    ),
    3: (
        "5xx, an HTML body, truncated JSON",
        "transient; the old certificate goes on being served",
    ),
    4: ("the authority accepts and says nothing, or drips bytes", "a total deadline"),
    5: ("slow validation (15 s)", "polls by Retry-After, under the order's deadline"),
    6: ("order or authorization invalid", "says which name, new order, backoff"),
    7: ("order or authorization valid already", "no challenge attempted"),
    8: ("unknown challenge types and fields", "ignored"),
    9: (
        "kill -9 between any two changes of the disk",
        "the old pair or the new pair, never a mixture",
    ),
    10: ("kill -9 after finalisation", "resumes the same order with the same key"),
    11: ("disk full", "noticed before ordering; the old pair stays; no empty file"),
    12: ("state that cannot be written", "a degraded status, no order"),
    13: (
        "clock wrong by years, clock jumps",
        "no loop of orders; due times looked at again",
    ),
    14: (
        "resolver: SERVFAIL, NXDOMAIN, no answer",
        "retried, told apart from the authority's DNS trouble",
    ),
    15: ("stale A, wrong AAAA", "named before any order"),
    16: ("CAA forbids the authority", "said so; looked at again daily"),
    17: ("port 80 taken", "holder named, retried; never killed"),
    18: (
        "reload command hangs, floods its output, fails",
        "its group killed, output cut, deployment alone tried again",
    ),
    19: (
        'reload "succeeds", old certificate still served',
        "seen by a handshake; tried again; alarm",
    ),
    20: (
        "the server refuses the new pair",
        "the version before put back and reloaded; alarm",
    ),
    21: (
        "certificate revoked (ARI window in the past)",
        "renewed; a new key for keyCompromise",
    ),
    22: ("nonsense from ARI", "goes by the lifetime"),
    23: (
        "accountDoesNotExist (authority restarted)",
        "same key registered again, order state dropped",
    ),
    24: (
        "root or intermediates change, longer chain",
        "any chain that ends in an expected root is taken",
    ),
    25: (
        "a state file is garbage or empty",
        "set aside, made anew; never a crash loop",
    ),
    26: (
        "two of it on one state directory",
        "the second leaves with exit 3; no stale lock",
    ),
    27: (
        "SIGTERM in the middle of an order",
        "gone within 10 s, challenge removed, resumed",
    ),
    28: ("bad configuration on reload", "the old one stays in force; reported"),
    29: (
        "switched off past the end of the certificates",
        "serves what exists, renews at once, no burst",
    ),
    30: (
        "bootstrap certificate near its end",
        "made anew; never in place of an authority's",
    ),
    31: ("a response of a gigabyte", "refused at a cap"),
    32: ("http:// directory, resource or redirect", "refused"),
    33: (
        "token with ../ or of a wrong alphabet",
        "refused; nothing written outside, or at all",
    ),
    34: (
        "certificate with wrong key, names, dates, broken chain",
        "never installed",
    ),
    35: ("name paused by the authority", "attempts stop; the portal's URL is shown"),
    36: (
        "killed and restarted every 5 s for an hour",
        "never more than 5 failed validations or 5 duplicates",
    ),
    37: (
        "reload command missing or misspelt at the first enrolment",
        "the CA's certificate stays live; alarm; the reload alone is retried",
    ),
    38: (
        "listener that cannot be proven (PROXY protocol, STARTTLS, strict virtual host)",
        "the better certificate stays live; alarm; the proof alone is retried",
    ),
    39: (
        "two processes on one port, one serves the old certificate",
        "seen as mixed; no loop of reloads",
    ),
    40: ("name with several addresses, one of them stale", "every address is proven"),
    41: (
        "AAAA SERVFAIL, REFUSED or silent while A is right",
        "ordered, with a warning; renewed in time",
    ),
    42: ("DNS64", "no wrong AAAA is seen"),
    43: ("wildcard CNAME over _acme-challenge", "dns-01 succeeds"),
    44: (
        "one lame or refusing nameserver of three",
        "dns-01 succeeds, with a warning",
    ),
    45: (
        "authorization invalid while the order stays pending; challenge POST answered 400",
        "given up within 10 s; port and lock are free",
    ),
    46: (
        "finalize answer without certificate URL",
        "polled again; the certificate is taken",
    ),
    47: ("alternate chain answers 404", "the first chain is taken"),
    48: ("reused key is forbidden at finalize", "ordered with a new key"),
    49: ("contact refused", "ordered all the same"),
    50: (
        "CA suddenly issues for minutes, or from an unknown root",
        "never replaces a better certificate; the best version is never pruned; no order loop",
    ),
    51: (
        "first of two CAs down, nothing trusted is served",
        "the second is asked at once, with --force too",
    ),
    52: (
        "authorization for a name that was not ordered",
        "refused; nothing is published",
    ),
    53: ("one address floods the responder", "validation succeeds"),
    54: (
        "a local user waits to bind the responder's port",
        "check fails beforehand and names the fix",
    ),
}

# Rows that ask for something that a command started by a timer does not have, or does not do.
NO_DAEMON = "it is no daemon"
NO_PROOF = "never looks at what is served"
NO_CHECK = "has no command that judges its configuration"
ONE_AUTHORITY = "knows one authority at a time"
NO_LOOK = "never looks names up for http-01"
NOT_FOR_PEERS: Mapping[int, Mapping[str, str]] = {
    13: {"lego": "reads the clock past libfaketime"},
    14: {"certbot": "never looks names up", "lego": NO_LOOK},
    28: {"certbot": NO_DAEMON, "lego": NO_DAEMON},
    30: {"certbot": "has no bootstrap", "lego": "has no bootstrap"},
    38: {"certbot": NO_PROOF, "lego": NO_PROOF},
    39: {"certbot": NO_PROOF, "lego": NO_PROOF},
    40: {"certbot": NO_PROOF, "lego": NO_PROOF},
    41: {"certbot": NO_LOOK, "lego": NO_LOOK},
    42: {"certbot": NO_LOOK, "lego": NO_LOOK},
    43: {"certbot": "leaves it to a plugin or a hook where the record goes"},
    44: {
        "certbot": "asks no nameserver, and waits a fixed time",
        "lego": "asks nameservers at port 53 only, which a row cannot have",
    },
    51: {"certbot": ONE_AUTHORITY, "lego": ONE_AUTHORITY},
    54: {"certbot": NO_CHECK, "lego": NO_CHECK},
}
