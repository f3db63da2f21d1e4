"""Revoking the certificate that a gateway serves, because an operator says so.

The authority that issued it is asked (``acme.revocation_request``), and the answer is stored. What
follows is decided in ``schedule``, as always: the next pass orders a replacement. Until that is
proven to be served, the revoked certificate stays: clients that do not look at revocation go on
connecting, and the others are no worse off than with none.

Of a pair of certificates, one for each kind of key, both are revoked, since both are replaced.
A key that has leaked makes every certificate worthless that was issued for it, so earlier ones that
have not ended are revoked with the one in use.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from gatecert.acme.revocation_request import Revocation, RevocationResult, Signature
from gatecert.errors import AuthorityError, WrongUsageError
from gatecert.lifecycle.gateway_state import GatewayStates
from gatecert.lifecycle.revocation_watch import with_revocation_state
from gatecert.model import RevocationReason, RevocationState
from gatecert.store.protocol import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.deploy.inventory import StoredCertificate
    from gatecert.model import Target

logger = logging.getLogger(__name__)

OPERATOR = "the operator's request"
NOT_BEFORE = timedelta(days=1)


class RevokingAuthority(Protocol):
    """An authority that can be asked to revoke."""

    def revoke(
        self, revocation: Revocation, cancelled: threading.Event | None = None
    ) -> RevocationResult:
        """Revoke a certificate; raises AuthorityError where that is refused."""
        ...


@dataclass(frozen=True, slots=True)
class Revoker:
    """Revokes gateways' certificates.

    Attributes:
        authorities: By their name in the configuration.
        cancelled: Set when the process has to leave.
    """

    store: Store
    memory: GatewayStates
    authorities: Mapping[str, RevokingAuthority]
    now: Callable[[], datetime]
    cancelled: threading.Event

    def revoke(
        self, target: Target, reason: RevocationReason, by: Signature | None, *, wait: float
    ) -> str:
        """Revoke the certificate in use.

        Args:
            target: Whose.
            reason: Why, for everybody to read in the authority's lists.
            by: Whose key signs; None means whichever does.
            wait: Seconds to wait for somebody else who is changing the gateway.

        Returns:
            What was done, one line.

        Raises:
            WrongUsageError: There is nothing that gatecert could have revoked.
            AuthorityError: The authority refuses, or cannot be asked.
            LockTimeoutError: Somebody else is changing this gateway.
        """
        with self.store.lock_gateway(target.name, "revoking its certificate", wait=wait):
            held = self._in_use(target)
            name, held = _revocable(target, held)
            if name not in self.authorities:
                raise WrongUsageError(
                    f"the certificate of {target.name} was ordered from {name}, which is not"
                    " configured any more",
                    fix=f"put authorities.{name} back until it is revoked",
                )
            revocation, *second = self._revocations(held, reason, by)
            done = self.authorities[name].revoke(revocation, self.cancelled)
            new_key = self._remember(target, held, reason, done)
            logger.info(
                "certificate revoked gateway=%s reason=%s by=%s version=%s",
                target.name,
                reason,
                done.by,
                held.version.id,
            )
            more = "".join(
                self._also(name, each, "its second certificate is") for each in second
            ) + self._revoke_earlier(target, held, [revocation, *second])
        what = "had been revoked before" if done.before else f"is revoked ({reason})"
        how = f"by the key of the {done.by}"
        key = "; the next one gets another key" if new_key else ""
        return f"the certificate of version {held.version.id} {what}, {how}{key}{more}"

    def _in_use(self, target: Target) -> StoredCertificate | None:
        """What is served, or what ought to be where that is nothing that a CA has issued."""
        inventory = self.memory.deployer.inventory(target)
        live = inventory.live
        return inventory.wanted(self.now()) if live is None or live.summary.is_bootstrap else live

    def _revocations(
        self, held: StoredCertificate, reason: RevocationReason, by: Signature | None
    ) -> list[Revocation]:
        """One for each certificate of a version."""
        version = held.version
        keys = self.store.private_key
        found = [Revocation(version.certificate, keys(version), reason, by)]
        if held.summary.second is not None:
            private_key = keys(version, second=True)
            found.append(Revocation(version.second_certificate, private_key, reason, by))
        return found

    def _revoke_earlier(
        self, target: Target, held: StoredCertificate, revoked: Sequence[Revocation]
    ) -> str:
        """Revoke earlier certificates for keys that have leaked; how that went, in words."""
        reason, by = revoked[0].reason, revoked[0].by
        if reason is not RevocationReason.KEY_COMPROMISE:
            return ""
        leaked = {each.private_key for each in revoked}
        told = ""
        for other in self.memory.deployer.inventory(target).held:
            if other == held or other.summary.not_after <= self.now():
                continue
            for each in self._revocations(other, reason, by):
                if each.private_key in leaked:
                    what = f"version {other.version.id} has the same key, and is"
                    told += self._also(other.version.authority, each, what)
        return told

    def _also(self, authority: str, revocation: Revocation, what: str) -> str:
        """Revoke another certificate; how that went, in words."""
        try:
            self.authorities[authority].revoke(revocation, self.cancelled)
        except KeyError:
            return f"; {what} not revoked, since its authority is not configured"
        except AuthorityError as error:
            return f"; {what} not revoked: {error}"
        return f"; {what} revoked as well"

    def _remember(
        self,
        target: Target,
        held: StoredCertificate,
        reason: RevocationReason,
        done: RevocationResult,
    ) -> bool:
        now = self.now()
        new_key = reason is RevocationReason.KEY_COMPROMISE or done.by is Signature.CERTIFICATE
        revocation_state = RevocationState(
            fingerprint=held.summary.fingerprint,
            next_look=now + NOT_BEFORE,
            checked=now,
            revoked=now,
            reason=reason,
            source=OPERATOR,
            new_key=new_key,
        )
        state = with_revocation_state(self.memory.state(target), target, revocation_state)
        # What has failed before is tried again at once: there is another reason for it now.
        self.memory.save(target, replace(state, next_attempt=None, obstruction=None))
        return new_key


def _revocable(target: Target, held: StoredCertificate | None) -> tuple[str, StoredCertificate]:
    """The authority of the certificate in use."""
    if held is None or held.summary.is_bootstrap:
        raise WrongUsageError(
            f"gateway {target.name} has no certificate that could be revoked: its own self-signed"
            " one stands in no list"
        )
    if not held.version.authority:
        raise WrongUsageError(
            f"the certificate of {target.name} was imported, so gatecert cannot have it revoked",
            fix=f"ask its issuer, {held.summary.issuer}; then gatecert csr {target.name} --renew"
            f" and gatecert import {target.name}",
        )
    return held.version.authority, held
