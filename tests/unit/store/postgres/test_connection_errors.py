"""Errors of PostgreSQL in words for the operator, also those of releases that are not installed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from gatecert.errors import DatabaseAwayError, DatabaseError
from gatecert.model.fleet import DatabaseLogin
from gatecert.store.postgres.connection_errors import LONGEST_TEXT, refusal, statement_error

LOGIN = DatabaseLogin(
    hosts=(("db1", 5432),),
    name="gatecert",
    user="hq-gw-a",
    certificate=Path("/etc/gatecert/fleet.pem"),
    key=Path("/etc/gatecert/fleet-key.pem"),
    ca_bundle=Path("/etc/gatecert/fleet-ca.pem"),
)
BEGINNING = 'connection failed: connection to server at "192.0.2.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("SSL error: tlsv1 alert unknown ca", "rejects the client certificate"),
        ("SSL error: ssl/tls alert certificate expired", "rejects the client certificate"),
        ("SSL error: sslv3 alert certificate revoked", "rejects the client certificate"),
        ("SSL error: certificate verify failed", "certificate that is not trusted"),
        (
            'server certificate for "db1.example" does not match host name "db1"',
            "certificate that is not trusted or has another name",
        ),
        (
            'private key file "/k" has group or world access; file must have permissions',
            "cannot be used",
        ),
        ("server did not request an SSL certificate", "asks for no client certificate"),
        (
            "FATAL:  client certificates can only be checked if a root certificate store is there",
            "asks for no client certificate",
        ),
        ('FATAL:  role "hq-gw-a" is not permitted to log in', "has no login hq-gw-a"),
        ("FATAL:  the database system is not yet accepting connections", "is starting"),
        ("FATAL:  the database system is shutting down", "is starting or stopping"),
        ("FATAL:  sorry, too many clients already", "has too many connections"),
        ("FATAL:  remaining connection slots are reserved", "has too many connections"),
        (
            "FATAL:  pg_hba.conf rejects connection for host",
            "role hq-gw-a and the database gatecert",
        ),
        ("FATAL:  password authentication failed for user", "for a password"),
        ("FATAL:  something new", "cannot be used (something new)"),
        ("no route\n\tIs it on?\n", "cannot be used (no route; Is it on?)"),
    ],
)
def test_a_refusal_in_words(text: str, what: str) -> None:
    found = refusal(psycopg.OperationalError(BEGINNING + text), LOGIN)
    assert what in found.what
    assert "192.0.2.1" not in found.what


def test_the_database_may_be_the_wrong_one() -> None:
    text = 'FATAL:  no pg_hba.conf entry for host "192.0.2.9", user "hq-gw-a", database "gatecert"'
    fix = refusal(psycopg.OperationalError(BEGINNING + text), LOGIN).fix
    assert fix.startswith("correct fleet.database.name, or add this host")
    assert "hostssl gatecert +gatecert_host all cert there" in fix


def test_an_odd_name_of_a_database_is_quoted_for_pg_hba() -> None:
    error = psycopg.OperationalError(f"{BEGINNING}FATAL:  no pg_hba.conf entry for host")
    fix = refusal(error, replace(LOGIN, name="HQ fleet")).fix
    assert 'hostssl "HQ fleet" +gatecert_host all cert there' in fix


@pytest.mark.parametrize(
    "text",
    [
        "FATAL:  sorry, too many clients already",
        "FATAL:  the database system is starting up",
        "session is read-only",
        "Connection refused",
        "connection timeout expired",
        "something new",
    ],
)
def test_what_may_come_right_by_itself_asks_for_no_correction(text: str) -> None:
    assert refusal(psycopg.OperationalError(BEGINNING + text), LOGIN).fix == ""


def test_what_a_server_says_is_one_short_line_without_control_characters() -> None:
    said = refusal(psycopg.OperationalError("FATAL:  \x1b[2J\n" + "long " * 999), LOGIN).what
    assert "\x1b" not in said
    assert "\n" not in said
    assert len(said) < LONGEST_TEXT + 50


@pytest.mark.parametrize(
    ("error", "kind", "what"),
    [
        (psycopg.errors.QueryCanceled("statement timeout"), DatabaseAwayError, "in time"),
        (psycopg.errors.LockNotAvailable("lock timeout"), DatabaseAwayError, "in time"),
        (psycopg.errors.AdminShutdown("terminating"), DatabaseAwayError, "was lost"),
        (psycopg.errors.DiskFull("no space left"), DatabaseAwayError, "disk"),
        (psycopg.errors.UndefinedColumn("no column x"), DatabaseError, "refuses a statement"),
    ],
)
def test_a_failed_statement_in_words(
    error: psycopg.Error, kind: type[DatabaseError], what: str
) -> None:
    described = statement_error(error, "db1:5432")
    assert type(described) is kind
    assert what in described.message
    assert "nothing is ordered" in described.message
