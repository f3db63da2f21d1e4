"""Carrying out of a plan: accounts, certificates, and at the end the configuration.

Each step can be repeated: a certificate that is stored already is not stored again. The
configuration is written last, so that a daemon that reads it finds every certificate in place and
orders nothing. Nothing of the other client is written, and no server is reloaded: the certificate
that it serves stays the same.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final

from gatecert.adoption.authority_plan import PlannedAccount
from gatecert.adoption.gateway_plan import PlannedGateway
from gatecert.adoption.state_owner import acting_as
from gatecert.certificate.comparison import rank
from gatecert.certificate.pem import find_readable
from gatecert.certificate.summary import summarize
from gatecert.certificate.trust import trust_of
from gatecert.deploy.adopted_files import AdoptedFile, AdoptedFiles, save_adopted_files
from gatecert.errors import CopyError
from gatecert.model import OutcomeKind, RevocationState
from gatecert.revocation.crl import distribution_points
from gatecert.store import operator_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.adoption.plan import Plan
    from gatecert.app import Application
    from gatecert.config.extension import Extension
    from gatecert.deploy.parsed_versions import StoredCertificate
    from gatecert.lifecycle.gateway_pass import Pass
    from gatecert.store.drop_root import Owner
    from gatecert.store.protocol import AccountStore

logger = logging.getLogger(__name__)

AT_ONCE: Final = 8  # most of the time is spent in fsync(2)


class Result(StrEnum):
    """The result for a certificate or an account."""

    ADOPTED = "adopted"
    THERE = "already there"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class GatewayResult:
    """The result for a certificate.

    Attributes:
        detail: One line.
        served: Whether every listener serves it; None without listeners.
    """

    planned: PlannedGateway
    result: Result
    detail: str = ""
    served: bool | None = None


@dataclass(frozen=True, slots=True)
class AccountResult:
    """The result for an account."""

    planned: PlannedAccount
    result: Result


@dataclass(frozen=True, slots=True)
class Results:
    """The results of an adoption."""

    accounts: tuple[AccountResult, ...]
    gateways: tuple[GatewayResult, ...]


def write_secrets(plan: Plan, owner: Owner | None) -> None:
    """Write the files that the new configuration names.

    Raises:
        StorageError: One cannot be written.
    """
    for secret in (*plan.authorities.secrets, *plan.challenges.secrets):
        secret.write(owner)


def carry_out(
    plan: Plan,
    application: Application,
    extension: Extension | None,
    *,
    owner: Owner | None,
    wait: float,
) -> Results:
    """Store the accounts and certificates, and then write the configuration.

    Args:
        plan: What to do.
        application: Built from the new configuration.
        extension: The new configuration; None if it stays as it is.
        owner: The owner of the state directory, if this process is root and not the owner.
        wait: Seconds to wait for another process that is changing a gateway.

    Raises:
        StorageError: Something cannot be written; a repeated adoption continues.
        LockTimeoutError: Another process is changing a gateway.
    """
    with acting_as(owner):
        application.store.check_writable()
        accounts = tuple(_take_over(application.store, each) for each in plan.authorities.accounts)
        adopt = partial(_adopt, application, client=plan.state.client, wait=wait)
        with ThreadPoolExecutor(AT_ONCE, "adopt") as pool:
            gateways = tuple(pool.map(adopt, plan.gateways))
    if extension is not None and extension.is_needed:
        operator_files.replace_configuration(extension.path, extension.before, extension.data)
    return Results(accounts, gateways)


def _take_over(store: AccountStore, planned: PlannedAccount) -> AccountResult:
    """Store an account, unless there is one with the CA already."""
    known = store.account(planned.authority)
    if known is None:
        store.save_account(planned.authority, planned.account)
        return AccountResult(planned, Result.ADOPTED)
    if known.private_key != planned.account.private_key:
        return AccountResult(planned, Result.KEPT)
    if not known.url and planned.account.url:
        store.save_account(planned.authority, planned.account)
    return AccountResult(planned, Result.THERE)


def _adopt(
    application: Application, planned: PlannedGateway, *, client: str, wait: float
) -> GatewayResult:
    target = application.targets[planned.name]
    with application.store.lock_gateway(planned.name, "adopting a certificate", wait=wait):
        current = application.open(target)
        stored = _stored(current, planned)
        if stored is not None and current.live == stored:
            _save_files(current, planned, client)
            return GatewayResult(planned, Result.THERE)
        if stored is None and _is_worse(current, planned):
            return GatewayResult(planned, Result.KEPT, "a better certificate is in use")
        stored = stored or current.keep(planned.issued)
        if current.wanted != stored:
            return GatewayResult(planned, Result.KEPT, "a better certificate is in use")
        detail, served = _place(current, stored)
        _save_files(current, planned, client)
        _look_for_revocation(current, stored)
        words = f"adopted from {client}, {'proven' if served else 'not proven'}"
        current.finish(replace(current.outcome(OutcomeKind.IMPORTED, words)))
        return GatewayResult(planned, Result.ADOPTED, detail, served)


def _stored(current: Pass, planned: PlannedGateway) -> StoredCertificate | None:
    """Return the version with exactly this certificate; None if there is none."""
    wanted = planned.adoptable.fingerprint
    versions: Sequence[StoredCertificate] = current.inventory.stored
    return next((each for each in versions if each.summary.fingerprint == wanted), None)


def _is_worse(current: Pass, planned: PlannedGateway) -> bool:
    """Tell whether the gateway has a better certificate, which stays."""
    best, now, target = current.wanted, current.now(), current.target
    if best is None:
        return False
    chain = planned.adoptable.chain
    summary = summarize(chain.certificate, chain.chain)
    trust = trust_of(chain.certificate, chain.chain, current.roots, now=now)
    ours = rank(summary, trust, revoked=False, target=target, now=now)
    theirs = best.rank(target, now)
    if ours != theirs:
        return ours < theirs
    return summary.not_after <= best.summary.not_after


def _place(current: Pass, stored: StoredCertificate) -> tuple[str, bool | None]:
    """Put a version in place without a reload, and check that it is served.

    Returns:
        What failed, and whether it is served; None without listeners.
    """
    deployer = current.deployer
    try:
        deployer.swap(stored)
    except CopyError as error:
        return error.message, None
    if not deployer.is_provable:
        deployer.confirm(stored, proven=False)
        return "", None
    verdict = deployer.verify_once(stored)
    if verdict.served:
        deployer.confirm(stored, proven=True)
    return verdict.detail, verdict.served


def _look_for_revocation(current: Pass, stored: StoredCertificate) -> None:
    """Have the next pass look into the CRLs: other than a new one, it may be revoked already."""
    (leaf,) = find_readable([stored.version.certificate])
    if distribution_points(leaf):
        fingerprint = stored.summary.fingerprint
        current.update_enrolment(revocation=RevocationState(fingerprint, current.now()))


def _save_files(current: Pass, planned: PlannedGateway, client: str) -> None:
    """Record the files that the server may still read, for the message of a failed proof."""
    files = tuple(AdoptedFile(str(path), name) for path, name in planned.files.items())
    save_adopted_files(current.deployer.directory, AdoptedFiles(client, files))
