"""The codes of failed attempts that no check of the doctor finds.

The other codes of outcomes are those of ``doctor.codes`` and ``doctor.fleet_codes``. Names are
those of the errors (``gatecert.errors``) and never change their meaning.
"""

from __future__ import annotations

from typing import Final

from gatecert.doctor.finding import Code, Severity

_KEEPS: Final = "the gateway keeps its certificate"
_BETTER: Final = "the certificate in use stays"
_TRIED_AGAIN: Final = "gatecert tries again, at no cost to rate limits"

NOTE, WARNING, FAILURE = Severity.NOTE, Severity.WARNING, Severity.FAILURE

# --------------------------------------------------------------------- this machine

_MACHINE: Final = (
    Code(
        "error",
        FAILURE,
        f"gatecert has met an error that it does not expect, which is a bug; {_KEEPS}, and gatecert"
        " tries again",
        "report it with the lines of the log, traceback included",
    ),
    Code(
        "worker-lost",
        FAILURE,
        "the process that worked on the gateway crashed, hung or grew too large, and gatecert has"
        f" replaced it; {_KEEPS}, and the work is tried again within minutes",
        "no action needed; if it is lost again, report it with the lines of the log",
    ),
    Code(
        "state",
        FAILURE,
        f"the state directory cannot be used; {_KEEPS}",
        "correct what the message names; gatecert doctor checks the state directory",
    ),
    Code(
        "state-held",
        FAILURE,
        "another gatecert daemon holds the state directory, so this one does not start",
        "stop one of the two, or give each a state_directory of its own",
    ),
    Code(
        "gateway-busy",
        WARNING,
        "another gatecert command is changing the gateway and holds its lock, so this one has"
        " changed nothing",
        "wait until it has ended, or use a longer --wait",
    ),
    Code(
        "lease-lost",
        NOTE,
        "another host orders the certificate of this gateway, or may, so this one has sent nothing"
        f" more; {_KEEPS}",
        "no action needed: this host installs what the other one obtains, or takes over from it",
    ),
    Code(
        "order-held",
        NOTE,
        "the fleet is halted, or has as many orders in progress at the CA as it may, and the most"
        f" urgent go first; {_KEEPS}",
        "no action needed, unless the fleet is halted: then remove the reason, and run gatecert"
        " fleet resume",
    ),
)

# --------------------------------------------------------------------- the CA

_AUTHORITY: Final = (
    Code(
        "acme",
        FAILURE,
        f"the CA returned an error, which the message quotes; {_KEEPS}, and gatecert tries again",
        "follow the CA's error message; gatecert doctor shows what can be seen from here",
    ),
    Code(
        "rate-limited",
        FAILURE,
        "the CA asks for a pause because of too many requests; gatecert waits as long as it says",
        "no action needed; if it happens again, set limits of the authority to what the CA allows",
    ),
    Code(
        "authority-deadline",
        FAILURE,
        "the CA took longer than an order may take; the next attempt resumes the order",
        "no action needed; if it happens again, look at the status page of the CA",
    ),
    Code(
        "account-missing",
        FAILURE,
        "the CA does not know gatecert's account",
        "no action needed: gatecert registers a new account; if that fails, see gatecert account",
    ),
    Code(
        "user-action-required",
        FAILURE,
        f"the CA issues nothing until a person has visited its page; {_KEEPS}",
        "open the URL in the message, then run gatecert enroll --force",
    ),
    Code(
        "authorization-mismatch",
        FAILURE,
        "the CA's answer concerns names that were not ordered, so gatecert has published nothing",
        "check directory_url of the authority; gatecert does not use such a CA",
    ),
    Code(
        "interrupted",
        NOTE,
        "gatecert stopped during an order; the next start resumes it",
        "start gatecert again",
    ),
    Code(
        "key-forbidden",
        FAILURE,
        "the CA issues no certificate for this key, which may be compromised",
        "order with a new key: gatecert enroll --rotate-key",
    ),
    Code(
        "challenge-failed",
        FAILURE,
        "the CA could not verify that this host controls the name: it did not find the response to"
        f" its challenge; {_KEEPS}, and gatecert tries again, ever less often",
        "let the CA reach the gateway: check DNS, firewall and port forwarding; gatecert doctor"
        " tests the challenge from here",
    ),
    Code(
        "record-refused",
        FAILURE,
        "the DNS provider or nameserver refused to change the zone, so the CA's challenge cannot be"
        " answered",
        "check the credentials of dns-01 and what they may change",
    ),
)

# --------------------------------------------------------------------- certificates

_CERTIFICATE: Final = (
    Code(
        "certificate",
        FAILURE,
        "a key, request, certificate or chain is invalid, or is not the requested one; it is not"
        f" installed, and {_BETTER}",
        "correct what the message names; if it came from the CA, ask the CA",
    ),
    Code(
        "worse-certificate",
        FAILURE,
        f"the new certificate is worse than the one in use, so it is not installed; {_BETTER}",
        "find out why the CA issues such certificates, before the one in use expires",
    ),
    Code(
        "untrusted-root",
        FAILURE,
        "the new certificate's chain ends in a root that is not trusted here, so it is not"
        f" installed; {_BETTER}",
        "if clients have that root, add it to trusted_roots of the authority",
    ),
    Code(
        "short-lived",
        FAILURE,
        f"the new certificate expires before the one in use, so it is not installed; {_BETTER}",
        "ask the CA why its certificates expire so soon; check profile",
    ),
    Code(
        "users-locked-out",
        FAILURE,
        "the change would lock out users who can log in now, so it was not made",
        "issue new certificates to those users first, or use --force",
    ),
)

# --------------------------------------------------------------------- deployment

_DEPLOYMENT: Final = (
    Code(
        "deployment",
        FAILURE,
        f"the new certificate could not be put into service; {_TRIED_AGAIN}",
        "check install.reload and the log of the server",
    ),
    Code(
        "copy-failed",
        FAILURE,
        f"a copy of the certificate (install.copy_to) could not be written; {_TRIED_AGAIN}",
        "correct what the message names: directory, owner, free space, sandbox",
    ),
    Code(
        "reload-failed",
        FAILURE,
        "the server could not be reloaded, so it may serve the previous certificate;"
        f" {_TRIED_AGAIN}",
        "run the command of install.reload by hand, and read the log of the server",
    ),
    Code(
        "drift",
        WARNING,
        "the gateway no longer served the installed certificate; a reload by gatecert has put that"
        " right",
        "find out what restarted the server with other files, or replaced them",
    ),
)

OUTCOME_CODES: Final = (*_MACHINE, *_AUTHORITY, *_CERTIFICATE, *_DEPLOYMENT)
