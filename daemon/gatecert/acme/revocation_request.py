"""Revoking a certificate (RFC 8555 section 7.6): by the account that ordered it, or by its own key.

- By the account, as a rule. Where that is gone or another one than ordered the certificate, its
  own key proves as much.
- Where the key is compromised, by that key: this is what lets an authority refuse the key from then
  on (CA/Browser Forum Baseline Requirements section 4.9.1.1).
- Authorities may take a revocation by its own key as proof that the key has leaked, whatever the
  reason given. So the next certificate gets another key then.
- That it was revoked before is as good.
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

# RFC 5280 section 5.3.1. The others are an authority's to give, or cannot be given for good.
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
    """Whose key asks for a revocation."""

    ACCOUNT = "account"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Revocation:
    """What is to be revoked, and why.

    Attributes:
        certificate: PEM.
        private_key: Its key, PEM.
        by: Whose key signs; None means whichever does.
    """

    certificate: bytes
    private_key: bytes
    reason: RevocationReason = RevocationReason.UNSPECIFIED
    by: Signature | None = None

    @property
    def ways(self) -> tuple[Signature, ...]:
        """Whose keys to try, in order."""
        if self.by is not None:
            return (self.by,)
        if self.reason is RevocationReason.KEY_COMPROMISE:
            return Signature.CERTIFICATE, Signature.ACCOUNT
        return Signature.ACCOUNT, Signature.CERTIFICATE


@dataclass(frozen=True, slots=True)
class RevocationResult:
    """How it was done.

    Attributes:
        by: Whose key signed.
        before: Whether it had been revoked before.
    """

    by: Signature
    before: bool = False


def revoke(
    client: Client, account: Account | None, revocation: Revocation, deadline: Deadline
) -> RevocationResult:
    """Revoke a certificate, by whichever key the authority accepts.

    Args:
        client: The way to the authority.
        account: Ours, if there is one.
        revocation: What and why.
        deadline: When to give up.

    Raises:
        AuthorityError: The authority refuses, or cannot be asked.
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
            "there is no account here",
            authority=client.label,
            fix="revoke by the certificate's own key: --by certificate",
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
