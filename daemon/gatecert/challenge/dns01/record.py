"""Name and value of the TXT record that answers a challenge. Pure.

- dns-01 (RFC 8555 section 8.4): ``_acme-challenge.<name>``.
- dns-account-01 (draft-ietf-acme-dns-account-label): ``_<label>._acme-challenge.<name>``. The label
  is the lower-case base32 of the first ten bytes of the SHA-256 of the account URL, so each account
  can have its own alias.

The value is the base64url of the SHA-256 of the key authorization, without padding. A wildcard is
validated at the name above it, so ``*.example.com`` and ``example.com`` have two values at the same
name.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

from gatecert.errors import ChallengeError

if TYPE_CHECKING:
    from gatecert.challenge.solver import Challenge

DNS_01: Final = "dns-01"
DNS_ACCOUNT_01: Final = "dns-account-01"
DNS_PERSIST_01: Final = "dns-persist-01"

LABEL: Final = "_acme-challenge"
ACCOUNT_BYTES: Final = 10


def validation_name(challenge: Challenge) -> str:
    """Return the name of the record (A-labels, no final dot).

    Raises:
        ChallengeError: dns-account-01 without an account URL.
    """
    name = f"{LABEL}.{challenge.identifier.value.removeprefix('*.')}"
    if challenge.type != DNS_ACCOUNT_01:
        return name
    if not challenge.account_url:
        raise ChallengeError(f"{DNS_ACCOUNT_01} cannot be answered: the account has no URL")
    return f"{account_label(challenge.account_url)}.{name}"


def account_label(account_url: str) -> str:
    """Return the label of an account."""
    digest = hashlib.sha256(account_url.encode()).digest()[:ACCOUNT_BYTES]
    return f"_{base64.b32encode(digest).decode().lower()}"


def validation_value(challenge: Challenge) -> str:
    """Return the value of the record."""
    digest = hashlib.sha256(challenge.key_authorization.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
