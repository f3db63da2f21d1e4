"""The ACME protocol (RFC 8555) with one authority, by means of the ``acme`` library.

With ``signature``, the only module that knows ``acme`` and ``josepy``. They make what we send: JWS,
key authorizations, account, order and finalisation messages, external account bindings. Two things
they do in ways that a daemon cannot live with, and are done here instead:

- *Sending.* ``acme.client`` follows http:// URLs, reads without a total deadline or a cap, logs
  whole requests, and gives up at the second badNonce. See ``transport`` for the former. A rejected
  nonce is replaced by the one in the error (section 6.5), so even an authority that rejects half
  of them gets its request.
- *Reading.* ``acme.messages`` refuses a whole answer for one unknown status, identifier type or
  ill-formed challenge, and raises josepy's errors. See ``resources``.

Whatever goes wrong is one of ``gatecert.errors``, naming the authority and its host. A client is
safe to use from several threads: connections and nonces are pooled, nothing else changes.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from acme import messages
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from josepy.b64 import b64decode, b64encode
from josepy.json_util import field as json_field

from gatecert.acme.resources import (
    AccountObject,
    Authorization,
    Directory,
    Download,
    Order,
    SuggestedWindow,
    server_time,
)
from gatecert.acme.responses import GONE, ResponseReader, links
from gatecert.acme.signature import Signer, key_change, load_key
from gatecert.acme.transport import AcmeTransport, label
from gatecert.config.well_known import directory_at_host
from gatecert.errors import ACMEError, AuthorityError, AuthorityUnreachableError, clean
from gatecert.http.fetcher import resolve_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from josepy.interfaces import JSONDeSerializable

    from gatecert.acme.transport import Sender
    from gatecert.deadline import Deadline
    from gatecert.http.fetcher import Response
    from gatecert.model import Account, Identifier

# The libraries log whole messages at DEBUG; ours say what matters and never carry a secret.
for _library in ("acme", "josepy", "urllib3", "requests"):
    logging.getLogger(_library).setLevel(logging.WARNING)

DIRECTORY_SECONDS = 3600.0  # how long a directory is believed
CLOCK_DRIFT_SECONDS = 60.0  # between wall clock and monotonic clock: set, or slept
MOST_NONCE_RETRIES = 20  # at a rejection rate of one half, one request in two million is given up
MOST_NONCES = 32

# Seconds, last first: Boulder's front ends verify by the old key for a while after a key change.
KEY_CHANGE_PAUSES = (8.0, 4.0, 2.0, 1.0)
_UNVERIFIED = re.compile(r"\bJWS verification (error|failed)", re.IGNORECASE)


class NewOrder(messages.NewOrder):
    """A newOrder request that may say which certificate it replaces (RFC 9773 section 5)."""

    replaces: str | None = json_field("replaces", omitempty=True)


class Client:
    """One authority.

    Args:
        name: The authority's name in the configuration.
        directory_url: Its directory.
        ca_bundle: PEM file with the roots to trust for its HTTPS; None means the system's.
        transport: How requests are sent.
        now: The wall clock, aware UTC.
    """

    def __init__(
        self,
        name: str,
        directory_url: str,
        *,
        ca_bundle: Path | None = None,
        transport: Sender | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = name
        self.directory_url = directory_url
        self._transport = transport or AcmeTransport(name, ca_bundle)
        self._reader = ResponseReader(name, now)
        self._nonces: deque[str] = deque(maxlen=MOST_NONCES)
        self._directory: tuple[Directory, float, datetime] | None = None
        self._now = now
        self._server_time: tuple[datetime, float] | None = None

    @property
    def clock_ahead(self) -> timedelta | None:
        """How far our clock is ahead of the authority's; None before it has said the time.

        It holds although our clock may have been set since the authority said so.
        """
        if self._server_time is None:
            return None
        said, then = self._server_time
        return self._now() - said - timedelta(seconds=time.monotonic() - then)

    @property
    def label(self) -> str:
        """How messages call the authority: its name and host."""
        return label(self.name, self.directory_url)

    # ------------------------------------------------------------------ without an account

    def directory(self, deadline: Deadline) -> Directory:
        """The authority's directory, not older than an hour (section 7.1.1).

        An hour of the wall clock as well: the other one stands still while a machine sleeps, and
        what was known before counts for nothing then, the authority's time least of all.
        """
        if self._directory is not None:
            directory, then, at = self._directory
            age = time.monotonic() - then
            drift = (self._now() - at).total_seconds() - age
            if age < DIRECTORY_SECONDS and abs(drift) < CLOCK_DRIFT_SECONDS:
                return directory
        directory = self._read_directory(deadline)
        self._directory = (directory, time.monotonic(), self._now())
        return directory

    def _read_directory(self, deadline: Deadline) -> Directory:
        """Read the directory anew.

        Raises:
            AuthorityUnreachableError: There is none at that URL, or it cannot be reached.
        """
        near = directory_at_host(self.directory_url)
        hint = f": did you mean {near}?" if near else "; the CA's documentation has it"
        fix = f"correct authorities.{self.name}.directory_url{hint}"
        try:
            answer = self._get(self.directory_url, deadline)
        except ACMEError as error:
            if error.status not in GONE:
                raise
            raise AuthorityUnreachableError(
                f"{self.label} has no directory at {clean(self.directory_url, 200)}: "
                f"HTTP {error.status}",
                fix=fix,
            ) from error
        try:
            return self._reader.read(answer, Directory.read)
        except AuthorityUnreachableError as error:
            error.fix = error.fix or fix
            raise

    def suggested_window(self, certificate_id: str, deadline: Deadline) -> SuggestedWindow | None:
        """When a certificate should be renewed; None where the authority does not say (RFC 9773).

        The request is not signed (section 4.1).
        """
        base = self.directory(deadline).renewal_info
        if not base:
            return None
        answer = self._get(f"{base.rstrip('/')}/{certificate_id}", deadline)
        wait = self._reader.retry_after(answer)
        return self._reader.read(
            answer, lambda value: SuggestedWindow.read(value, retry_after=wait)
        )

    # ------------------------------------------------------------------ the account

    def find_account(self, private_key: bytes, deadline: Deadline) -> str:
        """The URL of the account that a key belongs to (section 7.3.1).

        Raises:
            AccountMissingError: There is none.
        """
        return self._new_account(
            private_key, messages.NewRegistration(only_return_existing=True), deadline
        )

    def new_account(
        self,
        private_key: bytes,
        contact: Sequence[str],
        deadline: Deadline,
        *,
        binding: Mapping[str, Any] | None = None,
    ) -> str:
        """Make an account, the terms being agreed to; the URL of an existing one is as good.

        Args:
            private_key: PEM.
            contact: URLs, ``mailto:…``.
            deadline: When to give up.
            binding: What `external_account_binding` made.
        """
        fields: dict[str, Any] = {"terms_of_service_agreed": True}
        if contact:
            fields["contact"] = tuple(contact)
        if binding:
            fields["external_account_binding"] = binding
        return self._new_account(private_key, messages.NewRegistration(**fields), deadline)

    def external_account_binding(
        self, private_key: bytes, key_id: str, hmac_key: str, algorithm: str, deadline: Deadline
    ) -> Mapping[str, Any]:
        """Bind an account key to an account that the authority knows otherwise (section 7.3.4)."""
        directory = messages.Directory({"newAccount": self.directory(deadline).new_account})
        binding: Mapping[str, Any] = messages.ExternalAccountBinding.from_data(
            load_key(private_key).public_key(), key_id, hmac_key, directory, algorithm
        )
        return binding

    def update_contact(self, account: Account, contact: Sequence[str], deadline: Deadline) -> None:
        """Tell the authority other contact addresses (section 7.3.2)."""
        update = messages.UpdateRegistration(contact=tuple(contact))
        self._post(account, account.url, _payload(update), deadline)

    def fetch_account(self, account: Account, deadline: Deadline) -> AccountObject:
        """Look at an account (section 7.3)."""
        return self._reader.read(
            self._post(account, account.url, b"", deadline), AccountObject.read
        )

    def change_key(self, account: Account, new_key: bytes, deadline: Deadline) -> None:
        """Let another key (PEM) take the place of the account's (section 7.3.5)."""
        url = self._offered("key_change", "change account keys", deadline)
        change = key_change(account.url, account.private_key, new_key, url)
        self._post(account, url, change, deadline)

    def deactivate(self, account: Account, deadline: Deadline) -> AccountObject:
        """Give an account up, for good (section 7.3.6); the account as it is from then on."""
        update = messages.UpdateRegistration(status="deactivated")
        answer = self._post(account, account.url, _payload(update), deadline)
        return self._reader.read(answer, AccountObject.read)

    # ------------------------------------------------------------------ revocation

    def revoke(
        self,
        certificate: bytes,
        deadline: Deadline,
        *,
        reason: int,
        account: Account | None = None,
        private_key: bytes = b"",
    ) -> None:
        """Revoke a certificate (section 7.6).

        Args:
            certificate: PEM.
            deadline: When to give up.
            reason: Code of RFC 5280 section 5.3.1; 0, which says nothing, is left out.
            account: Who asks for it.
            private_key: The certificate's own key (PEM), which signs where no account does.
        """
        url = self._offered("revoke_cert", "revoke certificates", deadline)
        der = x509.load_pem_x509_certificate(certificate).public_bytes(serialization.Encoding.DER)
        fields: dict[str, Any] = {"certificate": b64encode(der).decode("ascii")}
        if reason:
            fields["reason"] = reason
        payload = json.dumps(fields).encode("ascii")
        if account is not None:
            self._post(account, url, payload, deadline)
        else:
            self._post_signed(url, payload, Signer(load_key(private_key)), deadline)

    # ------------------------------------------------------------------ orders

    def new_order(
        self,
        account: Account,
        identifiers: Sequence[Identifier],
        deadline: Deadline,
        *,
        profile: str = "",
        replaces: str = "",
    ) -> Order:
        """Place an order (section 7.4).

        Args:
            account: Who orders.
            identifiers: What for.
            deadline: When to give up.
            profile: One of the directory's profiles; empty leaves the choice to the authority.
            replaces: CertID of the certificate that is renewed; empty if none.
        """
        request = NewOrder(
            identifiers=[
                messages.Identifier(
                    typ=messages.IdentifierType.POSSIBLE_NAMES[each.type.value], value=each.value
                )
                for each in identifiers
            ],
            profile=profile or None,
            replaces=replaces or None,
        )
        url = self.directory(deadline).new_order
        answer = self._post(account, url, _payload(request), deadline)
        return self._read_order(answer, _location(answer))

    def order(self, account: Account, url: str, deadline: Deadline) -> Order:
        """Look at an order."""
        return self._read_order(self._post(account, url, b"", deadline), url)

    def authorization(self, account: Account, url: str, deadline: Deadline) -> Authorization:
        """Look at an authorization (section 7.5)."""
        answer = self._post(account, url, b"", deadline)
        return self._reader.read(answer, lambda value: Authorization.read(value, url=url))

    def key_authorization(self, account: Account, token: str) -> str:
        """What proves that whoever answers a challenge holds the account key (section 8.1)."""
        thumbprint: bytes = load_key(account.private_key).thumbprint()
        return f"{token}.{b64encode(thumbprint).decode('ascii')}"

    def respond_to_challenge(self, account: Account, url: str, deadline: Deadline) -> float | None:
        """Say that the response is in place (section 7.5.1).

        Returns:
            Seconds after which the authority wants to be asked how it went; None if unsaid.
        """
        answer = self._post(account, url, b"{}", deadline)
        return self._reader.retry_after(answer)

    def finalize(self, account: Account, order: Order, csr: bytes, deadline: Deadline) -> Order:
        """Hand in the CSR (PEM) of an order that is ready."""
        if not order.finalize:
            raise AuthorityUnreachableError(
                f"{self.label} does not say where the certificate request of the order goes"
            )
        request = messages.CertificateRequest(csr=x509.load_pem_x509_csr(csr))
        answer = self._post(account, order.finalize, _payload(request), deadline)
        return self._read_order(answer, order.url)

    def download(self, account: Account, url: str, deadline: Deadline) -> Download:
        """Download a certificate with its chain (section 7.4.2)."""
        answer = self._post(account, url, b"", deadline)
        return Download(answer.body, tuple(links(answer, "alternate")))

    # ------------------------------------------------------------------ requests

    def _offered(self, name: str, what: str, deadline: Deadline) -> str:
        """The URL of something that not every authority offers."""
        url: str = getattr(self.directory(deadline), name)
        if not url:
            raise AuthorityError(f"{self.label} does not {what} over ACME")
        return url

    def _new_account(
        self, private_key: bytes, request: messages.NewRegistration, deadline: Deadline
    ) -> str:
        url = self.directory(deadline).new_account
        answer = self._post_signed(url, _payload(request), Signer(load_key(private_key)), deadline)
        location = _location(answer)
        if not location:
            raise self._reader.unusable(answer, "the account has no URL")
        return location

    def _get(self, url: str, deadline: Deadline) -> Response:
        answer = self._transport.send("GET", url, deadline=deadline)
        self._note_time(answer)
        return self._reader.checked(answer)

    def _post(self, account: Account, url: str, payload: bytes, deadline: Deadline) -> Response:
        """A signed request by an account; an empty payload is a POST-as-GET (section 6.3)."""
        signer = Signer(load_key(account.private_key), account.url)
        return self._post_signed(url, payload, signer, deadline)

    def _post_signed(
        self, url: str, payload: bytes, signer: Signer, deadline: Deadline
    ) -> Response:
        rejected = 0
        pauses = list(KEY_CHANGE_PAUSES)
        while True:
            try:
                return self._send_signed(url, payload, signer, deadline)
            except ACMEError as error:
                if _is_unverified(error) and pauses and pauses[-1] < deadline.remaining:
                    deadline.wait(pauses.pop())
                    if not deadline.interrupted:
                        continue
                rejected += 1
                if error.problem_type != "badNonce" or rejected > MOST_NONCE_RETRIES:
                    raise

    def _send_signed(
        self, url: str, payload: bytes, signer: Signer, deadline: Deadline
    ) -> Response:
        body = signer.sign(payload, self._nonce(deadline), url)
        answer = self._transport.send("POST", url, deadline=deadline, body=body)
        self._keep_nonce(answer)
        self._note_time(answer)
        return self._reader.checked(answer)

    def _note_time(self, answer: Response) -> None:
        said = server_time(answer.headers)
        if said is not None:
            self._server_time = (said, time.monotonic())

    def _nonce(self, deadline: Deadline) -> str:
        """The newest nonce at hand, or a fresh one (section 7.2)."""
        try:
            return self._nonces.pop()
        except IndexError:
            pass
        url = self.directory(deadline).new_nonce
        answer = self._transport.send("HEAD", url, deadline=deadline)
        self._reader.checked(answer)
        self._keep_nonce(answer)
        try:
            return self._nonces.pop()
        except IndexError:
            raise self._reader.unusable(answer, "there is no nonce in it") from None

    def _keep_nonce(self, answer: Response) -> None:
        nonce = answer.headers.get("Replay-Nonce", "")
        try:
            usable = bool(nonce) and b64encode(b64decode(nonce)).decode() == nonce
        except (ValueError, TypeError):
            usable = False
        if usable:
            self._nonces.append(nonce)

    def _read_order(self, answer: Response, url: str) -> Order:
        wait = self._reader.retry_after(answer)
        return self._reader.read(
            answer,
            lambda value: Order.read(value, url=url, base=answer.url, retry_after=wait),
        )


def _is_unverified(error: ACMEError) -> bool:
    """Whether a signature did not fit the key that the authority knows."""
    return error.problem_type in {"malformed", "unauthorized"} and bool(
        _UNVERIFIED.search(error.detail)
    )


def _location(answer: Response) -> str:
    """The absolute URL of what was made (RFC 9110 section 10.2.2); empty where there is none."""
    location = answer.headers.get("Location", "")
    return resolve_url(answer.url, location) or "" if location else ""


def _payload(message: JSONDeSerializable) -> bytes:
    return message.json_dumps().encode("utf-8")
