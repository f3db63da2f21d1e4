"""The machines that every store is put through: one for each kind of use, and one for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from tests.conformance.account_machine import AccountMachine
from tests.conformance.challenge_machine import ChallengeMachine
from tests.conformance.gateway_machine import GatewayMachine
from tests.conformance.order_machine import OrderMachine

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.store_machine import StoreMachine
    from tests.conformance.store_under_test import StoreUnderTest


class WholeMachine(GatewayMachine, OrderMachine, AccountMachine, ChallengeMachine):
    """Uses everything."""


MACHINES: Final = (GatewayMachine, OrderMachine, AccountMachine, ChallengeMachine, WholeMachine)


def play(
    machine: type[StoreMachine], new_store: Callable[[], StoreUnderTest], *, stores: int
) -> None:
    """Put some new stores through a machine."""
    run_state_machine_as_test(
        lambda: machine(new_store()),  # type: ignore[arg-type] # makes a machine, as a class does
        settings=settings(max_examples=stores, stateful_step_count=30, deadline=None),
    )
