"""Nameservers on loopback with answers from the test, and a journal in memory."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from tests.fakes.nameserver import Handler, StartNameserver, wire_nameserver
from tests.fakes.record_journal import Journal
from tests.fakes.zones import Zones

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def nameserver() -> Iterator[StartNameserver]:
    """Start nameservers; a handler gets wire data and a transport, returns wire data or None."""
    with contextlib.ExitStack() as stack:
        yield lambda handler: stack.enter_context(wire_nameserver(handler))


@pytest.fixture
def truncated_only() -> Handler:
    """Return a handler that truncates every UDP answer and closes TCP connections."""

    def handle(wire: bytes, transport: str) -> bytes | None:
        if transport == "tcp":
            return None
        response = dns.message.make_response(dns.message.from_wire(wire))
        response.flags |= dns.flags.TC
        return response.to_wire()

    return handle


@pytest.fixture
def make_zones() -> type[Zones]:
    return Zones
