"""Enrolments of ``gatecert init``, each in its own process, with the progress of ``enroll``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from gatecert.cli.application import open_application
from gatecert.cli.child_process import in_child
from gatecert.cli.display import open_display
from gatecert.lifecycle.gateway_pass import Occasion
from gatecert.outcome_kinds import OutcomeKind

if TYPE_CHECKING:
    from gatecert.config.schema import Configuration
    from gatecert.model import Outcome

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


def without_server(configuration: Configuration, name: str) -> Configuration:
    """Return the configuration without what concerns the server: it does not read our files yet."""
    gateway = configuration.gateways[name]
    install = gateway.install.model_copy(
        update={"verify": (), "verify_command": (), "reload": ()}, deep=False
    )
    changed = gateway.model_copy(update={"install": install})
    return configuration.model_copy(update={"gateways": {**configuration.gateways, name: changed}})


def attend(configuration: Configuration, name: str) -> Enrolled:
    """Run a pass over a gateway: make a bootstrap certificate, enrol, install and prove.

    Raises:
        ChildError: The pass could not run.
    """
    return _parsed(in_child(lambda: _attend(configuration, name)))


def dry_run(configuration: Configuration, name: str) -> Enrolled:
    """Order from the CA's staging directory; install nothing.

    Raises:
        ChildError: The dry run could not run.
    """
    return _parsed(in_child(lambda: _dry_run(configuration, name)))


def _attend(configuration: Configuration, name: str) -> dict[str, Any]:
    with open_display() as display:
        application = open_application(configuration, display)
        target = application.targets[name]
        occasion = Occasion(look_now=True, deploy_now=True, wait=WAIT)
        outcome = application.pipeline.attend(target, occasion)
        live = application.pipeline.open(target).live
        if not outcome.settled:
            display.finish(outcome)
    has_certificate = live is not None and not live.summary.is_bootstrap
    return _result(
        outcome,
        has_certificate=has_certificate,
        trusted=live is not None and has_certificate and live.trust.trusted,
    )


def _dry_run(configuration: Configuration, name: str) -> dict[str, Any]:
    with open_display() as display:
        application = open_application(configuration, display)
        outcome = application.pipeline.dry_run(application.targets[name], wait=WAIT)
        display.finish(outcome)
    return _result(outcome, has_certificate=False, trusted=False)


def _result(outcome: Outcome, *, has_certificate: bool, trusted: bool) -> dict[str, Any]:
    return {
        "settled": outcome.settled,
        "kind": outcome.kind.value,
        "detail": outcome.detail,
        "has_certificate": has_certificate,
        "trusted": trusted,
        "next_at": outcome.next_at.isoformat() if outcome.next_at is not None else "",
    }


def _parsed(result: dict[str, Any]) -> Enrolled:
    next_at = datetime.fromisoformat(result["next_at"]) if result["next_at"] else None
    return Enrolled(
        result["settled"],
        OutcomeKind(result["kind"]),
        result["detail"],
        result["has_certificate"],
        result["trusted"],
        next_at,
    )
