"""The connection of a process to the fleet's database: transactions whose outcome is known.

Nothing goes to a CA unless a COMMIT that covers it was acknowledged, without a warning. A COMMIT
that waits for its standby is not bounded by ``statement_timeout``, and one that is cancelled
reports success with a warning. So every answer has a deadline, after which the socket is shut. A
COMMIT without an acknowledgement is a `CommitUnknownError`: it is never repeated, and never taken
for done or for not done.

Until the server has decided such a COMMIT, it keeps the row locks and shows the old rows. So a
client that reads the row again locks it (``FOR UPDATE``): the lock waits for the decision, and it
makes the transaction one that writes, so that its own COMMIT covers what it has read.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg.pq import TransactionStatus

from gatecert.errors import (
    CommitUnknownError,
    DatabaseAwayError,
    DatabaseError,
    LoginRefusedError,
)
from gatecert.store.postgres import session_checks
from gatecert.store.postgres.bounded_connection import BoundedConnection
from gatecert.store.postgres.connection_errors import (
    CONSEQUENCE,
    own_words,
    refusal,
    statement_error,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gatecert.model.fleet import FleetHost
    from gatecert.store.postgres.session_checks import Session

logger = logging.getLogger(__name__)

PAUSE: Final = 5.0  # seconds after a failed connection, about, so that hosts do not come together
RESTING: Final = 30.0  # seconds; a command that reads 10,000 gateways takes no longer
LONGEST_TURN: Final = 10.0  # seconds that a thread waits for the transactions of others


class Database:
    """The fleet's database; safe for threads, which take turns.

    Args:
        place: This host, and its login.
        after_connect: Called in a transaction of its own after every connection, before anything
            else: sends again what a server that took over may have lost.
        pause: Seconds after a failed connection in which none is tried.

    Attributes:
        session: What is known of the last connection; None before the first.
    """

    def __init__(
        self,
        place: FleetHost,
        *,
        after_connect: Callable[[psycopg.Connection], None] | None = None,
        pause: float = PAUSE,
    ) -> None:
        self.session: Session | None = None
        self._place = place
        self._after_connect = after_connect
        self._pause = pause
        self._connection: BoundedConnection | None = None
        self._turn = threading.Lock()
        self._holder: int | None = None
        self._server = place.database.hosts[0]
        self._failure: tuple[float, DatabaseError] | None = None

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection]:
        """Run statements in a transaction, which is durable when the context ends.

        A connection that turns out to be lost before the first statement is replaced; nothing else
        is repeated. An exception rolls back.

        Raises:
            DatabaseAwayError: No server answers, or not in time; nothing is changed.
            CommitUnknownError: The COMMIT was not acknowledged; read the row again.
            LoginRefusedError: The database does not let this host in.
            SchemaUnknownError: The schema is too old or too new.
            PoolerUnfitError: A pooler keeps no sessions.
            DatabaseError: The database refuses a statement.
            psycopg.IntegrityError: A statement would break a constraint.
        """
        if self._holder == threading.get_ident():
            raise RuntimeError("transactions do not nest")
        if not self._turn.acquire(timeout=LONGEST_TURN):
            raise DatabaseAwayError(
                f"the fleet's database was busy for {LONGEST_TURN:g} s with other gateways of this "
                f"host: {CONSEQUENCE}"
            )
        self._holder = threading.get_ident()
        try:
            with self._committed(self._begun()) as connection:
                yield connection
        finally:
            self._holder = None
            self._turn.release()

    def rest(self, error: DatabaseError) -> None:
        """Raise this error for a while, as after a connection that failed, without trying one."""
        with self._turn:
            self._drop()
            self._failure = time.monotonic() + RESTING, error

    def close(self) -> None:
        """Close the connection; the next transaction opens another one."""
        with self._turn:
            self._drop()

    @property
    def descriptor(self) -> int | None:
        """Of the connection, readable once the server says something; None without one."""
        return None if self._connection is None else self._connection.fileno()

    def hinted(self) -> bool:
        """Tell whether a hint of the server has arrived since the last call.

        A connection that turns out to be lost is closed.

        Raises:
            DatabaseAwayError: It is.
        """
        with self._turn:
            if self._connection is None:
                return False
            try:
                with self._translated():
                    return self._connection.take_hints()
            except DatabaseError:
                self._drop()
                raise

    def _begun(self) -> BoundedConnection:
        """Return the connection with a new transaction."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.execute("BEGIN")
                return self._connection
            self._drop()
        connection = self._connect()
        with self._translated():
            connection.execute("BEGIN")
        return connection

    @contextmanager
    def _committed(self, connection: BoundedConnection) -> Iterator[BoundedConnection]:
        try:
            with self._translated():
                yield connection
        except BaseException:
            self._roll_back(connection)
            raise
        self._commit(connection)

    def _commit(self, connection: BoundedConnection) -> None:
        """Commit, and accept nothing but an acknowledgement without a warning."""
        connection.warnings.clear()
        try:
            tag = connection.execute("COMMIT").statusmessage
        except psycopg.Error as error:
            if (
                connection.info.transaction_status == TransactionStatus.IDLE
            ):  # it says that it failed
                with self._translated():
                    raise
            self._drop()
            raise self._unknown(own_words(error)) from error
        except BaseException:
            self._drop()
            raise
        if connection.warnings:
            self._drop()
            raise self._unknown("; ".join(connection.warnings))
        if tag != "COMMIT":
            raise DatabaseError(f"the fleet's database rolled a change back: {CONSEQUENCE}")

    def _unknown(self, reason: str) -> CommitUnknownError:
        return CommitUnknownError(
            f"the fleet's database {self.server} has not confirmed a change ({reason}): "
            f"{CONSEQUENCE} before it is known",
            fix="if it repeats, look at the standby that the database waits for",
        )

    def _roll_back(self, connection: BoundedConnection) -> None:
        """Roll back, or drop a connection that cannot."""
        states = {TransactionStatus.INTRANS, TransactionStatus.INERROR}
        try:
            if connection.info.transaction_status not in states:
                self._drop()
            else:
                connection.execute("ROLLBACK")
        except psycopg.Error:
            self._drop()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.IntegrityError:
            raise
        except psycopg.Error as error:
            raise statement_error(error, self.server) from error

    def _connect(self) -> BoundedConnection:
        """Connect to the first server that can be written to, and check it.

        After a failure, its error is raised for a while without another attempt.
        """
        if self._failure is not None and time.monotonic() < self._failure[0]:
            error = self._failure[1]
            raise type(error)(error.message, fix=error.fix)
        try:
            self._connection = connection = self._first_writable()
            with self._translated():
                session_checks.settle(connection)
                session_checks.check_pooler(connection, self._once_more, self.server)
                self.session = session_checks.check(connection, self._place, self.server)
            self._tell_excess(self.session)
            if self._after_connect is not None:
                connection.execute("BEGIN")
                with self._committed(connection):
                    self._after_connect(connection)
        except DatabaseError as error:
            self._drop()
            pause = self._pause * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
            self._failure = time.monotonic() + pause, error
            raise
        self._failure = None
        return connection

    def _first_writable(self) -> BoundedConnection:
        """Connect to the first server that lets this host in and can be written to.

        The one that was used last comes first, since a server that is down may not even refuse.

        Raises:
            LoginRefusedError: A server does not let this host in, and none does.
            DatabaseAwayError: None can be written to.
        """
        login = self._place.database
        reasons, fixes = [], []
        last = self._server
        for self._server in sorted(login.hosts, key=lambda server: server != last):
            try:
                return self._once_more()
            except psycopg.OperationalError as error:
                what, fix = refusal(error, login)
                reasons.append(f"{self.server} {what}")
                fixes += [fix] if fix else []
        kind = LoginRefusedError if fixes else DatabaseAwayError
        fix = fixes[0] if fixes else "start the database, or correct fleet.database.hosts"
        raise kind(
            f"the fleet's database cannot be used: {'; '.join(reasons)}: {CONSEQUENCE}", fix=fix
        )

    def _once_more(self) -> BoundedConnection:
        """Open a connection to the server that was tried last."""
        application = f"gatecert {self._place.cluster}/{self._place.host}"
        return BoundedConnection.to(self._place.database, *self._server, application)

    @property
    def server(self) -> str:
        """The server that was used last."""
        host, port = self._server
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def _tell_excess(self, session: Session) -> None:
        if session.excess:
            logger.warning(
                "the role %s %s, which no host needs: a thief of its key can change the whole "
                "fleet (give it no right but its membership in gatecert_host)",
                self._place.database.user,
                " and ".join(session.excess),
            )

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.cut()
            self._connection = None
