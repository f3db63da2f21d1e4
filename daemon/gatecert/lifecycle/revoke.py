"""Revoke the certificate that a gateway serves, at an operator's request.

The authority that issued the certificate is asked (``acme.revocation_request``), and the answer is
saved. The next pass orders a replacement, as ``schedule.due`` decides. Until the replacement is
proven to be served, the revoked certificate stays in place: clients that do not check revocation
still connect, and the others fare no worse than without a certificate.

Both certificates of a pair are revoked, since both are replaced. A compromised key compromises
every certificate for it, so earlier ones that are still valid are revoked as well.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from gatecert.acme.revocation_request import Revocation, RevocationResult, Signature
from gatecert.errors import AuthorityError, StorageError, WrongUsageError
from gatecert.lifecycle.revocation_watch import with_revocation_state
from gatecert.model import GatewayState, RevocationReason, RevocationState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.deploy.parsed_versions import StoredCertificate
    from gatecert.lifecycle.gateway_pass import Pass

logger = logging.getLogger(__name__)

OPERATOR = "the operator's request"
FIRST_LOOK = timedelta(days=1)


class RevokingAuthority(Protocol):
    """An authority that can revoke."""

    def revoke(
        self, revocation: Revocation, cancelled: threading.Event | None = None
    ) -> RevocationResult:
        """Revoke a certificate; raise AuthorityError if the authority refuses."""
        ...


@dataclass(frozen=True, slots=True)
class Revoker:
    """Revokes gateways' certificates.

    Attributes:
        authorities: By their name in the configuration.
        cancelled: Set when gatecert stops.
    """

    authorities: Mapping[str, RevokingAuthority]
    cancelled: threading.Event

    def revoke(self, current: Pass, reason: RevocationReason, by: Signature | None) -> str:
        """Revoke the certificate in use.

        Args:
            current: A pass over the gateway.
            reason: The reason, which the CA publishes in its CRLs.
            by: Whose key signs the request; None tries both.

        Returns:
            What was done, one line.

        Raises:
            WrongUsageError: There is nothing that gatecert could revoke.
            AuthorityError: The authority refuses, or cannot be reached.
            LockTimeoutError: Another process is changing this gateway.
            StorageError: It is revoked, and that cannot be saved.
        """
        with current.lock("revoking its certificate"):
            authority, stored = self._revocable(current)
            revocation, *second = _revocations(current, stored, reason, by)
            done = self.authorities[authority].revoke(revocation, self.cancelled)
            new_key = _record(current, stored, reason, done)
            logger.info(
                "certificate revoked gateway=%s reason=%s by=%s version=%s",
                current.target.name,
                reason,
                done.by,
                stored.version.id,
            )
            also = "".join(
                self._also_revoke(authority, each, "its second certificate") for each in second
            ) + self._revoke_earlier(current, stored, [revocation, *second])
        what = "was revoked before" if done.before else f"is revoked ({reason})"
        key = "; the next one gets a new key" if new_key else ""
        by_key = f"signed with the key of the {done.by}"
        return f"the certificate of version {stored.version.id} {what}, {by_key}{key}{also}"

    def _revocable(self, current: Pass) -> tuple[str, StoredCertificate]:
        """Return the certificate in use and the authority that issued it.

        Raises:
            WrongUsageError: It cannot be revoked by gatecert.
        """
        name, live = current.target.name, current.live
        stored = current.wanted if live is None or live.summary.is_bootstrap else live
        if stored is None or stored.summary.is_bootstrap:
            raise WrongUsageError(
                f"gateway {name} has no certificate that could be revoked: no CA lists a"
                " self-signed one"
            )
        authority = stored.version.authority
        if not authority:
            raise WrongUsageError(
                f"the certificate of {name} was imported, so gatecert cannot revoke it",
                fix=f"ask its issuer, {stored.summary.issuer}; then gatecert csr {name} --renew"
                f" and gatecert import {name}",
            )
        if authority not in self.authorities:
            raise WrongUsageError(
                f"{authority} issued the certificate of {name} and is not configured any more",
                fix=f"configure authorities.{authority} again until it is revoked",
            )
        return authority, stored

    def _revoke_earlier(
        self, current: Pass, stored: StoredCertificate, revoked: Sequence[Revocation]
    ) -> str:
        """Revoke earlier certificates for compromised keys; return how that ended, in words."""
        reason, by = revoked[0].reason, revoked[0].by
        if reason is not RevocationReason.KEY_COMPROMISE:
            return ""
        compromised = {each.private_key for each in revoked}
        words = ""
        for other in current.inventory.stored:
            if other == stored or other.summary.not_after <= current.now():
                continue
            for each in _revocations(current, other, reason, by):
                if each.private_key in compromised:
                    what = f"version {other.version.id}, which has the same key,"
                    words += self._also_revoke(other.version.authority, each, what)
        return words

    def _also_revoke(self, authority: str, revocation: Revocation, what: str) -> str:
        """Revoke another certificate; return how that ended, in words."""
        try:
            self.authorities[authority].revoke(revocation, self.cancelled)
        except KeyError:
            return f"; {what} is not revoked, since its CA is not configured"
        except AuthorityError as error:
            return f"; {what} is not revoked: {error}"
        return f"; {what} is revoked as well"


def _revocations(
    current: Pass, stored: StoredCertificate, reason: RevocationReason, by: Signature | None
) -> list[Revocation]:
    """Return a revocation for each certificate of a version."""
    version, private_key = stored.version, current.store.private_key
    found = [Revocation(version.certificate, private_key(version), reason, by)]
    if stored.summary.second is not None:
        key = private_key(version, second=True)
        found.append(Revocation(version.second_certificate, key, reason, by))
    return found


def _record(
    current: Pass, stored: StoredCertificate, reason: RevocationReason, done: RevocationResult
) -> bool:
    """Save the revocation; return whether the next certificate needs a new key.

    Raises:
        StorageError: It cannot be saved.
    """
    now = current.now()
    new_key = reason is RevocationReason.KEY_COMPROMISE or done.by is Signature.CERTIFICATE
    fresh = RevocationState(
        fingerprint=stored.summary.fingerprint,
        next_look=now + FIRST_LOOK,
        checked=now,
        revoked=now,
        reason=reason,
        source=OPERATOR,
        new_key=new_key,
    )
    enrolment = with_revocation_state(current.state.enrolment, current.target, fresh)
    # Earlier failures do not delay the replacement.
    enrolment = replace(enrolment, next_attempt=None)
    state = GatewayState(enrolment, replace(current.state.host, obstruction=None))
    try:
        current.save(state, durably=True)
    except StorageError as error:
        raise StorageError(
            f"the certificate of version {stored.version.id} is revoked, but that cannot be saved,"
            f" so it is not replaced: {error}",
            fix="repeat the command once the state directory can be written",
        ) from error
    return new_key
