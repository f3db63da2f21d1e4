"""Errors of PostgreSQL in words for the operator.

libpq gives no code with a refused login, only the text of the server, so well-known texts are
recognized; others are shown as they are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import psycopg

from gatecert.errors import DatabaseAwayError, DatabaseError, clean
from gatecert.store.postgres.pg_hba import hosts_line

if TYPE_CHECKING:
    from gatecert.model.fleet import DatabaseLogin

CONSEQUENCE: Final = "the gateways keep their certificates, and nothing is ordered"
LONGEST_TEXT: Final = 200  # characters of the server's own words
DISK_FULL: Final = "53100"
LOST: Final = {"25P03", "57P05"}  # the server closes idle connections, in or between transactions
INTRODUCTION = re.compile(
    r"connection (failed|is bad): |connection to server (at|on) .*? failed: |FATAL: +", re.DOTALL
)


class Refusal(NamedTuple):
    """The reason for which a server cannot be used.

    Attributes:
        what: As it follows the name of the server.
        fix: What to do; empty if it may come right by itself.
    """

    what: str
    fix: str = ""


class _Known(NamedTuple):
    text: re.Pattern[str]
    what: str
    fix: str = ""


def _known(pattern: str, what: str, fix: str = "") -> _Known:
    return _Known(re.compile(pattern), what, fix)


KNOWN: Final = (  # the first that fits
    _known("session is read-only", "is a standby"),
    _known("timeout expired", "does not answer"),
    _known("Connection refused", "refuses connections"),
    _known("could not translate|failed to resolve", "has a name that is not found"),
    _known("starting up|shutting down|recovery|not yet accepting", "is starting or stopping"),
    _known("connection slots|too many", "has too many connections"),
    _known(
        "does not support SSL",
        "has no TLS",
        "set ssl = on, ssl_cert_file, ssl_key_file and ssl_ca_file on the server",
    ),
    _known(
        "server certificate for .* does not match|certificate verify failed|signature failure",
        "has a TLS certificate that is not trusted or has another name",
        "correct the server's certificate, fleet.database.ca_bundle or fleet.database.hosts",
    ),
    _known(
        "did not request|root certificate store",
        "asks for no client certificate",
        "set ssl_ca_file on the server, to the CA of the hosts' certificates",
    ),
    _known(
        "root certificate file|private key file|could not (open|read|load)|key values mismatch",
        "was not asked: certificate, key or ca_bundle of fleet.database cannot be used ({text})",
        "correct the files of fleet.database; only the daemon's user may read the key",
    ),
    _known(
        "requires a valid client certificate",
        "got no client certificate from {certificate}",
        "correct fleet.database.certificate",
    ),
    _known(
        "certificate authentication failed",
        "rejects the certificate for the role {role}",
        "use a certificate with the common name {role}, or correct pg_ident.conf",
    ),
    _known(
        "alert|certificate (has )?(expired|unknown|revoked)",
        "rejects the client certificate ({text})",
        "renew the certificate of fleet.database, or add its CA to the server's ssl_ca_file",
    ),
    _known(
        "authentication method requirement|password",
        "asks the role {role} for a password, but hosts log in by certificate",
        "put {line} first in pg_hba.conf",
    ),
    _known(
        "no pg_hba.conf entry|pg_hba.conf rejects",
        "has no line in pg_hba.conf for the role {role} and the database {name}",
        "correct fleet.database.name, or add this host with gatecert fleet init, and {line} there",
    ),
    _known(
        "database .* does not exist",
        "has no database {name}",
        "correct fleet.database.name",
    ),
    _known(
        "role .* does not exist|not permitted to log in",
        "has no login {role}",
        "add this host with gatecert fleet init, or correct fleet.database.user",
    ),
    _known(
        "permission denied",
        "lets the role {role} not use the database {name}",
        "grant it CONNECT on the database, and make it a member of gatecert_host",
    ),
)


def refusal(error: psycopg.Error, login: DatabaseLogin) -> Refusal:
    """Return why a connection could not be made."""
    text = own_words(error)
    for known in KNOWN:
        if known.text.search(text):
            words = {
                "role": login.user,
                "name": login.name,
                "line": hosts_line(login.name),
                "certificate": login.certificate,
                "text": text,
            }
            return Refusal(*(part.format(**words) for part in known[1:]))
    return Refusal(f"cannot be used ({text})")


def own_words(error: psycopg.Error) -> str:
    """Return what server or library say of an error, on one line."""
    lines = INTRODUCTION.sub("", str(error)).split("\n")
    return clean("; ".join(line.strip() for line in lines if line.strip()), LONGEST_TEXT)


def statement_error(error: psycopg.Error, where: str) -> DatabaseError:
    """Describe a statement that failed, after which nothing is changed.

    Args:
        error: The error.
        where: The server.
    """
    if error.sqlstate == DISK_FULL:
        return DatabaseAwayError(
            f"the disk of the fleet's database {where} is full: {CONSEQUENCE}",
            fix="free space on the server",
        )
    text = own_words(error)
    if isinstance(error, psycopg.OperationalError) or error.sqlstate in LOST:
        what = "does not answer in time" if _is_late(error) else f"was lost ({text})"
        return DatabaseAwayError(f"the fleet's database {where} {what}: {CONSEQUENCE}")
    return DatabaseError(
        f"the fleet's database {where} refuses a statement ({text}): {CONSEQUENCE}",
        fix="make the role of this host a member of gatecert_host, and run gatecert fleet migrate",
    )


def _is_late(error: psycopg.Error) -> bool:
    late = (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable)
    return isinstance(error, late) or "wait timeout" in str(error)
