"""Revocation requests (RFC 8555 section 7.6), signed by the account or the certificate's key.

- The account signs by default. If it is gone, or is not the one that ordered the certificate, the
  certificate's own key signs.
- For keyCompromise, the certificate's key signs: that lets the CA refuse this key from then on
  (CA/Browser Forum Baseline Requirements section 4.9.1.1).
- A CA may take a revocation by the certificate's key as proof of compromise, whatever the reason.
  So the next certificate then has another key.
- "Already revoked" counts as success.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from gatecert.errors import AccountMissingError, ACMEError, AuthorityError
from gatecert.model import RevocationReason

if TYPE_CHECKING:
    from gatecert.acme.client import Client
    from gatecert.deadline import Deadline
    from gatecert.model import Account

logger = logging.getLogger(__name__)

# RFC 5280 section 5.3.1; the other reasons are for CAs, or are not final.
REASON_CODES = {
    RevocationReason.UNSPECIFIED: 0,
    RevocationReason.KEY_COMPROMISE: 1,
    RevocationReason.AFFILIATION_CHANGED: 3,
    RevocationReason.SUPERSEDED: 4,
    RevocationReason.CESSATION_OF_OPERATION: 5,
    RevocationReason.PRIVILEGE_WITHDRAWN: 9,
}
_NOT_OURS = {"unauthorized", "malformed", "accountDoesNotExist"}


class Signature(StrEnum):
    """The key that signs a revocation request."""

    ACCOUNT = "account"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Revocation:
    """A certificate to revoke, and the reason.

    Attributes:
        certificate: PEM.
        private_key: Its key, PEM.
        by: The key that signs; None tries both.
    """

    certificate: bytes
    private_key: bytes
    reason: RevocationReason = RevocationReason.UNSPECIFIED
    by: Signature | None = None

    @property
    def ways(self) -> tuple[Signature, ...]:
        """The keys to try, in order."""
        if self.by is not None:
            return (self.by,)
        if self.reason is RevocationReason.KEY_COMPROMISE:
            return Signature.CERTIFICATE, Signature.ACCOUNT
        return Signature.ACCOUNT, Signature.CERTIFICATE


@dataclass(frozen=True, slots=True)
class RevocationResult:
    """The result of a revocation.

    Attributes:
        by: The key that signed.
        before: True if the certificate was already revoked.
    """

    by: Signature
    before: bool = False


def revoke(
    client: Client, account: Account | None, revocation: Revocation, deadline: Deadline
) -> RevocationResult:
    """Revoke a certificate with a key that the CA accepts.

    Args:
        client: The CA's client.
        account: Our account, if there is one.
        revocation: The certificate and the reason.
        deadline: When to give up.

    Raises:
        AuthorityError: The CA refuses, or cannot be reached.
    """
    refused: AuthorityError | None = None
    for way in revocation.ways:
        try:
            return _revoke_by(way, client, account, revocation, deadline)
        except ACMEError as error:
            if error.problem_type not in _NOT_OURS:
                raise
            logger.info("revocation refused by=%s %s", way, error)
            refused = refused or error
    raise refused or AuthorityError(f"{client.label} was not asked")


def _revoke_by(
    way: Signature,
    client: Client,
    account: Account | None,
    revocation: Revocation,
    deadline: Deadline,
) -> RevocationResult:
    if way is Signature.ACCOUNT and account is None:
        raise AccountMissingError(
            "accountDoesNotExist",
            "gatecert has no account there",
            authority=client.label,
            fix="sign with the certificate's own key: --by certificate",
        )
    try:
        client.revoke(
            revocation.certificate,
            deadline,
            reason=REASON_CODES[revocation.reason],
            account=account if way is Signature.ACCOUNT else None,
            private_key=revocation.private_key,
        )
    except ACMEError as error:
        if error.problem_type != "alreadyRevoked":
            raise
        return RevocationResult(way, before=True)
    return RevocationResult(way)
