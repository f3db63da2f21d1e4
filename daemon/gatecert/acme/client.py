"""An ACME client (RFC 8555) for one authority, on the ``acme`` library.

Only this module and ``signature`` import ``acme`` and ``josepy``. These make the messages: JWS, key
authorizations, account, order and finalize requests, external account bindings. Two things are done
here instead:

- *Sending.* ``acme.client`` follows http:// URLs, reads without a total deadline or a size limit,
  logs whole requests, and gives up at the second badNonce. See ``session`` and ``transport``.
- *Reading.* ``acme.messages`` refuses a whole response for one unknown status, identifier type or
  malformed challenge, and raises josepy's errors. See ``resources``.

Every error is one of ``gatecert.errors`` and names the CA and its host.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from acme import messages
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from josepy.b64 import b64encode
from josepy.json_util import field as json_field

from gatecert.acme.resources import (
    AccountObject,
    Authorization,
    Download,
    Order,
    SuggestedWindow,
)
from gatecert.acme.responses import links
from gatecert.acme.session import AcmeSession
from gatecert.acme.signature import Signer, key_change, load_key
from gatecert.errors import AuthorityUnreachableError
from gatecert.http.fetcher import resolve_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from josepy.interfaces import JSONDeSerializable

    from gatecert.deadline import Deadline
    from gatecert.http.fetcher import Response
    from gatecert.model import Account, Identifier
    from gatecert.store.protocol import Lease

# The libraries log whole messages at DEBUG, secrets included.
for _library in ("acme", "josepy", "urllib3", "requests"):
    logging.getLogger(_library).setLevel(logging.WARNING)


class NewOrder(messages.NewOrder):
    """A newOrder request with ``replaces`` (RFC 9773 section 5)."""

    replaces: str | None = json_field("replaces", omitempty=True)


class Client(AcmeSession):
    """The operations of ACME with one authority."""

    def suggested_window(self, certificate_id: str, deadline: Deadline) -> SuggestedWindow | None:
        """Fetch a certificate's renewal window (RFC 9773); None if the CA does not offer ARI.

        The request is not signed (section 4.1).
        """
        base = self.directory(deadline).renewal_info
        if not base:
            return None
        response = self.get(f"{base.rstrip('/')}/{certificate_id}", deadline)
        wait = self.reader.retry_after(response)
        return self.reader.read(
            response, lambda value: SuggestedWindow.read(value, retry_after=wait)
        )

    # ------------------------------------------------------------------ the account

    def find_account(self, private_key: bytes, deadline: Deadline) -> str:
        """Return the URL of a key's account (section 7.3.1).

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
        """Create an account, agreeing to the terms; return its URL, or that of an existing one.

        Args:
            private_key: PEM.
            contact: URLs, ``mailto:…``.
            deadline: When to give up.
            binding: The result of `external_account_binding`.
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
        """Make an external account binding for an account key (section 7.3.4)."""
        directory = messages.Directory({"newAccount": self.directory(deadline).new_account})
        binding: Mapping[str, Any] = messages.ExternalAccountBinding.from_data(
            load_key(private_key).public_key(), key_id, hmac_key, directory, algorithm
        )
        return binding

    def update_contact(self, account: Account, contact: Sequence[str], deadline: Deadline) -> None:
        """Change the account's contact addresses (section 7.3.2)."""
        update = messages.UpdateRegistration(contact=tuple(contact))
        self.post(account, account.url, _payload(update), deadline)

    def fetch_account(self, account: Account, deadline: Deadline) -> AccountObject:
        """Fetch an account (section 7.3)."""
        return self.reader.read(self.post(account, account.url, b"", deadline), AccountObject.read)

    def change_key(self, account: Account, new_key: bytes, deadline: Deadline) -> None:
        """Replace the account key by another one, PEM (section 7.3.5)."""
        url = self.optional_url("key_change", "change account keys", deadline)
        change = key_change(account.url, account.private_key, new_key, url)
        self.post(account, url, change, deadline)

    def deactivate(self, account: Account, deadline: Deadline) -> AccountObject:
        """Deactivate an account for good (section 7.3.6); return it as it is then."""
        update = messages.UpdateRegistration(status="deactivated")
        response = self.post(account, account.url, _payload(update), deadline)
        return self.reader.read(response, AccountObject.read)

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
            reason: Code of RFC 5280 section 5.3.1; 0 (unspecified) is omitted.
            account: Signs the request.
            private_key: The certificate's own key (PEM), which signs if there is no account.
        """
        url = self.optional_url("revoke_cert", "revoke certificates", deadline)
        der = x509.load_pem_x509_certificate(certificate).public_bytes(serialization.Encoding.DER)
        fields: dict[str, Any] = {"certificate": b64encode(der).decode("ascii")}
        if reason:
            fields["reason"] = reason
        payload = json.dumps(fields).encode("ascii")
        if account is not None:
            self.post(account, url, payload, deadline)
        else:
            self.post_signed(url, payload, Signer(load_key(private_key)), deadline)

    # ------------------------------------------------------------------ orders

    def new_order(  # noqa: PLR0913 - all that an order consists of
        self,
        account: Account,
        identifiers: Sequence[Identifier],
        deadline: Deadline,
        *,
        profile: str = "",
        replaces: str = "",
        lease: Lease | None = None,
    ) -> Order:
        """Place an order (section 7.4).

        Args:
            account: The account.
            identifiers: The names and addresses.
            deadline: When to give up.
            profile: One of the directory's profiles; empty leaves the choice to the CA.
            replaces: CertID of the certificate to renew; empty if none.
            lease: As in `AcmeSession.post`.
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
        response = self.post(account, url, _payload(request), deadline, lease)
        return self._read_order(response, _location(response))

    def order(self, account: Account, url: str, deadline: Deadline) -> Order:
        """Fetch an order."""
        return self._read_order(self.post(account, url, b"", deadline), url)

    def authorization(self, account: Account, url: str, deadline: Deadline) -> Authorization:
        """Fetch an authorization (section 7.5)."""
        response = self.post(account, url, b"", deadline)
        return self.reader.read(response, lambda value: Authorization.read(value, url=url))

    def key_authorization(self, account: Account, token: str) -> str:
        """Return the key authorization of a token (section 8.1)."""
        thumbprint: bytes = load_key(account.private_key).thumbprint()
        return f"{token}.{b64encode(thumbprint).decode('ascii')}"

    def respond_to_challenge(
        self, account: Account, url: str, deadline: Deadline, lease: Lease | None = None
    ) -> float | None:
        """Ask the CA to validate a challenge (section 7.5.1).

        Returns:
            The response's Retry-After in seconds; None if not given.
        """
        return self.reader.retry_after(self.post(account, url, b"{}", deadline, lease))

    def finalize(
        self,
        account: Account,
        order: Order,
        csr: bytes,
        deadline: Deadline,
        lease: Lease | None = None,
    ) -> Order:
        """Finalize a ready order with a CSR (PEM)."""
        if not order.finalize:
            raise AuthorityUnreachableError(f"{self.label} gives no finalize URL for the order")
        request = messages.CertificateRequest(csr=x509.load_pem_x509_csr(csr))
        response = self.post(account, order.finalize, _payload(request), deadline, lease)
        return self._read_order(response, order.url)

    def download(self, account: Account, url: str, deadline: Deadline) -> Download:
        """Download a certificate with its chain (section 7.4.2)."""
        response = self.post(account, url, b"", deadline)
        return Download(response.body, tuple(links(response, "alternate")))

    # ------------------------------------------------------------------ requests

    def _new_account(
        self, private_key: bytes, request: messages.NewRegistration, deadline: Deadline
    ) -> str:
        url = self.directory(deadline).new_account
        signer = Signer(load_key(private_key))
        response = self.post_signed(url, _payload(request), signer, deadline)
        location = _location(response)
        if not location:
            raise self.reader.unusable(response, "the account has no URL")
        return location

    def _read_order(self, response: Response, url: str) -> Order:
        wait = self.reader.retry_after(response)
        return self.reader.read(
            response,
            lambda value: Order.read(value, url=url, base=response.url, retry_after=wait),
        )


def _location(response: Response) -> str:
    """Return the absolute URL in Location (RFC 9110 section 10.2.2); empty if there is none."""
    location = response.headers.get("Location", "")
    return resolve_url(response.url, location) or "" if location else ""


def _payload(message: JSONDeSerializable) -> bytes:
    return message.json_dumps().encode("utf-8")
