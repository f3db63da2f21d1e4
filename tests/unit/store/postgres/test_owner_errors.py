"""Errors of the owner's login in words, also those that need a server of their own."""

from __future__ import annotations

import psycopg
import pytest

from gatecert.errors import LoginRefusedError
from gatecert.store.postgres.owner_errors import refused

BEGINNING = 'connection failed: connection to server at "192.0.2.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("FATAL:  connection requires a valid client certificate", "add sslcert=FILE and sslkey="),
        ('FATAL:  certificate authentication failed for user "o"', "add sslcert=FILE and sslkey="),
        ("server does not support SSL, but SSL was required", "set ssl = on on the server"),
        ("SSL error: certificate verify failed", "?sslrootcert=FILE in --database"),
        ('root certificate file "system" does not exist', "?sslrootcert=FILE in --database"),
    ],
)
def test_what_to_do_fits_what_is_wrong(text: str, fix: str) -> None:
    error = refused(psycopg.OperationalError(BEGINNING + text), "db1")
    assert isinstance(error, LoginRefusedError)
    assert fix in error.fix
    assert "nothing was changed" in error.message
