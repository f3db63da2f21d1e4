"""Signs of life in the row of a host, and two daemons that sign with one name.

A daemon signs with its life, a UUID. One that is restarted finds the life of the one before, and
replaces it. Only a daemon that goes on finds another life more than once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatecert.errors import HostTwiceError
from gatecert.model.fleet import SILENT_AFTER

if TYPE_CHECKING:
    from uuid import UUID

    from psycopg import Connection

SIGN: Final = """
UPDATE host SET life = %s, seen = clock_timestamp()
FROM (SELECT name, life FROM host WHERE name = own_host() FOR UPDATE) AS before
WHERE host.name = before.name
RETURNING before.life
"""
IS_LIVE: Final = "coalesce(seen > clock_timestamp() - %(silent)s, false)"
SILENT: Final = {"silent": SILENT_AFTER}


def sign(connection: Connection, life: UUID) -> UUID | None:
    """Sign with a life; return the one that signed before, None if none has."""
    row = connection.execute(SIGN, (life,)).fetchone()
    return None if row is None else row[0]


def note_twice(connection: Connection) -> None:
    """Note that another daemon goes on signing with this host's name."""
    connection.execute("UPDATE host SET twice = clock_timestamp() WHERE name = own_host()")


def check_alone(connection: Connection) -> None:
    """Check that no other daemon has this host's name.

    Raises:
        HostTwiceError: One was found to sign in the last minutes.
    """
    row = connection.execute(
        "SELECT name FROM host WHERE name = own_host() AND twice > clock_timestamp() - %(silent)s",
        SILENT,
    ).fetchone()
    if row is not None:
        raise twice(row[0])


def twice(host: str) -> HostTwiceError:
    """Return the error of a host whose name another daemon has, too."""
    return HostTwiceError(
        f"another daemon is in the fleet as host {host} as well: the gateways keep their "
        "certificates, and neither orders anything",
        fix="give each host a name and a certificate of its own (fleet.host), or stop one of them",
    )
