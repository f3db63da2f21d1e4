"""The exchange of a pass with the other hosts of a cluster; with files alone, there is none.

At its start it copies the newest version that another host obtained, and finds out whether this
host has to wait for others before it installs it (``schedule.rings``). The comparison and the
deployment that follow treat it like any other. At its end it tells how this host fares with it.
Without the database, or with a damaged state in it, everything but orders goes on from this host's
files.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from gatecert.errors import DatabaseError, GatecertError, StorageError
from gatecert.model import DatabaseProblem, DeploymentOutcome, OutcomeKind, Stage
from gatecert.schedule.rings import roll_out_wait

if TYPE_CHECKING:
    from gatecert.lifecycle.gateway_pass import Pass
    from gatecert.model import Outcome, Version

logger = logging.getLogger(__name__)


def receive(current: Pass) -> Outcome | None:
    """Copy the newest version of the cluster; return why that fails, unless the database is away.

    Call it before anything reads the versions.
    """
    try:
        version = current.store.copy_version(
            current.target.name, now=current.now(), key_group=current.target.install.key_group
        )
        await_turn(current)
        current.store.check_enrolment(current.target.name)
    except DatabaseError as error:
        _note_problem(current, error)
        return None
    except StorageError as error:
        logger.error("version not copied gateway=%s error=%s", current.target.name, error)  # noqa: TRY400
        return current.outcome(OutcomeKind.FAILED, error.message, code=error.code, fix=error.fix)
    if current.state.host.database is not None:
        current.update_host(database=None)
    if version is not None:
        current.tell(Stage.INSTALL, "another host has obtained a certificate")
        current.update_host(obstruction=None)
    return None


def await_turn(current: Pass) -> None:
    """Find out whether the newest generation has to wait on this host, and for what.

    Raises:
        DatabaseError: That cannot be read; it waits as before, and not at all if it is new.
    """
    name, now, newest = current.target.name, current.now(), _newest(current)
    wait = None
    if newest is not None:
        served = current.inventory.in_turn(now, newest.generation)
        if served is not None and served != current.wanted:
            roll_out = current.store.roll_out(name, newest.generation)
            if roll_out is not None:
                wait = roll_out_wait(roll_out, served.summary, now)
    if wait is not None and wait != current.state.host.roll_out:
        logger.info("installation waits gateway=%s %s", name, wait.reason)
    current.update_host(roll_out=wait)


def report(current: Pass) -> None:
    """Tell the other hosts how this one fares with their newest version; never fail."""
    try:
        newest = _newest(current)
        if newest is None:
            return
        outcome, reason = _fared(current, newest)
        current.store.report_deployment(current.target.name, newest.generation, outcome, reason)
    except GatecertError as error:
        logger.info("deployment not reported gateway=%s error=%s", current.target.name, error)


def _note_problem(current: Pass, error: DatabaseError) -> None:
    """Keep why the database cannot be used, and since when."""
    known = current.state.host.database
    problem = DatabaseProblem(current.now(), error.code, error.message, error.fix)
    if known is None:
        logger.warning("database not used gateway=%s error=%s", current.target.name, error)
    elif known.code == error.code:
        problem = replace(problem, since=known.since)
    current.update_host(database=problem)


def _fared(current: Pass, newest: Version) -> tuple[DeploymentOutcome, str]:
    """Return how the deployment of a version went, and why it is not served."""
    deployment, live = current.deployer.deployment, current.live
    if current.wait is not None:
        return DeploymentOutcome.PENDING, current.wait.reason
    if deployment is None or deployment.version != newest.id:
        return DeploymentOutcome.PENDING, "a better certificate is in use"
    if deployment.confirmed is not None:
        if not current.target.install.is_provable:
            return DeploymentOutcome.PENDING, "install.verify is empty"
        return DeploymentOutcome.PROVEN, ""
    if not deployment.error:
        return DeploymentOutcome.PENDING, ""
    is_live = live is not None and live.version.id == newest.id
    outcome = DeploymentOutcome.FAILED if is_live else DeploymentOutcome.ROLLED_BACK
    return outcome, deployment.error


def _newest(current: Pass) -> Version | None:
    """Return the version of the newest generation that this host has; None without any."""
    shared = (version for version in current.inventory.versions if version.generation)
    return max(shared, key=lambda version: version.generation, default=None)
