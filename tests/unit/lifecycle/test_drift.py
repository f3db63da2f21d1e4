"""The watch over what is served, with a listener on loopback that can be made to serve anything."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gatecert.certificate.bootstrap import bootstrap
from gatecert.deploy.reload_unit import ReloadUnit
from gatecert.lifecycle.gateway_pass import Occasion, Pass
from gatecert.lifecycle.pipeline import Pipeline
from gatecert.model import (
    Endpoint,
    Identifier,
    IdentifierType,
    InstallPlan,
    Mode,
    OutcomeKind,
    Target,
)
from gatecert.schedule.spread import next_instant
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gatecert.model import Deployment, Outcome
    from gatecert.resolve.lookup import LookupResult

pytestmark = pytest.mark.enable_socket

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
WATCH = timedelta(minutes=5)
NAME = (Identifier(IdentifierType.DNS, "vpn.example.com"),)


class Listener:
    """Serves the key and certificate in a directory, read anew for each connection."""

    def __init__(self, directory: Path, port: int = 0) -> None:
        self.directory = directory
        self._socket = socket.create_server(("127.0.0.1", port))
        self.endpoint = Endpoint("127.0.0.1", self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                stream, _ = self._socket.accept()
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(
                    self.directory / "fullchain.pem", self.directory / "privkey.pem"
                )
                with suppress(OSError), context.wrap_socket(stream, server_side=True) as tls:
                    tls.recv(1)


class NoNames:
    def look_up(self, names: Sequence[str]) -> tuple[LookupResult, ...]:
        raise AssertionError(names)


class World:
    """One gateway whose bootstrap certificate is served and proven."""

    def __init__(self, directory: Path) -> None:
        self.time = START
        self.store = FileStore(directory / "state")
        self.live = directory / "state" / "gateways" / "vpn" / "live"
        self.elsewhere = directory / "elsewhere"
        self.elsewhere.mkdir()
        other = bootstrap((Identifier(IdentifierType.DNS, "other.example"),), now=START)
        (self.elsewhere / "fullchain.pem").write_bytes(other.certificate)
        (self.elsewhere / "privkey.pem").write_bytes(other.private_key)
        self.listener = Listener(self.live)
        self.reloads = directory / "reloads"
        self.reload = directory / "reload"
        self.make_reload("true")
        self.target = Target(
            "vpn",
            NAME,
            "vpn.example.com",
            mode=Mode.CUSTOM,
            install=InstallPlan(
                reload=(str(self.reload),),
                verify=(self.listener.endpoint,),
                verify_timeout=timedelta(seconds=0.2),
                watch=WATCH,
            ),
        )
        self.pipeline = Pipeline(
            store=self.store,
            resolver=NoNames(),
            authorities={},
            progress=lambda *_: None,
            now=lambda: self.time,
        )
        self.attend()

    def make_reload(self, command: str) -> None:
        self.reload.write_text(f"#!/bin/sh\necho reload >> {self.reloads}\n{command}\n")
        self.reload.chmod(0o755)

    def attend(self, wait: timedelta = timedelta(0), **occasion: bool) -> Outcome:
        self.time += wait
        return self.pipeline.attend(self.target, Occasion(**occasion))

    @property
    def current(self) -> Pass:
        return self.pipeline.open(self.target)

    @property
    def deployment(self) -> Deployment:
        deployment = self.current.deployer.record.value
        assert deployment is not None
        return deployment

    @property
    def reloaded(self) -> int:
        return len(self.reloads.read_text().splitlines()) if self.reloads.exists() else 0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.listener.close()


def test_it_is_looked_at_as_often_as_asked_for(world: World) -> None:
    assert world.deployment.confirmed == START
    outcome = world.attend(timedelta(minutes=1))
    assert (outcome.kind, outcome.wake_at) == (OutcomeKind.IDLE, next_instant("vpn", START, WATCH))
    assert world.deployment.confirmed == START
    assert outcome.wake_at is not None
    assert world.attend(outcome.wake_at - START - timedelta(minutes=1)).kind is OutcomeKind.IDLE
    assert world.deployment.confirmed == outcome.wake_at
    assert world.reloaded == 0


def test_force_ignores_the_waiting_time(world: World) -> None:
    world.attend(timedelta(minutes=1), look_now=True)
    assert world.deployment.confirmed == START + timedelta(minutes=1)


def test_drift_that_a_reload_puts_right(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.listener.directory = world.elsewhere
    flag = world.elsewhere / "reloaded"
    world.make_reload(f"touch {flag}")
    threading.Thread(target=_serve_after, args=(world, flag)).start()
    outcome = world.attend(WATCH)
    assert (outcome.kind, outcome.code) == (OutcomeKind.DEPLOYED, "drift")
    assert (outcome.failed, outcome.settled) == (False, True)
    assert "other.example" in outcome.detail
    assert outcome.detail.endswith(
        "after a reload the certificate of vpn.example.com is served again"
    )
    assert "drift gateway=vpn" in caplog.text
    assert world.deployment.confirmed == world.time
    assert world.reloaded == 1


def _serve_after(world: World, flag: Path) -> None:
    while not flag.exists():
        threading.Event().wait(0.005)
    world.listener.directory = world.live


def test_an_alarm_where_it_does_not_help(world: World) -> None:
    world.listener.directory = world.elsewhere
    outcome = world.attend(WATCH)
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "not-served")
    assert not outcome.settled
    assert "was served before" in outcome.detail
    assert (world.deployment.confirmed, world.deployment.failures) == (None, 1)
    assert outcome.next_at == world.time + timedelta(seconds=10)
    world.listener.directory = world.live
    assert world.attend(timedelta(seconds=10)).kind is OutcomeKind.DEPLOYED
    assert world.deployment.confirmed == world.time


def test_an_alarm_names_what_the_reload_unit_lacks(world: World) -> None:
    unit = ReloadUnit("vpn", "loaded")
    world.target = replace(world.target, install=replace(world.target.install, reload=()))
    world.pipeline = replace(world.pipeline, reload_unit=lambda _: unit)
    world.listener.directory = world.elsewhere

    outcome = world.attend(WATCH)

    assert outcome.code == "not-served"
    assert outcome.fix.startswith(
        "the reload unit gatecert-reload@vpn.path is not enabled, and UNIT= is not set in "
    )
    assert outcome.fix.endswith("systemctl enable --now gatecert-reload@vpn.path")


def test_an_alarm_suspects_the_server_where_the_reload_unit_is_complete(world: World) -> None:
    unit = ReloadUnit("vpn", "loaded", enabled=True, active_state="active", needs_server=False)
    world.target = replace(world.target, install=replace(world.target.install, reload=()))
    world.pipeline = replace(world.pipeline, reload_unit=lambda _: unit)
    world.listener.directory = world.elsewhere

    assert world.attend(WATCH).fix == (
        "gatecert-reload@vpn.service reloads the server, which does not make it read live/ again:"
        " check the paths in its configuration, and journalctl -u gatecert-reload@vpn.service"
    )


def test_a_gateway_that_is_down_is_reported_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.listener.close()
    caplog.set_level("INFO")
    first = world.time + WATCH
    for _ in range(3):
        assert world.attend(WATCH).kind is OutcomeKind.IDLE
    assert caplog.text.count("silent gateway=vpn") == 1
    silence = world.deployment.silence
    assert silence is not None
    assert (silence.since, silence.at) == (first, world.time)
    assert world.deployment.confirmed == START
    assert world.reloaded == 0


def test_a_gateway_that_answers_again_is_reported(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = world.listener.endpoint
    world.listener.close()
    world.attend(WATCH)
    caplog.set_level("INFO")
    world.listener = Listener(world.live, endpoint.port)
    world.attend(WATCH)
    assert "answers again gateway=vpn silent_since=2026-11-23T12:05:00+00:00" in caplog.text
    assert (world.deployment.silence, world.deployment.confirmed) == (None, world.time)


def test_a_second_silent_listener_is_reported_as_well(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    other = Listener(world.live)
    world.target = _at(world.target, world.listener.endpoint, other.endpoint)
    world.attend(WATCH)
    world.listener.close()
    world.attend(WATCH)
    other.close()
    world.attend(WATCH)
    assert caplog.text.count("silent gateway=vpn") == 2


def test_a_listener_added_later_is_not_assumed_to_be_proven(world: World) -> None:
    nobody = Endpoint("127.0.0.1", 1)
    world.target = _at(world.target, nobody)
    deployment = world.current.deployer.deployment
    assert deployment is not None
    assert deployment.confirmed is None
    assert not world.attend().failed
    assert world.deployment.confirmed is None
    assert world.deployment.silence is not None

    world.target = _at(world.target, world.listener.endpoint)
    assert world.attend(deploy_now=True).kind is OutcomeKind.DEPLOYED
    assert world.reloaded == 0
    assert world.deployment.confirmed == world.time


def test_a_command_that_denies_it_is_drift_as_well(world: World, tmp_path: Path) -> None:
    denied = tmp_path / "denied"
    asked = tmp_path / "asked"
    script = f"echo $GATECERT_FINGERPRINT >> {asked}; test ! -e {denied}"
    plan = replace(world.target.install, verify=(), verify_command=("sh", "-c", script))
    world.target = replace(world.target, install=plan)
    assert world.attend(WATCH).kind is OutcomeKind.DEPLOYED
    assert world.deployment.confirmed == world.time
    denied.touch()
    world.make_reload(f"rm {denied}")
    outcome = world.attend(WATCH)
    assert (outcome.kind, outcome.code) == (OutcomeKind.DEPLOYED, "drift")
    assert "verify_command sh reports that it is not served" in outcome.detail
    assert world.reloaded == 1
    live = world.current.live
    assert live is not None
    assert set(asked.read_text().split()) == {live.summary.fingerprint}
    denied.touch()
    world.make_reload("true")
    assert world.attend(WATCH).code == "not-served"


def test_a_look_that_was_cut_short_tells_nothing(world: World) -> None:
    plan = replace(world.target.install, verify_command=("sleep", "1"))
    world.target = replace(world.target, install=plan)
    world.pipeline.cancelled.set()
    assert world.attend(WATCH).kind is OutcomeKind.IDLE
    assert world.deployment.confirmed == START


def _at(target: Target, *endpoints: Endpoint) -> Target:
    return replace(target, install=replace(target.install, verify=endpoints))


# --------------------------------------------------------------------- two servers on one port


class Turns(Listener):
    """Two servers that share a port: the second one's turn comes with every other connection."""

    def __init__(self, directory: Path, second: Path | None, port: int) -> None:
        self.first, self.second = directory, second
        self.shared = True
        self._turn = 1
        super().__init__(directory, port)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                stream, _ = self._socket.accept()
                self._turn += 1
                second = self.shared and self._turn % 2
                self._answer(stream, self.second if second else self.first)

    def _answer(self, stream: socket.socket, directory: Path | None) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if directory is not None:  # without a certificate every handshake fails with an alert
            context.load_cert_chain(directory / "fullchain.pem", directory / "privkey.pem")
        with suppress(OSError), context.wrap_socket(stream, server_side=True) as tls:
            tls.recv(1)


def _share(world: World, second: Path | None) -> Turns:
    world.listener.close()
    turns = Turns(world.live, second, world.listener.endpoint.port)
    world.listener = turns
    return turns


def test_a_gateway_with_mixed_certificates_is_reloaded_once_and_never_reported_as_proven(
    world: World,
) -> None:
    turns = _share(world, world.elsewhere)
    outcome = world.attend(WATCH)
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "mixed")
    assert (world.deployment.confirmed, world.deployment.mixed) == (None, True)
    for _ in range(3):
        assert world.attend(timedelta(hours=1), look_now=True).code == "mixed"
        assert world.deployment.confirmed is None
    assert world.reloaded == 1

    turns.shared = False
    assert world.attend(timedelta(hours=1)).kind is OutcomeKind.DEPLOYED
    assert world.deployment.confirmed == world.time
    assert world.reloaded == 1


def test_a_second_server_that_fails_handshakes_makes_nothing_roll_back(world: World) -> None:
    """The listener still completes handshakes, so the server has not refused the certificate."""
    _share(world, None)
    before = world.live.resolve()
    issued = bootstrap(NAME, now=world.time)
    current = world.current
    deployed = current.deployer.deploy(current.keep(issued))
    assert deployed.error is not None
    assert deployed.error.code == "mixed"
    assert not deployed.rolled_back
    assert world.reloaded == 1, "tries the previous certificate, which nobody refused"
    assert world.live.resolve() != before
    assert world.deployment.mixed


def test_another_name_at_the_same_address_that_never_answered_is_no_refusal(world: World) -> None:
    """Each entry of install.verify is remembered by itself, not by its address alone."""
    endpoint = world.listener.endpoint
    strict = replace(endpoint, server_name="strict.example.com")
    world.target = _at(world.target, endpoint, strict)
    world.listener.close()
    world.listener = Strict(world.live, endpoint.port)
    issued = bootstrap(NAME, now=world.time)
    current = world.current
    assert current.deployer.deploy(current.keep(issued)).error is not None
    assert world.reloaded == 1, "tries the previous certificate, which nobody refused"


class Strict(Listener):
    """Refuses one name, as a server without a host of that name may."""

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                stream, _ = self._socket.accept()
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(
                    self.directory / "fullchain.pem", self.directory / "privkey.pem"
                )
                context.sni_callback = self._refuse
                with suppress(OSError), context.wrap_socket(stream, server_side=True) as tls:
                    tls.recv(1)

    def _refuse(self, _: object, name: str | None, __: ssl.SSLContext) -> int | None:
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if name == "strict.example.com" else None
