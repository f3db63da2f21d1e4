"""A mail server on loopback that keeps what it gets."""

from __future__ import annotations

import secrets
from asyncio import WriteTransport
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import TYPE_CHECKING, Self

from aiosmtpd.controller import Controller

from harness.ports import free_port

if TYPE_CHECKING:
    from types import TracebackType

    from aiosmtpd.smtp import SMTP, Envelope, Session


class Mailbox:
    """Accepts every mail, unless it is told otherwise.

    Attributes:
        mails: In the order in which they came.
        secret: A part of the URL that nothing but the URL's file may contain.
        port: Where it listens.
        refuses: Recipients that it refuses.
        is_deaf: Whether it keeps a mail, and ends the connection without an answer.
    """

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.secret = secrets.token_hex(8)
        self.port = free_port()
        self.refuses: set[str] = set()
        self.is_deaf = False

    @property
    def url(self) -> str:
        """The URL of Apprise that leads here."""
        return self.url_to("ops@example.com")

    def url_to(self, recipient: str) -> str:
        """Return the URL of Apprise that leads here, for a recipient."""
        sender = f"from=gatecert@example.com&name={self.secret}"
        return f"mailto://127.0.0.1:{self.port}?{sender}&to={recipient}&mode=insecure"

    @property
    def subjects(self) -> list[str]:
        """The subject of each mail."""
        return [str(mail["Subject"]) for mail in self.mails]

    @property
    def texts(self) -> list[str]:
        """Subject and body of each mail."""
        bodies = [mail.get_body(("plain", "html")) for mail in self.mails]
        texts = [body.get_content() if body is not None else "" for body in bodies]
        return [f"{subject}\n{text}" for subject, text in zip(self.subjects, texts, strict=True)]

    async def handle_RCPT(  # noqa: N802 - called by aiosmtpd
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        """Accept a recipient, or refuse it."""
        if address in self.refuses:
            return "550 no such user: \x1b[31mhostile"
        envelope.rcpt_tos.append(address)
        return "250 accepted"

    async def handle_DATA(  # noqa: N802 - called by aiosmtpd
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Keep a mail."""
        content = envelope.content
        if not isinstance(content, bytes):
            return "554 no content"
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        if self.is_deaf and isinstance(server.transport, WriteTransport):
            server.transport.abort()
        return "250 kept"

    def start(self) -> None:
        """Accept connections."""
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._controller.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
