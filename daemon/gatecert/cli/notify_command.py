"""``gatecert notify``: the receivers of notifications, and a test message to them."""

from __future__ import annotations

import asyncio
import secrets
import socket
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.cli.context import matching, read_configuration
from gatecert.cli.exit_codes import FAILED
from gatecert.cli.output import show_lines, show_text
from gatecert.config.monitoring_plan import monitoring_plan
from gatecert.errors import WrongUsageError
from gatecert.monitoring.delivery import ChildDelivery
from gatecert.monitoring.message_text import trial_document
from gatecert.monitoring.notification_state import FILE_NAME, Outgoing
from gatecert.monitoring.notifications import kept_states, known_state, receiver_statuses
from gatecert.monitoring.receivers import Receiver
from gatecert.report.gateway_status import as_document
from gatecert.store.drop_root import drop_root_privileges
from gatecert.time_format import ago, ahead, short_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatecert.model import ReceiverPlan
    from gatecert.monitoring.delivery_answer import Answer
    from gatecert.monitoring.notification_state import ReceiverState
    from gatecert.report.monitoring_status import ReceiverStatus

SCHEMA = 1


def notify(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="RECEIVER", help="Receivers or patterns; all if omitted."),
    ] = None,
    *,
    test: Annotated[
        bool, typer.Option("--test", help="Send a test message now; exit with 1 if one fails.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; see docs/notifications.md.")
    ] = False,
) -> None:
    """Show the receivers of notifications, or send them a test message."""
    configuration = read_configuration(context)
    plans = {plan.name: plan for plan in monitoring_plan(configuration).receivers}
    if not plans:
        raise WrongUsageError(
            "the configuration has no receiver of notifications",
            fix="add notify, as docs/notifications.md shows",
        )
    chosen = matching("receiver", plans, names or ())
    drop_root_privileges(configuration.state_directory, keep_bind=False)
    if test:
        _test(chosen, as_json=as_json)
    else:
        states = kept_states(
            tuple(plans.values()), known_state(configuration.state_directory / FILE_NAME).receivers
        )
        _show(_statuses(chosen, states), as_json=as_json)


def _test(plans: Sequence[ReceiverPlan], *, as_json: bool) -> None:
    answers = asyncio.run(_send(plans, as_json=as_json))
    if as_json:
        receivers = [
            {
                "name": plan.name,
                "accepted": answer.accepted,
                "problem": answer.problem,
                "fix": answer.fix,
            }
            for plan, answer in zip(plans, answers, strict=True)
        ]
        show_text(as_document({"schema": SCHEMA, "receivers": receivers}))
    if not all(answer.accepted for answer in answers):
        raise typer.Exit(FAILED)


async def _send(plans: Sequence[ReceiverPlan], *, as_json: bool) -> list[Answer]:
    """Send a test message to one receiver after another."""
    deliver, answers = ChildDelivery(), []
    for plan in plans:
        identifier = secrets.token_hex(16)
        document = trial_document(identifier, socket.gethostname(), datetime.now(UTC))
        answer = await deliver(plan, Outgoing(identifier, document))
        answers.append(answer)
        if not as_json:
            show_lines(f"{plan.name}: {_words(answer)}")
    return answers


def _words(answer: Answer) -> str:
    if answer.accepted:
        return "accepted the test message"
    return f"not accepted: {answer.problem}; {answer.fix}"


def _statuses(
    plans: Sequence[ReceiverPlan], states: Mapping[str, ReceiverState]
) -> tuple[ReceiverStatus, ...]:
    """Return how receivers are for a monitor that has described every gateway."""
    now, receivers = datetime.now(UTC), []
    for plan in plans:
        state = states[plan.name]
        receiver = Receiver(plan, state, described={gateway for gateway, _ in state.told})
        receiver.look(now)
        receivers.append(receiver)
    return receiver_statuses(receivers, now)


def _show(statuses: Sequence[ReceiverStatus], *, as_json: bool) -> None:
    if as_json:
        receivers = [asdict(each) for each in statuses]
        show_text(as_document({"schema": SCHEMA, "receivers": receivers}))
        return
    now = datetime.now(UTC)
    for each in statuses:
        show_lines(f"{each.name}: {_condition(each, now)}")


def _condition(status: ReceiverStatus, now: datetime) -> str:
    told = "nothing told yet"
    if status.told_at is not None:
        told = f"told {ago(status.told_at, now)}"
    if not status.problem:
        return told
    since = status.failing_since
    long = f" for {short_duration(now - since)}" if since is not None else ""
    again = f", next attempt {ahead(status.next_at, now)}" if status.next_at else ""
    return f"fails{long}{again}: {status.problem}; {status.fix} ({told})"
