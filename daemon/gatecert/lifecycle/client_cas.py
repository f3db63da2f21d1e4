"""The lifecycle of client CAs: uploaded → checked → in place → proven → watched.

An error in a request is raised before anything changes; what fails later becomes an `Outcome`.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from gatecert.client_ca import bundle_change, bundle_warnings
from gatecert.client_ca.bundle import quoted_subjects
from gatecert.client_ca.client_ca_deployer import PROVEN
from gatecert.client_ca.crl_files import read_crls
from gatecert.client_ca.lockout import count_and_names, locked_out, read_known_users
from gatecert.client_ca.user_check import UserCheckResult, check_user
from gatecert.deploy.deployer import DeploymentResult
from gatecert.errors import GatecertError, LockoutError
from gatecert.lifecycle.gateway_pass import Weight
from gatecert.lifecycle.wake import CLIENT_CA_LOOK
from gatecert.model import ClientAuthentication, ClientCA, Deployment, Outcome, OutcomeKind, Stage
from gatecert.schedule.spread import next_instant

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.certificate.upload import Upload
    from gatecert.client_ca.bundle import Bundle
    from gatecert.lifecycle.gateway_pass import Pass
    from gatecert.model import Target

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Overview:
    """The client CAs of a gateway, for the operator.

    Attributes:
        path: The file that the server reads.
        deployment: How far the last change has come; None if there was none.
        warnings: What the operator must fix so that users can connect
            (``client_ca.bundle_warnings``).
    """

    path: str
    authorities: tuple[ClientCA, ...]
    deployment: Deployment | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClientCAs:
    """Management of the client CAs of gateways.

    Attributes:
        warned: When warnings were last computed, and for which bundle, by gateway.
    """

    warned: dict[str, tuple[datetime, str]] = field(default_factory=dict)

    # ------------------------------------------------------------------ commands

    def add(self, current: Pass, upload: Upload) -> Outcome:
        """Add the CAs of a file, if every check passes.

        Raises:
            CertificateError: A check failed; nothing changed.
            StorageError: The bundle cannot be written; nothing changed.
            LockTimeoutError: Another process is changing this gateway.
        """
        uploaded = upload.certificates()

        def added(bundle: Bundle) -> bundle_change.Change:
            try:
                lists = read_crls(_settings(current.target).crl_files)
            except GatecertError as error:  # an unreadable CRL does not forbid another CA
                found = bundle_change.add(bundle, uploaded, now=current.now())
                return replace(found, notes=(*found.notes, error.message))
            return bundle_change.add(bundle, uploaded, lists, now=current.now())

        return _change(current, "adding a client CA", added)

    def remove(self, current: Pass, selector: str, *, force: bool) -> Outcome:
        """Remove a CA.

        Args:
            current: A pass over the gateway.
            selector: A fingerprint or a subject.
            force: Whether known users may be locked out.

        Raises:
            WrongUsageError: The selector matches no CA, or several.
            LockoutError: Known users would be locked out, and ``force`` is not set.
            StorageError: A file cannot be read or written; nothing changed.
            LockTimeoutError: Another process is changing this gateway.
        """

        def removed(bundle: Bundle) -> bundle_change.Change:
            found = bundle_change.remove(bundle, selector)
            return _check_lockout(current, bundle, found, force=force)

        return _change(current, "removing a client CA", removed)

    def check_user(self, current: Pass, upload: Upload) -> UserCheckResult:
        """Check whether the gateway accepts a client certificate.

        Raises:
            CertificateError: The upload is no certificate, or a CRL file is no CRL.
            StorageError: The bundle or a CRL file cannot be read.
        """
        bundle = current.client_cas.files.read()
        lists = read_crls(_settings(current.target).crl_files)
        return check_user(upload.certificates(), bundle, lists, now=current.now())

    def overview(self, current: Pass) -> Overview | None:
        """Return the client CAs; None if the gateway requests no client certificates.

        Raises:
            StorageError: The bundle cannot be read.
        """
        deployer = current.client_cas
        if not deployer.is_needed:
            return None
        bundle = deployer.files.read()
        found = bundle_warnings.read_warnings(current.target, bundle, now=current.now())
        return Overview(
            path=str(deployer.files.path),
            authorities=bundle.client_cas(),
            deployment=deployer.record.value,
            warnings=tuple(map(str, found)),
        )

    # ------------------------------------------------------------------ in every pass

    def tend(self, current: Pass) -> None:
        """Make sure that a bundle exists, complete an unproven change, and warn of what expires."""
        deployer = current.client_cas
        try:
            if not deployer.is_needed:
                return
            deployer.ensure()
            result = deployer.settle() or _proven_again(current)
            self._warn(current)
        except GatecertError as error:
            current.client_cas_failed = True
            current.add(
                Weight.CLIENT_CA,
                current.outcome(OutcomeKind.FAILED, error.message, code=error.code, fix=error.fix),
            )
        else:
            if result is not None and not result.waits:
                current.add(Weight.CLIENT_CA, _outcome(current, result))

    def _warn(self, current: Pass) -> None:
        """Log each warning once, and again as an expiry comes nearer; hourly, as it is costly."""
        now, name = current.now(), current.target.name
        bundle = current.client_cas.files.read()
        last, of = self.warned.get(name, (None, ""))
        again = next_instant(name, last, CLIENT_CA_LOOK) if last is not None else now
        known = last is not None and of == bundle.id and last <= now < again
        if known and not current.occasion.look_now:
            return
        self.warned[name] = now, bundle.id
        found = bundle_warnings.read_warnings(current.target, bundle, now=now)
        for each in bundle_warnings.unreported(found, current.state.host.authority_notices):
            level = logging.WARNING if each.days else logging.ERROR
            logger.log(level, "users gateway=%s %s", name, each)
        current.update_host(authority_notices=bundle_warnings.expiry_notices(found))


def _change(current: Pass, purpose: str, make: Callable[[Bundle], bundle_change.Change]) -> Outcome:
    started = time.monotonic()
    with current.lock(purpose):
        wanted = make(current.client_cas.files.read())
        for note in wanted.notes:
            current.tell(Stage.CHECK, f"note: {note}")
        outcome = _outcome(current, current.client_cas.change(wanted.bundle), wanted)
        outcome = replace(outcome, seconds=round(time.monotonic() - started, 3))
        return current.finish(outcome)


def _check_lockout(
    current: Pass, bundle: Bundle, found: bundle_change.Change, *, force: bool
) -> bundle_change.Change:
    """Refuse a change that locks known users out; with ``force``, note them."""
    settings = _settings(current.target)
    try:
        known = read_known_users(settings.known_users)
        lists = read_crls(settings.crl_files)
    except GatecertError as error:
        if not force:
            raise
        return replace(found, notes=(*found.notes, error.message))
    out = locked_out(known.users, bundle, found.bundle, lists, now=current.now())
    notes = list(found.notes)
    if known.unreadable:
        notes.append(f"no certificate can be read in {', '.join(known.unreadable)}")
    if out and not force:
        raise LockoutError(
            f"removing {quoted_subjects(found.removed)} locks out {count_and_names(out)};"
            " nothing was changed",
            fix="issue them certificates of another client CA first, or use --force",
        )
    if out:
        notes.append(f"locked out: {count_and_names(out)}")
    return replace(found, notes=tuple(notes))


def _outcome(
    current: Pass, result: DeploymentResult, wanted: bundle_change.Change | None = None
) -> Outcome:
    if result.error is None:
        detail = f"{wanted}: {result.detail}" if wanted is not None else result.detail
        return current.outcome(OutcomeKind.DEPLOYED, detail)
    kind = OutcomeKind.ROLLED_BACK if result.rolled_back else OutcomeKind.FAILED
    return current.outcome(kind, result.detail, code=result.error.code, fix=result.error.fix)


def _proven_again(current: Pass) -> DeploymentResult | None:
    """Return that a roll-back is over; None if the last outcome is none, or is not over.

    It is over as soon as a later watch proves the client CAs of before, since nothing is tried
    again. The certificate is, if that was rolled back; it has an error until then.
    """
    last, known = current.state.host.outcome, current.client_cas.record.value
    if last is None or last.kind is not OutcomeKind.ROLLED_BACK:
        return None
    certificate = current.deployer.record.value
    if certificate is not None and certificate.error:
        return None
    if known is None or known.confirmed is None or known.confirmed <= last.at:
        return None
    return DeploymentResult(f"after the roll-back, {PROVEN}")


def _settings(target: Target) -> ClientAuthentication:
    return target.client_authentication or ClientAuthentication()
