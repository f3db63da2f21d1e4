"""Errors of the owner of the fleet's database in words, with what to do; see ``owner``."""

from __future__ import annotations

import re
from typing import Final

import psycopg

from gatecert.container import fix_for
from gatecert.errors import DatabaseAwayError, DatabaseError, LoginRefusedError
from gatecert.store.postgres.connection_errors import own_words

LOGINS: Final = (  # what is wrong with a login, and what to do; empty: log in as the owner
    (
        r"no password supplied|password authentication failed",
        "write the password to ~/.pgpass: HOST:PORT:DATABASE:USER:PASSWORD",
    ),
    (r"database .* does not exist", "create the database (createdb), or correct its name"),
    (
        r"valid client certificate|certificate authentication",
        "add sslcert=FILE and sslkey=FILE of the role to --database",
    ),
    (r"does not support SSL", "set ssl = on on the server"),
    (
        r"certificate|root\.crt|sslrootcert",
        "name the server as its certificate does, and its CA: ?sslrootcert=FILE in --database",
    ),
    (r"role .* does not exist|Peer authentication|pg_hba", ""),
    (r"read-only", "name the primary server: this one is a standby"),
)


def refused(error: psycopg.Error, server: str) -> DatabaseError:
    """Describe a login that failed.

    Args:
        error: The error.
        server: The name of the server; empty for this host.
    """
    text = own_words(error)
    what = f"the login to the database on {server or 'this host'} failed ({text})"
    for known, fix in LOGINS:
        if re.search(known, text):
            return LoginRefusedError(
                f"{what}: nothing was changed", fix=fix or owners_login("the owner")
            )
    return DatabaseAwayError(
        f"{what}: nothing was changed",
        fix="start the server, or name another one by --database",
    )


def owners_login(who: str) -> str:
    """Return how to log in as the owner."""
    return fix_for(
        host=f"log in as {who}: sudo -u postgres gatecert fleet …"
        " --database postgresql:///gatecert",
        container=f"log in as {who}: name its login with --database",
    )


def failed(error: BaseException | None, user: str) -> DatabaseError:
    """Describe a statement that failed; its transaction was rolled back."""
    match error:
        case psycopg.errors.InsufficientPrivilege():
            return LoginRefusedError(
                f"the role {user} has not the rights of the owner ({own_words(error)}); its "
                "change was rolled back",
                fix=owners_login("the owner of the schema or a superuser"),
            )
        case psycopg.errors.LockNotAvailable():
            return DatabaseAwayError(
                "others use the tables or migrate them at the moment; the change was rolled back",
                fix="run the same command again",
            )
        case psycopg.Error():
            return DatabaseError(
                f"the database refuses a change ({own_words(error)}), which was rolled back",
                fix="correct what it names, and run the same command again",
            )
    return DatabaseError(f"the database cannot be changed ({error})")
