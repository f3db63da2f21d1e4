"""CSRs of gateways in the field, which a relay has handed in.

A gateway in the field is a gateway of the cluster that orders for it: its row has the lease, the
urgency and the state of enrolment, and its intents and versions have no key. Its name begins with
``field/``, which no name in a configuration does.

A CSR is answered once, by a chain or by a refusal. One that is not answered within a day never is:
the gateway has dropped its order by then, and hands in another CSR.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gatecert.store.postgres import lease_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from psycopg import Connection

    from gatecert.model.fleet import Urgency

PREFIX: Final = "field/"
ANSWERED_WITHIN: Final = timedelta(days=1)  # as long as gateways resume an order
KEPT: Final = timedelta(days=2)  # from when it was handed in, answered or not

_OPEN: Final = "fullchain IS NULL AND refusal IS NULL"

EXPIRE = f"""
UPDATE csr_request SET refusal = 'not answered within a day'
WHERE {_OPEN} AND at < now() - %s
"""  # noqa: S608 - no part of it comes from outside

NEW = f"""
SELECT relay, id, csr FROM csr_request WHERE {_OPEN} AND gateway IS NULL ORDER BY at LIMIT %s
"""  # noqa: S608 - as above

OLDEST = f"""
SELECT relay, id, csr FROM csr_request WHERE {_OPEN} AND gateway = %s ORDER BY at LIMIT 1
"""  # noqa: S608 - as above

NEXT = f"""
UPDATE gateway SET due = now()
WHERE name = %(gateway)s AND due IS NULL
  AND EXISTS (SELECT FROM csr_request WHERE {_OPEN} AND gateway = %(gateway)s)
"""  # noqa: S608 - as above


@dataclass(frozen=True, slots=True)
class CsrRequest:
    """A CSR that is not answered.

    Attributes:
        relay: The login that has handed it in.
        id: Its SHA-256, hexadecimal.
        csr: PEM, as the relay has written it.
    """

    relay: str
    id: str
    csr: bytes


@dataclass(frozen=True, slots=True)
class LastCertificate:
    """The newest certificate of a gateway in the field.

    Attributes:
        certificate: The leaf, PEM.
        authority: Name of the CA in the configuration.
    """

    certificate: bytes
    authority: str


def clean_up(connection: Connection) -> None:
    """Refuse what was not answered within a day, and forget old CSRs."""
    connection.execute(EXPIRE, (ANSWERED_WITHIN,))
    connection.execute("DELETE FROM csr_request WHERE at < now() - %s", (KEPT,))


def new(connection: Connection, most: int) -> Sequence[CsrRequest]:
    """Return CSRs that no host has looked at, oldest first."""
    rows = connection.execute(NEW, (most,))
    return [CsrRequest(relay, id_, csr.encode()) for relay, id_, csr in rows]


def oldest(connection: Connection, gateway: str) -> CsrRequest | None:
    """Return the CSR of a gateway to be answered first; None if there is none."""
    row = connection.execute(OLDEST, (gateway,)).fetchone()
    return None if row is None else CsrRequest(row[0], row[1], row[2].encode())


def last_certificate(connection: Connection, gateway: str) -> LastCertificate | None:
    """Return the newest certificate of a gateway; None if it has none."""
    row = connection.execute(
        "SELECT certificate, details ->> 'authority' FROM version WHERE gateway = %s"
        " ORDER BY generation DESC LIMIT 1",
        (gateway,),
    ).fetchone()
    return None if row is None else LastCertificate(row[0].encode(), row[1] or "")


def admit(connection: Connection, request: CsrRequest, gateway: str, urgency: Urgency) -> None:
    """Let a gateway have a certificate for a CSR; what its last failure waits for stays."""
    lease_rows.enter(connection, gateway)
    connection.execute(
        "UPDATE csr_request SET gateway = %s WHERE relay = %s AND id = %s",
        (gateway, request.relay, request.id),
    )
    row = connection.execute(
        "SELECT coalesce(due, now()) FROM gateway WHERE name = %s FOR UPDATE", (gateway,)
    ).fetchone()
    lease_rows.schedule(connection, gateway, urgency, row[0] if row is not None else None)


def refuse(connection: Connection, request: CsrRequest, reason: str) -> None:
    """Answer that there will be no certificate."""
    _answer(connection, request, "refusal", reason)


def deliver(connection: Connection, request: CsrRequest, gateway: str, fullchain: bytes) -> None:
    """Answer with a chain, PEM; the next CSR of the gateway is due."""
    _answer(connection, request, "fullchain", fullchain.decode("ascii"))
    proceed(connection, gateway)


def postpone(connection: Connection, gateway: str, until: datetime | None) -> None:
    """Order nothing for a gateway until an instant; None until another CSR is admitted."""
    connection.execute("UPDATE gateway SET due = %s WHERE name = %s", (until, gateway))


def proceed(connection: Connection, gateway: str) -> None:
    """Make the next CSR of a gateway due, if there is one."""
    connection.execute(NEXT, {"gateway": gateway})


def _answer(connection: Connection, request: CsrRequest, column: str, answer: str) -> None:
    connection.execute(
        f"UPDATE csr_request SET {column} = %s WHERE relay = %s AND id = %s AND {_OPEN}",  # noqa: S608 - constants
        (answer, request.relay, request.id),
    )
