"""Enrolments of ``gatecert init``, each in its own process, with the progress of ``enroll``."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gatecert.app import build, utc_now
from gatecert.cli.application import no_progress, open_application
from gatecert.cli.child_process import in_child
from gatecert.cli.display import open_display
from gatecert.cli.passes import run_passes
from gatecert.lifecycle.gateway_pass import Occasion
from gatecert.outcome_kinds import OutcomeKind
from gatecert.resolve.gateway_addresses import own_addresses
from gatecert.resolve.preflight import preflight

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.app import Application
    from gatecert.cli.options import Options
    from gatecert.config.schema import Configuration
    from gatecert.model import Outcome, Target

WAIT: Final = 60.0  # seconds for the gateway's lock, as enroll


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The end of a pass.

    Attributes:
        settled: Whether nothing is left to do for an operator.
        kind: The kind of the outcome.
        has_certificate: Whether a certificate of a CA is in place.
        trusted: Whether this machine, or ``trusted_roots``, trusts it.
        next_at: When the next action is due.
    """

    settled: bool
    kind: OutcomeKind
    detail: str
    has_certificate: bool
    trusted: bool
    next_at: datetime | None


def _without_server(configuration: Configuration, name: str) -> Configuration:
    """Return the configuration without what concerns the server: it does not read our files yet."""
    gateway = configuration.gateways[name]
    install = gateway.install.model_copy(
        update={"verify": (), "verify_command": (), "reload": ()}, deep=False
    )
    changed = gateway.model_copy(update={"install": install})
    return configuration.model_copy(update={"gateways": {**configuration.gateways, name: changed}})


def attend(given: Options, configuration: Configuration, name: str) -> Enrolled:
    """Run a pass over a gateway: make a bootstrap certificate, enrol, install and prove.

    Args:
        given: The options in front of the command.
        configuration: The configuration.
        name: The gateway.

    Raises:
        ChildError: The pass could not run.
        LockTimeoutError: Another process is changing this gateway.
    """
    return _parsed(in_child(lambda: _run(given, configuration, name, _pass)))


def enrol_alone(given: Options, configuration: Configuration, name: str) -> Enrolled:
    """Run a pass that leaves the server alone, which does not read our files yet. As ``attend``."""
    alone = _without_server(configuration, name)
    return _parsed(in_child(lambda: _run(given, alone, name, _pass_alone)))


def dry_run(given: Options, configuration: Configuration, name: str) -> Enrolled:
    """Order from the CA's staging directory; install nothing. As ``attend``."""
    return _parsed(in_child(lambda: _run(given, configuration, name, _dry_run)))


def name_check(configuration: Configuration, name: str) -> str:
    """Return whether the hostname of a gateway points here, in words.

    Raises:
        ChildError: This host's addresses cannot be read.
    """
    found: str = in_child(lambda: {"detail": _look_up(configuration, name)})["detail"]
    return found


def _look_up(configuration: Configuration, name: str) -> str:
    """Look up a name, with threads that a fork must not see."""
    application = build(configuration, no_progress, threading.Event())
    target = application.targets[name]
    addresses = own_addresses(target.addresses)
    return preflight(target, application.resolver, addresses, now=utc_now()).detail


def _pass(application: Application, target: Target) -> Outcome:
    occasion = Occasion(look_now=True, deploy_now=True, wait=WAIT)
    return application.pipeline.attend(target, occasion)


def _pass_alone(application: Application, target: Target) -> Outcome:
    outcome = _pass(application, target)
    if not outcome.settled or outcome.kind is OutcomeKind.SKIPPED:
        return outcome
    # That nothing is proven, and when to renew, would be confusing here.
    detail = f"there is a certificate for {target.display_name}"
    return replace(outcome, detail=detail, next_action="", next_at=None)


def _dry_run(application: Application, target: Target) -> Outcome:
    return application.pipeline.dry_run(target, wait=WAIT)


def _run(
    given: Options,
    configuration: Configuration,
    name: str,
    attend: Callable[[Application, Target], Outcome],
) -> dict[str, Any]:
    """Run a pass in this process, and show its progress as ``enroll`` does."""
    cancelled = threading.Event()
    with open_display(given) as display:
        application = open_application(configuration, display, cancelled)
        target = application.targets[name]
        passes = run_passes(application, [target], partial(attend, application), display, cancelled)
    for error in passes.errors.values():
        raise error
    if passes.interrupted or not passes.outcomes:
        return {"interrupted": True}
    outcome, live = passes.outcomes[0], application.open(target).live
    has_certificate = live is not None and not live.summary.is_bootstrap
    return {
        "settled": outcome.settled,
        "kind": outcome.kind.value,
        "detail": outcome.detail,
        "has_certificate": has_certificate,
        "trusted": live is not None and has_certificate and live.trust.trusted,
        "next_at": outcome.next_at.isoformat() if outcome.next_at is not None else "",
    }


def _parsed(result: dict[str, Any]) -> Enrolled:
    if "interrupted" in result:
        raise KeyboardInterrupt
    next_at = result.pop("next_at")
    return Enrolled(
        kind=OutcomeKind(result.pop("kind")),
        next_at=datetime.fromisoformat(next_at) if next_at else None,
        **result,
    )
