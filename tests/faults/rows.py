"""The catalogue of faults: each row's texts, and the peers to which it does not apply."""

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
        "waits that long, also across restarts",
    ),
    3: (
        "5xx, an HTML body, truncated JSON",
        "temporary; the old certificate stays in service",
    ),
    4: (
        "the CA accepts a connection and sends nothing, or single bytes",
        "a deadline for the whole request",
    ),
    5: ("slow validation (15 s)", "polls by Retry-After, within the order's deadline"),
    6: ("order or authorization invalid", "names the identifier; new order after a backoff"),
    7: ("order or authorization already valid", "no challenge attempted"),
    8: ("unknown challenge types and fields", "ignored"),
    9: (
        "kill -9 between any two changes on disk",
        "the old pair or the new pair, never a mix",
    ),
    10: ("kill -9 after finalize", "resumes the same order with the same key"),
    11: ("disk full", "noticed before an order; the old pair stays; no empty file"),
    12: ("state that cannot be written", "status degraded, no order"),
    13: (
        "clock wrong by years, clock jumps",
        "no loop of orders; due times recomputed",
    ),
    14: (
        "resolver: SERVFAIL, NXDOMAIN, no answer",
        "retried; distinguished from the CA's DNS errors",
    ),
    15: ("stale A, wrong AAAA", "reported before any order"),
    16: ("CAA records forbid the CA", "reported; checked again daily"),
    17: ("port 80 taken", "the process is named, never killed; retried"),
    18: (
        "reload command hangs, floods its output, fails",
        "its process group is killed, output truncated; only the deployment is retried",
    ),
    19: (
        'reload "succeeds", old certificate still served',
        "detected by a handshake; retried; alarm",
    ),
    20: (
        "the server refuses the new pair",
        "rolled back and reloaded; alarm",
    ),
    21: (
        "certificate revoked (ARI window in the past)",
        "renewed; a new key for keyCompromise",
    ),
    22: ("invalid ARI response", "renews by lifetime"),
    23: (
        "accountDoesNotExist (CA restarted)",
        "registers the same key again, drops the order",
    ),
    24: (
        "root or intermediates change, longer chain",
        "accepts any chain to an expected root",
    ),
    25: (
        "a state file is corrupt or empty",
        "set aside and created again; no crash loop",
    ),
    26: (
        "two processes on one state directory",
        "the second exits with 3; no stale lock",
    ),
    27: (
        "SIGTERM during an order",
        "stops within 10 s, removes the challenge, resumes later",
    ),
    28: ("invalid configuration on reload", "the old one stays in force; reported"),
    29: (
        "switched off until the certificates have expired",
        "serves what exists, renews at once, no burst",
    ),
    30: (
        "bootstrap certificate about to expire",
        "renewed; never replaces a CA's certificate",
    ),
    31: ("a response of a gigabyte", "refused at a size limit"),
    32: ("http:// directory, resource or redirect", "refused"),
    33: (
        "token with ../ or wrong characters",
        "refused; nothing is written",
    ),
    34: (
        "certificate with wrong key, names, dates, broken chain",
        "never installed",
    ),
    35: ("name paused by the CA", "attempts stop; the URL for unpausing is shown"),
    36: (
        "killed and restarted every 5 s for an hour",
        "at most 5 failed validations and 5 duplicate certificates",
    ),
    37: (
        "reload command missing or misspelt at the first enrolment",
        "the CA's certificate stays live; alarm; only the reload is retried",
    ),
    38: (
        "listener that cannot be verified (PROXY protocol, STARTTLS, strict virtual host)",
        "the better certificate stays live; alarm; only the verification is retried",
    ),
    39: (
        "two processes on one port, one serves the old certificate",
        "reported as mixed; no loop of reloads",
    ),
    40: ("name with several addresses, one of them stale", "every address is verified"),
    41: (
        "AAAA SERVFAIL, REFUSED or silent while A is right",
        "ordered, with a warning; renewed in time",
    ),
    42: ("DNS64", "no AAAA is reported as wrong"),
    43: ("wildcard CNAME over _acme-challenge", "dns-01 succeeds"),
    44: (
        "one lame or refusing nameserver of three",
        "dns-01 succeeds, with a warning",
    ),
    45: (
        "authorization invalid while the order stays pending; challenge POST answered 400",
        "given up within 10 s; port and lock are released",
    ),
    46: (
        "finalize response without certificate URL",
        "polled again; the certificate is downloaded",
    ),
    47: ("alternate chain returns 404", "the first chain is used"),
    48: ("reused key refused at finalize", "ordered with a new key"),
    49: ("contact refused", "ordered anyway"),
    50: (
        "CA suddenly issues for minutes, or from an unknown root",
        "never replaces a better certificate; the best version is never pruned; no loop of orders",
    ),
    51: (
        "first of two CAs down, no trusted certificate in service",
        "the second is asked at once, also with --force",
    ),
    52: (
        "authorization for a name that was not ordered",
        "refused; nothing is published",
    ),
    53: ("one address floods the challenge responder", "validation succeeds"),
    54: (
        "a local user can bind the responder's port",
        "`check` fails and names the fix",
    ),
    55: (
        "the worker process dies or hangs in the middle of an order",
        "replaced; only its gateways count a failure; the same order is resumed",
    ),
}

# Rows that need something that the peers lack.
NO_DAEMON = "not a daemon"
NO_WORKER = "has no worker process; row 27 ends it in the middle of an order"
NO_PROOF = "does not check what is served"
NO_CHECK = "has no command to check a configuration"
ONE_AUTHORITY = "uses one CA at a time"
NO_LOOK = "does not look names up for http-01"
NOT_FOR_PEERS: Mapping[int, Mapping[str, str]] = {
    13: {"lego": "bypasses libfaketime"},
    14: {"certbot": "does not look names up", "lego": NO_LOOK},
    28: {"certbot": NO_DAEMON, "lego": NO_DAEMON},
    30: {"certbot": "has no bootstrap certificate", "lego": "has no bootstrap certificate"},
    38: {"certbot": NO_PROOF, "lego": NO_PROOF},
    39: {"certbot": NO_PROOF, "lego": NO_PROOF},
    40: {"certbot": NO_PROOF, "lego": NO_PROOF},
    41: {"certbot": NO_LOOK, "lego": NO_LOOK},
    42: {"certbot": NO_LOOK, "lego": NO_LOOK},
    43: {"certbot": "a plugin or hook chooses the record's name"},
    44: {
        "certbot": "asks no nameserver; waits a fixed time",
        "lego": "asks nameservers only at port 53, which the test cannot use",
    },
    51: {"certbot": ONE_AUTHORITY, "lego": ONE_AUTHORITY},
    54: {"certbot": NO_CHECK, "lego": NO_CHECK},
    55: {"certbot": NO_WORKER, "lego": NO_WORKER},
}
