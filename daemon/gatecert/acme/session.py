"""A session with one authority: its directory, nonces and signed requests (RFC 8555 section 6).

- A rejected nonce is replaced by the one in the error (section 6.5), so that requests succeed even
  with a CA that rejects half of the nonces.
- Every response's Date tells how far the local clock is ahead of the CA's.
- When the CA asks one order to wait, the requests of all wait (``load_limit``).
- The lease of a gateway is looked at after that wait, right before a request is sent.

A session is safe to use from several threads, which share its connections and nonces.
"""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.acme.learned_pause import LearnedPause
from gatecert.acme.load_limit import MOST_ORDERS, SharedPause
from gatecert.acme.resources import Directory
from gatecert.acme.responses import GONE, ResponseReader
from gatecert.acme.signature import Signer, is_nonce, load_key
from gatecert.acme.transport import AcmeTransport, label
from gatecert.config.well_known import directory_at_host
from gatecert.errors import (
    ACMEError,
    AuthorityError,
    AuthorityUnreachableError,
    RateLimitBudgetError,
    clean,
)
from gatecert.http.headers import server_time
from gatecert.measurement import Measure, Measurement, no_measure
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatecert.acme.transport import Sender
    from gatecert.deadline import Deadline
    from gatecert.http.client_certificate import ClientCertificate
    from gatecert.http.fetcher import Response
    from gatecert.model import Account
    from gatecert.store.protocol import Lease

logger = logging.getLogger(__name__)

DIRECTORY_SECONDS = 3600.0  # lifetime of a cached directory
CLOCK_DRIFT_SECONDS = 60.0  # between wall and monotonic clock: the clock was set, or suspend
SHORTEST_TOLD = 5.0  # seconds that the CA asks to wait; other hosts need not know of less
MAX_NONCE_RETRIES = 20  # at a rejection rate of one half, one request in two million fails
MAX_NONCES = 32
VERDICT_SECONDS, LONGEST_VERDICT_SECONDS = 0.004, 0.25
ISSUANCE_SECONDS, LONGEST_ISSUANCE_SECONDS = 0.01, 1.0

# Seconds, last first: after a key change, Boulder's front ends use the old key for a while.
KEY_CHANGE_PAUSES = (8.0, 4.0, 2.0, 1.0)
_UNVERIFIED = re.compile(r"\bJWS verification (error|failed)", re.IGNORECASE)


class AcmeSession:
    """A session with one authority.

    Args:
        name: The authority's name in the configuration.
        directory_url: Its directory.
        ca_bundle: PEM file with the trust anchors for its HTTPS; None means the system's.
        client_certificate: For an authority that demands one.
        transport: Sends requests.
        now: The wall clock, aware UTC.
        directory_seconds: The lifetime of a cached directory.
        most_orders: The number of orders at the same time, each of which uses one connection.
        measure: Gets the duration of each request.

    Attributes:
        pause: A pause that the CA has asked for.
        tell_pause: Gets how long the CA asks everybody to wait, if that is longer than known.
        verdict: The pause from the fetch of all responses to the CA's verdict.
        issuance: The pause from the request for a certificate to its issuance.
    """

    def __init__(  # noqa: PLR0913 - each sets something else
        self,
        name: str,
        directory_url: str,
        *,
        ca_bundle: Path | None = None,
        client_certificate: ClientCertificate | None = None,
        transport: Sender | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        directory_seconds: float = DIRECTORY_SECONDS,
        most_orders: int = MOST_ORDERS,
        measure: Measure = no_measure,
    ) -> None:
        self._directory_seconds = directory_seconds
        self.name = name
        self.directory_url = directory_url
        self._transport = transport or AcmeTransport(
            name, ca_bundle, client_certificate=client_certificate, connections=most_orders
        )
        self.reader = ResponseReader(name, now)
        self.pause = SharedPause()
        self.verdict = LearnedPause(VERDICT_SECONDS, LONGEST_VERDICT_SECONDS)
        self.issuance = LearnedPause(ISSUANCE_SECONDS, LONGEST_ISSUANCE_SECONDS)
        self._nonces: deque[str] = deque(maxlen=max(MAX_NONCES, most_orders))
        self._directory: tuple[Directory, float, datetime] | None = None
        self._now = now
        self._measure = measure
        self.tell_pause: Callable[[timedelta], None] = lambda _: None
        self._server_time: tuple[datetime, float] | None = None

    @property
    def clock_ahead(self) -> timedelta | None:
        """The local clock's lead over the CA's; None before the CA's time is known.

        It stays right if the local clock is set later.
        """
        if self._server_time is None:
            return None
        date, then = self._server_time
        return self._now() - date - timedelta(seconds=time.monotonic() - then)

    @property
    def label(self) -> str:
        """The CA's name and host, for messages."""
        return label(self.name, self.directory_url)

    def directory(self, deadline: Deadline) -> Directory:
        """Return the directory, at most an hour old (section 7.1.1).

        The wall clock counts as well: the monotonic clock stands still during suspend, after which
        nothing cached is valid, least of all the CA's time.
        """
        if self._directory is not None:
            directory, then, at = self._directory
            age = time.monotonic() - then
            drift = (self._now() - at).total_seconds() - age
            if age < self._directory_seconds and abs(drift) < CLOCK_DRIFT_SECONDS:
                return directory
        directory = self._read_directory(deadline)
        self._directory = (directory, time.monotonic(), self._now())
        return directory

    def _read_directory(self, deadline: Deadline) -> Directory:
        """Fetch the directory.

        Raises:
            AuthorityUnreachableError: There is none at that URL, or it cannot be reached.
        """
        near = directory_at_host(self.directory_url)
        hint = f": did you mean {near}?" if near else "; the CA's documentation has it"
        fix = f"correct authorities.{self.name}.directory_url{hint}"
        try:
            response = self.get(self.directory_url, deadline)
        except ACMEError as error:
            if error.status not in GONE:
                raise
            raise AuthorityUnreachableError(
                f"{self.label} has no directory at {clean(self.directory_url, 200)}: "
                f"HTTP {error.status}",
                fix=fix,
            ) from error
        try:
            return self.reader.read(response, Directory.read)
        except AuthorityUnreachableError as error:
            error.fix = error.fix or fix
            raise

    def optional_url(self, name: str, what: str, deadline: Deadline) -> str:
        """Return the URL of an optional operation."""
        url: str = getattr(self.directory(deadline), name)
        if not url:
            raise AuthorityError(f"{self.label} does not {what} over ACME")
        return url

    def get(self, url: str, deadline: Deadline) -> Response:
        """Send an unsigned GET request."""
        return self.reader.checked(self._send("GET", url, deadline))

    def post(
        self,
        account: Account,
        url: str,
        payload: bytes,
        deadline: Deadline,
        lease: Lease | None = None,
    ) -> Response:
        """Send a request signed by an account.

        Args:
            account: The account.
            url: Where to send it.
            payload: Empty for a POST-as-GET (section 6.3).
            deadline: When to give up.
            lease: The lease without which nothing may be sent; None if it needs none.

        Raises:
            LeaseLostError: Another host may hold the lease; nothing was sent.
        """
        signer = Signer(load_key(account.private_key), account.url)
        return self.post_signed(url, payload, signer, deadline, lease)

    def post_signed(
        self,
        url: str,
        payload: bytes,
        signer: Signer,
        deadline: Deadline,
        lease: Lease | None = None,
    ) -> Response:
        """Send a signed request, again after a rejected nonce or a recent key change."""
        rejected = 0
        pauses = list(KEY_CHANGE_PAUSES)
        while True:
            try:
                return self._send_signed(url, payload, signer, deadline, lease)
            except ACMEError as error:
                if _is_unverified(error) and pauses and pauses[-1] < deadline.remaining:
                    deadline.wait(pauses.pop())
                    if not deadline.interrupted:
                        continue
                rejected += 1
                if error.problem_type != "badNonce" or rejected > MAX_NONCE_RETRIES:
                    raise

    def _send_signed(
        self, url: str, payload: bytes, signer: Signer, deadline: Deadline, lease: Lease | None
    ) -> Response:
        body = signer.sign(payload, self._nonce(deadline), url)
        response = self._send("POST", url, deadline, body, lease)
        self._keep_nonce(response)
        return self.reader.checked(response)

    def _send(
        self,
        method: str,
        url: str,
        deadline: Deadline,
        body: bytes | None = None,
        lease: Lease | None = None,
    ) -> Response:
        """Send a request after the shared pause, and note what its response says to all.

        Raises:
            RateLimitBudgetError: The pause ends after the deadline; nothing was sent.
            LeaseLostError: Another host may hold the lease; nothing was sent.
        """
        if not self.pause.wait(deadline):
            until = self._now() + timedelta(seconds=self.pause.remaining)
            raise RateLimitBudgetError(
                f"{self.label} asks everybody to wait; nothing was sent; gatecert continues at "
                f"{instant(until)}",
                until=until,
                fix="no action needed",
            )
        if lease is not None:
            lease.check()
        begin = time.monotonic()
        try:
            response = self._transport.send(method, url, deadline=deadline, body=body)
        finally:
            seconds = time.monotonic() - begin
            self._measure(Measurement.REQUEST_SECONDS, {"authority": self.name}, seconds)
        date = server_time(response.headers)
        if date is not None:
            self._server_time = (date, time.monotonic())
        pause = self.reader.asked_pause(response)
        if pause is not None:
            logger.info("authority asks to wait authority=%s seconds=%.0f", self.name, pause)
            if self.pause.extend(pause) and pause >= SHORTEST_TOLD:
                self.tell_pause(timedelta(seconds=pause))
        return response

    def _nonce(self, deadline: Deadline) -> str:
        """Return the newest pooled nonce, or fetch one (section 7.2)."""
        with suppress(IndexError):
            return self._nonces.pop()
        url = self.directory(deadline).new_nonce
        response = self._send("HEAD", url, deadline)
        self.reader.checked(response)
        self._keep_nonce(response)
        try:
            return self._nonces.pop()
        except IndexError:
            raise self.reader.unusable(response, "it has no nonce") from None

    def _keep_nonce(self, response: Response) -> None:
        nonce = response.headers.get("Replay-Nonce", "")
        if is_nonce(nonce):
            self._nonces.append(nonce)


def _is_unverified(error: ACMEError) -> bool:
    """Check for a signature that does not match the key that the CA has for the account."""
    return error.problem_type in {"malformed", "unauthorized"} and bool(
        _UNVERIFIED.search(error.detail)
    )
