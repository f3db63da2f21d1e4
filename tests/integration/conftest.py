"""Fixtures of the integration tests: names, a CA, and the gatecert command."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from harness.challenge_test_server import ChallengeTestServer
from harness.gatecert import Gatecert
from harness.ocserv import Ocserv
from harness.pebble import Pebble, PebbleOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOSTON = "boston"
HOSTNAME = "boston-njndubu.dynamic-m.com"


class StartPebble(Protocol):
    """A function that starts a CA with options."""

    def __call__(self, options: PebbleOptions | None = None) -> Pebble: ...


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Stop the servers that are entered here when the test ends."""
    with ExitStack() as running:
        yield running


@pytest.fixture
def names(servers: ExitStack, tmp_path: Path) -> ChallengeTestServer:
    """The DNS server; names are unknown until a test points them somewhere."""
    return servers.enter_context(ChallengeTestServer(tmp_path / "names"))


@pytest.fixture
def start_pebble(servers: ExitStack, names: ChallengeTestServer, tmp_path: Path) -> StartPebble:
    def start(options: PebbleOptions | None = None) -> Pebble:
        return servers.enter_context(
            Pebble(tmp_path / "pebble", dns_server=names.address, options=options)
        )

    return start


@pytest.fixture
def pebble(start_pebble: StartPebble) -> Pebble:
    """A CA with default options: some nonces refused, some authorizations reused."""
    return start_pebble()


@pytest.fixture
def gatecert(
    servers: ExitStack,  # noqa: ARG001 - they must end later
    tmp_path: Path,
) -> Iterator[Gatecert]:
    """A configuration without CA and gateways; a daemon started from it is stopped.

    It stops before the servers, or its last look-up would wait for a stopped resolver.
    """
    command = Gatecert(tmp_path / "gatecert")
    yield command
    command.__exit__(None, None, None)


@pytest.fixture
def hostname() -> str:
    return HOSTNAME


@pytest.fixture
def gateway(servers: ExitStack, gatecert: Gatecert, tmp_path: Path) -> Ocserv:
    """An ocserv with the live files of the gateway ``boston``, not started yet."""
    server = Ocserv(tmp_path / "ocserv", **gatecert.files(BOSTON))
    servers.push(server.__exit__)
    return server
