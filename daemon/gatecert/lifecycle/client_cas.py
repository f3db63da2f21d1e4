"""The story of users' certificates: handed in → checked → in place → proven → watched.

Like the pipeline for the gateway's own certificate, this knows the order of the stages and turns
what goes wrong later into an `Outcome`. What is wrong with a request is raised at once, before
anything was touched.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.client_ca import bundle_change, bundle_warnings
from gatecert.client_ca.bundle import named
from gatecert.client_ca.client_ca_deployer import ClientCADeployer, ClientCADeploymentResult
from gatecert.client_ca.crl_files import read_lists
from gatecert.client_ca.lockout import locked_out, read_known_users, spoken
from gatecert.client_ca.user_check import UserCheckResult, check_user
from gatecert.errors import GatecertError, LockoutError
from gatecert.lifecycle.gateway_state import GatewayStates
from gatecert.model import (
    ClientAuthentication,
    ClientCA,
    Deployment,
    Outcome,
    OutcomeKind,
    Progress,
    Stage,
)
from gatecert.store.protocol import Store

if TYPE_CHECKING:
    from gatecert.certificate.upload import Upload
    from gatecert.client_ca.bundle import Bundle
    from gatecert.model import Target

logger = logging.getLogger(__name__)

LOOK_AGAIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Overview:
    """What there is to say of a gateway's user authorities.

    Attributes:
        path: The file that the server reads.
        deployment: How far the last change has come; None where there was none.
        warnings: What the operator must fix so that users can connect
            (``client_ca.bundle_warnings``).
    """

    path: str
    authorities: tuple[ClientCA, ...]
    deployment: Deployment | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClientCAs:
    """Looks after the authorities whose user certificates gateways accept.

    Attributes:
        progress: Told of each step.
        now: Reads the clock.
        looked: When users were last looked at, and by which bundle, of each gateway.
    """

    store: Store
    memory: GatewayStates
    admission: ClientCADeployer
    progress: Progress
    now: Callable[[], datetime]
    looked: dict[str, tuple[datetime, str]] = field(default_factory=dict)

    # ------------------------------------------------------------------ asked for by a person

    def add(self, target: Target, upload: Upload, *, wait: float) -> Outcome:
        """Take over the authorities in a file, if everything about them is right.

        Args:
            target: The gateway.
            upload: What was handed in.
            wait: Seconds to wait for somebody else who is changing the gateway.

        Raises:
            CertificateError: It is not right; nothing has been changed.
            StorageError: It cannot be kept; nothing has been changed.
            LockTimeoutError: Somebody else is changing this gateway.
        """
        uploaded = upload.certificates()

        def added(bundle: Bundle) -> bundle_change.Change:
            try:
                lists = read_lists(_settings(target).crl_files)
            except GatecertError as error:  # no obstacle: what is added is judged by itself
                found = bundle_change.add(bundle, uploaded, now=self.now())
                return replace(found, notes=(*found.notes, error.message))
            return bundle_change.add(bundle, uploaded, lists, now=self.now())

        return self._change(target, "adding an authority of users", added, wait=wait)

    def remove(self, target: Target, selector: str, *, force: bool, wait: float) -> Outcome:
        """Take out an authority.

        Args:
            target: The gateway.
            selector: A fingerprint or a subject.
            force: Whether known users may be locked out by it.
            wait: Seconds to wait for somebody else who is changing the gateway.

        Raises:
            WrongUsageError: No authority is meant, or several are.
            LockoutError: Known users would be locked out, and that is not forced.
            StorageError: Something cannot be read or kept; nothing has been changed.
            LockTimeoutError: Somebody else is changing this gateway.
        """

        def removed(bundle: Bundle) -> bundle_change.Change:
            found = bundle_change.remove(bundle, selector)
            return self._considered(target, bundle, found, force=force)

        return self._change(target, "removing an authority of users", removed, wait=wait)

    def check_user(self, target: Target, upload: Upload) -> UserCheckResult:
        """Whether the gateway would accept a user certificate.

        Raises:
            CertificateError: What was handed in is no certificate, or a revocation list is none.
            StorageError: The bundle or a revocation list cannot be read.
        """
        bundle = self.admission.files(target).read()
        lists = read_lists(_settings(target).crl_files)
        return check_user(upload.certificates(), bundle, lists, now=self.now())

    def overview(self, target: Target) -> Overview | None:
        """What there is to say; None where the gateway demands no certificates.

        Raises:
            StorageError: The bundle cannot be read.
        """
        if not self.admission.concerns(target):
            return None
        files = self.admission.files(target)
        bundle = files.read()
        found = bundle_warnings.look(target, bundle, now=self.now())
        return Overview(
            path=str(files.path),
            authorities=bundle.authorities(),
            deployment=files.deployment(),
            warnings=tuple(map(str, found)),
        )

    # ------------------------------------------------------------------ in every pass

    def tend(self, target: Target) -> Outcome | None:
        """See that there is a bundle, end what was left unproven, and warn of what ends.

        Returns:
            What was done; None when there was nothing to do.
        """
        try:
            if not self.admission.concerns(target):
                return None
            self.admission.ensure(target)
            admitted = self.admission.settle(target)
            self._warn(target)
        except GatecertError as error:
            return self.memory.outcome(
                target, OutcomeKind.FAILED, error.message, code=error.code, fix=error.fix
            )
        return self._outcome(target, admitted) if admitted is not None else None

    # ------------------------------------------------------------------ below

    def _change(
        self,
        target: Target,
        purpose: str,
        make: Callable[[Bundle], bundle_change.Change],
        *,
        wait: float,
    ) -> Outcome:
        started = time.monotonic()
        with self.store.lock_gateway(target.name, purpose, wait=wait):
            wanted = make(self.admission.files(target).read())
            for note in wanted.notes:
                self.progress(target.name, Stage.CHECK, f"note: {note}")
            outcome = self._outcome(target, self.admission.change(target, wanted.bundle), wanted)
            outcome = replace(outcome, seconds=round(time.monotonic() - started, 3))
            return self.memory.remember(target, outcome)

    def _considered(
        self, target: Target, bundle: Bundle, found: bundle_change.Change, *, force: bool
    ) -> bundle_change.Change:
        """Refuse a change that locks known users out, or say whom it does."""
        settings = _settings(target)
        try:
            known = read_known_users(settings.known_users)
            lists = read_lists(settings.crl_files)
        except GatecertError as error:
            if not force:
                raise
            return replace(found, notes=(*found.notes, error.message))
        out = locked_out(known.users, bundle, found.bundle, lists, now=self.now())
        notes = list(found.notes)
        if known.unreadable:
            notes.append(f"no certificate can be read in {', '.join(known.unreadable)}")
        if out and not force:
            raise LockoutError(
                f"without {named(found.removed)}, {spoken(out)} would be locked out; nothing was"
                " changed",
                fix="give them certificates of another authority first, or say --force",
            )
        if out:
            notes.append(f"locked out by this: {spoken(out)}")
        return replace(found, notes=tuple(notes))

    def _outcome(
        self,
        target: Target,
        admitted: ClientCADeploymentResult,
        wanted: bundle_change.Change | None = None,
    ) -> Outcome:
        if admitted.error is None:
            detail = f"{wanted}: {admitted.detail}" if wanted is not None else admitted.detail
            return self.memory.outcome(target, OutcomeKind.DEPLOYED, detail)
        kind = OutcomeKind.ROLLED_BACK if admitted.rolled_back else OutcomeKind.FAILED
        error = admitted.error
        return self.memory.outcome(target, kind, admitted.detail, code=error.code, fix=error.fix)

    def _warn(self, target: Target) -> None:
        """Say once of each thing that somebody has to see to it, and again as its end comes near.

        Every user's certificate is judged for that, so it is done now and then only.
        """
        now = self.now()
        bundle = self.admission.files(target).read()
        last, of = self.looked.get(target.name, (None, ""))
        if last is not None and of == bundle.id and last <= now < last + LOOK_AGAIN:
            return
        self.looked[target.name] = now, bundle.id
        found = bundle_warnings.look(target, bundle, now=now)
        state = self.memory.state(target)
        for each in bundle_warnings.unsaid(found, state.authority_notices):
            level = logging.WARNING if each.days else logging.ERROR
            logger.log(level, "users gateway=%s %s", target.name, each)
        notices = bundle_warnings.noticed(found)
        if notices != state.authority_notices:
            self.memory.save(target, replace(state, authority_notices=notices))


def _settings(target: Target) -> ClientAuthentication:
    return target.client_authentication or ClientAuthentication()
