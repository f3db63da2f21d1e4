"""A connection to a PostgreSQL server on which every wait has a limit.

``statement_timeout`` ends a statement on the server; it does not end the wait of a COMMIT for its
standby, and a server that hangs or is cut off ends nothing. So the client has a deadline of its own
for every answer, after which the connection is of no more use: `cut` shuts its socket.

Login is by client certificate and over verified TLS only: a server that asks for a password gets
none, even if the environment has one.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

import psycopg
from psycopg import waiting

if TYPE_CHECKING:
    from typing import Self

    from psycopg.abc import PQGen

    from gatecert.model.fleet import DatabaseLogin

LONGEST_WAIT: Final = 3.0  # seconds, for one answer
WOKEN_EVERY: Final = 0.5  # seconds, so that a signal ends a wait
RESET: Final = struct.pack("ii", 1, 0)  # socket(7), struct linger: close by RST

Result = TypeVar("Result")


class BoundedConnection(psycopg.Connection):
    """A connection with a deadline for every answer.

    Attributes:
        warnings: The warnings of the server since they were cleared last.
    """

    warnings: list[str]
    _hints: int

    @classmethod
    def to(cls, login: DatabaseLogin, host: str, port: int, application: str) -> Self:
        """Connect to one server, without a transaction.

        Args:
            login: Certificate, role and database.
            host: The server's name or address, as its certificate has it.
            port: Its port.
            application: What the server shows as the name of the client.

        Raises:
            psycopg.OperationalError: It does not answer, cannot be written to, or refuses.
        """
        connection = cls.connect(
            host=host,
            port=port,
            dbname=login.name,
            user=login.user,
            sslmode="verify-full",
            sslrootcert=str(login.ca_bundle),
            sslcert=str(login.certificate),
            sslkey=str(login.key),
            sslpassword="-",  # an encrypted key is an error, not a question on the terminal
            sslcertmode="require",
            require_auth="none",
            gssencmode="disable",
            target_session_attrs="read-write",
            application_name=application,
            connect_timeout=int(LONGEST_WAIT),
            tcp_user_timeout=int(LONGEST_WAIT * 1000),
            autocommit=True,
        )
        connection.warnings = []
        connection._hints = 0  # noqa: SLF001 - of this class
        connection.add_notice_handler(connection._heed)  # noqa: SLF001 - as above
        connection.add_notify_handler(connection._count_hint)  # noqa: SLF001 - as above
        return connection

    def wait(
        self,
        gen: PQGen[Result],
        interval: float = WOKEN_EVERY,
        timeout: float | None = LONGEST_WAIT,
    ) -> Result:
        """Wait for an answer.

        An exception of a signal handler passes through without a request to cancel: cancelling a
        COMMIT would make it succeed.

        Raises:
            psycopg.OperationalError: None came in time; the connection is of no more use.
        """
        return waiting.wait(gen, self.pgconn.socket, interval=interval, timeout=timeout)

    def take_hints(self) -> bool:
        """Tell whether a notification has arrived since the last call, without waiting.

        Raises:
            psycopg.OperationalError: The connection is lost.
        """
        self.pgconn.consume_input()
        while self.pgconn.notifies() is not None:
            self._hints += 1
        hints, self._hints = self._hints, 0
        return hints > 0

    def cut(self) -> None:
        """Close without another word: what the kernel has not sent yet is never sent."""
        with (
            suppress(OSError, psycopg.OperationalError),
            socket.socket(fileno=os.dup(self.fileno())) as shut,
        ):
            shut.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            shut.shutdown(socket.SHUT_RDWR)
        self.close()

    def _count_hint(self, notification: psycopg.Notify) -> None:
        del notification
        self._hints += 1

    def _heed(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self.warnings.append(notice.message_primary or "")
