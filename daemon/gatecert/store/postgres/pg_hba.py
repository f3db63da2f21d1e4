"""The line of ``pg_hba.conf`` that lets hosts in.

https://www.postgresql.org/docs/current/auth-pg-hba-conf.html
"""

from __future__ import annotations

import re
from typing import Final

KEYWORDS: Final = {"all", "replication", "samegroup", "samerole", "sameuser"}


def hosts_line(database: str) -> str:
    """Return the line by which hosts log in to a database.

    Quoted, a keyword is a name, and a blank, a comma or ``#`` is part of it.
    """
    if database in KEYWORDS or not re.fullmatch("[a-z_][a-z0-9_]*", database):
        database = '"{}"'.format(database.replace('"', '""'))
    return f"hostssl {database} +gatecert_host all cert"
