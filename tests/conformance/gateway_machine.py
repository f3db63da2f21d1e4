"""The states of gateways, their versions, and the keys that wait for certificates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from tests.conformance.store_machine import StoreMachine, a_gateway, a_number
from tests.conformance.store_material import enrolments, hosts, issued, key_request
from tests.conformance.stored_contents import GATEWAYS

from gatecert.model import Origin

if TYPE_CHECKING:
    from gatecert.model import EnrolmentState, HostState


class GatewayMachine(StoreMachine):
    """Uses what belongs to gateways, without orders."""

    @rule(gateway=a_gateway, enrolment=enrolments)
    def change_enrolment(self, gateway: str, enrolment: EnrolmentState) -> None:
        state = self.store.state(gateway)  # as in each pass
        after = self.with_entry("enrolment", gateway, value=enrolment)
        self.use(lambda: self.store.save_state(gateway, replace(state, enrolment=enrolment)), after)

    @rule(gateway=a_gateway, host=hosts)
    def change_host(self, gateway: str, host: HostState) -> None:
        state = self.store.state(gateway)
        after = self.with_entry("host", gateway, value=host)
        self.use(lambda: self.store.save_state(gateway, replace(state, host=host)), after)

    @rule(gateway=a_gateway, number=a_number, origin=st.sampled_from(Origin), pair=st.booleans())
    def add_version(self, gateway: str, number: int, origin: Origin, *, pair: bool) -> None:
        chain, now = replace(issued(number, pair=pair), origin=origin), self.instant()
        after = self.with_version(gateway, chain, now)

        def add() -> None:
            with self.store.lock_gateway(gateway, "a test", wait=0):
                self.check_added(self.store.add_version(gateway, chain, now=now))

        self.use(add, after)

    @precondition(lambda self: any(len(self.entries("versions", name)) > 1 for name in GATEWAYS))
    @rule(gateway=a_gateway, data=st.data())
    def remove_version(self, gateway: str, data: st.DataObject) -> None:
        """The newest version always stays."""
        shown, versions = self.entries("versions", gateway), self.store.versions(gateway)
        if len(versions) < 2:
            return
        place = data.draw(st.integers(1, len(versions) - 1))
        left = tuple(each for number, each in enumerate(shown) if number != place)
        self.use(
            lambda: self.store.remove_version(versions[place]),
            self.with_entry("versions", gateway, value=left),
        )

    @rule(gateway=a_gateway, number=a_number)
    def add_request(self, gateway: str, number: int) -> None:
        request = key_request(f"csr-{next(self.numbers)}", self.instant(), number)
        self.use(
            lambda: self.store.add_request(gateway, request), self.with_request(gateway, request)
        )

    @rule(gateway=a_gateway, data=st.data())
    def remove_request(self, gateway: str, data: st.DataObject) -> None:
        requests = self.entries("requests", gateway)
        request_id = data.draw(st.sampled_from(["unknown", *(each[0] for each in requests)]))
        left = tuple(each for each in requests if each[0] != request_id)
        self.use(
            lambda: self.store.remove_request(gateway, request_id),
            self.with_entry("requests", gateway, value=left),
        )
