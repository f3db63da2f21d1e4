"""Client CAs from upload to proof; disk, reload command and listener are real, on loopback.

The server is a small one that reads its bundle when it is reloaded, as nginx does, and names its
authorities in each handshake.
"""

from __future__ import annotations

import itertools
import logging
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL
from tests.fakes.clock import DAY, NOW
from tests.fakes.pki import Issued, Pki, dns
from tests.fakes.resolver import Names
from tests.fakes.users_office import Office, bundle, write_crl

from gatecert.certificate.bootstrap import bootstrap
from gatecert.certificate.upload import Upload
from gatecert.client_ca.bundle import Bundle
from gatecert.client_ca.bundle_files import BundleFiles
from gatecert.deploy.deployer import DeployTools
from gatecert.errors import CertificateError, LockoutError, StorageError, WrongUsageError
from gatecert.lifecycle.client_cas import ClientCAs
from gatecert.lifecycle.description import describe
from gatecert.lifecycle.gateway_pass import ROUTINE, Occasion, Pass, PassContext
from gatecert.lifecycle.pipeline import Pipeline
from gatecert.lifecycle.state_cache import StateCache
from gatecert.model import (
    ClientAuthentication,
    Deployment,
    Endpoint,
    Event,
    InstallPlan,
    Message,
    Mode,
    Outcome,
    OutcomeKind,
    ReceiverKind,
    ReceiverPlan,
    Stage,
    Target,
)
from gatecert.monitoring.gateway_problems import Past, problems
from gatecert.monitoring.gateway_values import gateway_values
from gatecert.schedule.spread import next_instant
from gatecert.store import durable
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.report.gateway_status import GatewayStatus


pytestmark = pytest.mark.enable_socket

HOST = "vpn.example.com"
GATEWAY = "boston"
SOON = timedelta(seconds=0.5)  # the reload is over before the proof; a busy machine needs more


class Server:
    """Names the authorities of ``loaded``, the bundle as it was at the last reload."""

    def __init__(self, directory: Path) -> None:
        self.loaded = directory / "loaded.pem"
        identity = bootstrap(dns(HOST), now=NOW)
        self._certificate = x509.load_pem_x509_certificate(identity.certificate)
        self._key = serialization.load_pem_private_key(identity.private_key, None)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self.endpoint = Endpoint("127.0.0.1", self._listener.getsockname()[1])
        self.handshakes = 0
        self.errors: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def take_certificate(self, live: Path) -> None:
        """Serve that of a gateway from now on."""
        self._certificate = x509.load_pem_x509_certificate((live / "cert.pem").read_bytes())
        key = (live / "privkey.pem").read_bytes()
        self._key = serialization.load_pem_private_key(key, None)

    def stop(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._thread.is_alive():
            self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                stream, _ = self._listener.accept()
                self.handshakes += 1
                try:
                    with stream:
                        self._shake_hands(stream)
                except (SSL.Error, OSError) as error:
                    self.errors.append(f"handshake {self.handshakes}: {error!r}")

    def _shake_hands(self, stream: socket.socket) -> None:
        stream.setblocking(True)  # noqa: FBT003 - positional only
        tls = SSL.Connection(self._context(), stream)
        tls.set_accept_state()
        while True:
            try:
                tls.do_handshake()
            except (SSL.WantReadError, SSL.WantWriteError):  # a system call was interrupted
                continue
            break
        tls.shutdown()

    def _context(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(self._certificate)
        context.use_privatekey(self._key)  # type: ignore[arg-type]
        if self.loaded.exists():
            context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
            context.load_client_ca(str(self.loaded).encode())
        return context


@dataclass
class Scene:
    """A gateway, its server and the clock."""

    directory: Path
    server: Server
    office: Office
    clock: datetime = NOW
    told: list[str] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.store = FileStore(self.directory / "state")
        self.users = self.directory / "users"
        self.users.mkdir()
        self.target = Target(
            name=GATEWAY,
            identifiers=dns(HOST),
            display_name=HOST,
            install=InstallPlan(
                reload=("/bin/cp", str(self.files.path), str(self.server.loaded)),
                verify=(self.server.endpoint,),
                verify_timeout=SOON,
            ),
            client_authentication=ClientAuthentication(known_users=self.users),
        )

    @property
    def files(self) -> BundleFiles:
        return BundleFiles(self.store.gateway_directory(GATEWAY))

    @property
    def current(self) -> Pass:
        tools = DeployTools(self.store, self.tell, self.now, self.cancelled)
        return PassContext(tools, StateCache(self.store, self.now)).open(self.target)

    def now(self) -> datetime:
        return self.clock

    def tell(self, gateway: str, stage: Stage, message: Message) -> None:
        assert gateway == GATEWAY
        if isinstance(message, str):
            self.told.append(f"{stage}: {message}")

    def add(self, *issued: Issued) -> Outcome:
        upload = Upload("the file", "ca.pem", b"".join(each.pem for each in issued))
        return ClientCAs().add(self.current, upload)

    def remove(self, selector: str, *, force: bool = False) -> Outcome:
        return ClientCAs().remove(self.current, selector, force=force)

    def tend(
        self, client_cas: ClientCAs | None = None, occasion: Occasion = ROUTINE
    ) -> Outcome | None:
        current = self.current
        current.occasion = occasion
        (client_cas or ClientCAs()).tend(current)
        return current.heaviest

    def break_reload(self) -> None:
        """The command succeeds, and the server goes on with what it has."""
        self._reload("/bin/true")

    def stall_reload(self) -> None:
        """The command takes longer than anybody waits who is leaving."""
        self._reload("/bin/sleep", "5")

    def fail_reload(self) -> None:
        self._reload("/bin/false")

    def _reload(self, *command: str) -> None:
        self.target = replace(
            self.target, install=replace(self.target.install, reload=tuple(command))
        )

    def knows(self, name: str, user: Issued) -> None:
        (self.users / f"{name}.pem").write_bytes(user.pem)

    @property
    def deployment(self) -> Deployment:
        found = self.current.client_cas.record.value
        assert found is not None
        return found


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki()


@pytest.fixture
def scene(tmp_path: Path, pki: Pki) -> Iterator[Scene]:
    server = Server(tmp_path)
    server.start()
    scene = Scene(tmp_path, server, Office(pki))
    yield scene
    scene.server.stop()  # which may have taken the place of the first one


@pytest.fixture
def started(scene: Scene) -> Scene:
    """The server has read the placeholder, as it does when it starts."""
    assert scene.tend() is None
    scene.server.loaded.write_bytes(scene.files.path.read_bytes())
    return scene


# --------------------------------------------------------------------------- adding


def test_an_authority_is_added_and_proven(started: Scene) -> None:
    root = started.office.root()

    outcome = started.add(root)

    assert outcome.kind is OutcomeKind.DEPLOYED
    assert outcome.detail == (
        "added 'CN=Users': every listener requests certificates of exactly these client CAs"
    )
    assert started.files.read() == bundle(root)
    assert started.files.previous() is None
    assert started.deployment == Deployment(bundle(root).id, confirmed=NOW)
    assert started.told[-1].endswith("requests client certificates of 'CN=Users'")
    assert started.store.state(GATEWAY).host.outcome == outcome


def test_invalid_uploads_change_nothing(started: Scene) -> None:
    root = started.office.root()
    started.add(root)
    before = started.files.path.read_bytes(), started.deployment

    with pytest.raises(CertificateError, match="CA:TRUE"):
        started.add(started.office.root("other"), started.office.user(root))
    upload = Upload("the file", "ca.pem", root.pem + root.key_pem)
    with pytest.raises(CertificateError, match="contains a private key"):
        ClientCAs().add(started.current, upload)

    assert (started.files.path.read_bytes(), started.deployment) == before
    leftover = b"".join(path.read_bytes() for path in started.directory.rglob("*.pem"))
    assert b"PRIVATE KEY" not in leftover


@pytest.mark.parametrize("way", ["break_reload", "fail_reload"])
def test_a_server_that_does_not_follow_gets_its_authorities_back(started: Scene, way: str) -> None:
    one, two = started.office.root("one"), started.office.root("two")
    started.add(one)
    loaded = started.server.loaded.read_bytes()
    getattr(started, way)()

    outcome = started.add(two)

    assert outcome.kind is OutcomeKind.ROLLED_BACK
    assert outcome.code == ("not-served" if way == "break_reload" else "reload-failed")
    assert started.files.read() == bundle(one)
    assert started.files.previous() is None
    assert started.server.loaded.read_bytes() == loaded
    if way == "break_reload":
        assert "does not request client certificates of 'CN=two'" in outcome.detail
        assert "the previous client CAs are requested again" in outcome.detail
        assert "bundle.pem" in outcome.fix
        assert started.deployment == Deployment(bundle(one).id, confirmed=NOW)
    else:
        assert "but the listener still fails the check" in outcome.detail
        assert started.deployment.confirmed is None
        assert started.deployment.error


def test_a_bundle_restored_without_proof_is_proven_later(started: Scene) -> None:
    one = started.office.root("one")
    first = started.add(one)
    assert first.kind is OutcomeKind.DEPLOYED, (first, started.server.errors)
    started.fail_reload()
    started.add(started.office.root("two"))

    assert started.tend() is None  # not yet: it was tried just now
    started.clock += timedelta(minutes=1)
    outcome = started.tend()

    assert outcome is not None
    assert outcome.kind is OutcomeKind.DEPLOYED, (outcome, started.server.errors)
    assert started.deployment == Deployment(bundle(one).id, confirmed=started.clock)


def test_a_roll_back_is_over_when_the_authorities_of_before_are_proven_again(
    started: Scene,
) -> None:
    started.target = replace(started.target, mode=Mode.CUSTOM)
    seen: list[GatewayStatus] = []

    def note(current: Pass) -> None:
        seen.append(describe(current, ClientCAs(), started.now()))

    def told() -> tuple[bool, bool | None]:
        """Attend to the gateway; tell whether a roll-back is told, and what the metric says."""
        pipeline.attend(started.target)
        plan = ReceiverPlan("mail", ReceiverKind.APPRISE)
        rolled_back = Event.ROLLED_BACK in problems(seen[-1], Past(), plan, started.now())
        return rolled_back, gateway_values(seen[-1]).last_attempt_success

    pipeline = Pipeline(
        started.store,
        Names(),
        {},
        started.tell,
        started.now,
        cancelled=started.cancelled,
        seen=note,
    )
    pipeline.prepare(started.target)
    started.server.take_certificate(started.store.gateway_directory(GATEWAY) / "live")
    started.add(started.office.root("one"))
    assert told() == (False, True)
    started.break_reload()
    assert started.add(started.office.root("two")).kind is OutcomeKind.ROLLED_BACK

    assert told() == (True, False)
    record = pipeline.open(started.target).deployer.record
    proven, later = record.value, NOW + timedelta(minutes=61)
    assert proven is not None
    record.save(replace(proven, confirmed=None, error="rolled back", next_attempt=later))
    started.clock += timedelta(hours=1)
    assert told() == (True, False)  # as the certificate was rolled back, too
    record.save(proven)
    started.clock += timedelta(hours=1)
    assert told() == (False, True)
    history = seen[-1].history
    assert [past.kind for past in history[:2]] == [OutcomeKind.DEPLOYED, OutcomeKind.ROLLED_BACK]
    assert history[0].detail.startswith("after the roll-back, every listener requests")
    started.clock += timedelta(hours=1)
    assert told() == (False, True)
    assert seen[-1].history == history


def test_a_listener_without_certificate_request_fails_the_proof(scene: Scene) -> None:
    scene.break_reload()

    outcome = scene.add(scene.office.root())

    assert outcome.kind is OutcomeKind.ROLLED_BACK
    assert "requests no client certificate" in outcome.detail
    assert outcome.detail.endswith("no client CA is accepted, as before")
    assert scene.files.read() == Bundle()
    assert scene.files.exists()


def test_without_a_server_the_first_authority_waits_for_it(scene: Scene) -> None:
    scene.server.stop()

    root = scene.office.root()

    outcome = scene.add(root)

    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.code == "not-served"
    assert "nothing listens" in outcome.detail
    assert scene.files.read() == bundle(root)
    assert scene.deployment.next_attempt is not None
    assert scene.tend() is None


def test_without_a_server_a_later_ca_waits_for_it_as_well(started: Scene) -> None:
    one, two = started.office.root("one"), started.office.root("two")
    started.add(one)
    started.server.stop()

    outcome = started.add(two)

    assert outcome.kind is OutcomeKind.FAILED
    assert "nothing listens" in outcome.detail
    assert started.files.read() == bundle(one, two)
    assert started.files.previous() == bundle(one)

    started.server = Server(started.directory)
    started.server.start()
    plan = replace(started.target.install, verify=(started.server.endpoint,))
    started.target = replace(started.target, install=plan)
    started.clock += timedelta(minutes=1)
    proven = started.tend()
    assert proven is not None
    assert proven.kind is OutcomeKind.DEPLOYED
    assert started.files.previous() is None


def test_without_listeners_nothing_is_proven_and_that_is_said(scene: Scene) -> None:
    scene.target = replace(scene.target, install=replace(scene.target.install, verify=()))

    outcome = scene.add(scene.office.root())

    assert outcome.kind is OutcomeKind.DEPLOYED
    assert "not proven: install.verify names no listener" in outcome.detail


def test_client_cas_with_the_same_name_are_reported_as_indistinguishable(started: Scene) -> None:
    started.add(started.office.root())

    outcome = started.add(started.office.root("Users", key_name="the next key"))

    assert "the CAs have the same names as before" in outcome.detail
    assert any("cannot distinguish the two" in line for line in started.told)


def test_a_successor_without_a_revocation_list_is_said(started: Scene, tmp_path: Path) -> None:
    old, new = started.office.root("old"), started.office.root("new")
    started.add(old)
    crl = write_crl(tmp_path / "users.crl", started.office.crl(old))
    started.target = replace(
        started.target, client_authentication=ClientAuthentication(crl_files=(crl,))
    )

    assert started.add(new).kind is OutcomeKind.DEPLOYED
    assert any("every client of 'CN=new' while this CA has no CRL" in line for line in started.told)

    crl.unlink()
    assert started.add(started.office.root("newer")).kind is OutcomeKind.DEPLOYED
    assert any("cannot tell which client certificates are revoked" in line for line in started.told)


def test_a_full_disk_changes_nothing(started: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    one = started.office.root("one")
    started.add(one)

    def full(step: str, path: Path) -> None:
        if (step, path.name) == ("replace", "bundle.pem"):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "on_step", full)
    with pytest.raises(StorageError, match="disk full"):
        started.add(started.office.root("two"))
    monkeypatch.undo()

    assert started.files.read() == bundle(one)
    outcome = started.tend()  # what was begun is ended: the bundle before is still asked for
    assert outcome is not None
    assert outcome.kind is OutcomeKind.DEPLOYED
    assert started.files.previous() is None


# --------------------------------------------------------------------------- interrupted


class DiedError(Exception):
    """Ends a change where a crash would."""


@pytest.mark.parametrize("broken", [False, True])
def test_a_crash_at_any_step_leaves_the_old_or_the_new(
    started: Scene, monkeypatch: pytest.MonkeyPatch, *, broken: bool
) -> None:
    one, two = started.office.root("one"), started.office.root("two")
    started.add(one)
    loaded = started.server.loaded.read_bytes()
    if broken:
        started.break_reload()
    outcomes: set[str] = set()
    for deadly in itertools.count():
        steps = itertools.count()

        def die(_: str, path: Path, deadly: int = deadly, steps: Iterator[int] = steps) -> None:
            if path.parent.name == "client-ca" and next(steps) == deadly:
                raise DiedError

        monkeypatch.setattr(durable, "on_step", die)
        try:
            started.add(two)
        except DiedError:
            monkeypatch.undo()
        else:
            break
        found = started.files.read()
        assert found in {bundle(one), bundle(one, two)}, deadly
        started.tend()
        started.clock += timedelta(hours=1)
        started.tend()
        expected = bundle(one) if broken else found
        assert started.files.read() == expected, deadly
        assert started.files.previous() is None, deadly
        assert started.deployment.version == expected.id, deadly
        assert started.deployment.confirmed, deadly
        outcomes.add(found.id)
        # As it was, for the next step.
        started.files.write(bundle(one), now=NOW)
        started.current.client_cas.record.save(Deployment(bundle(one).id, confirmed=NOW))
        started.server.loaded.write_bytes(loaded)
    monkeypatch.undo()
    assert deadly > 20
    assert outcomes == {bundle(one).id, bundle(one, two).id}


def test_a_change_interrupted_by_a_stop_is_resumed(started: Scene) -> None:
    one, two = started.office.root("one"), started.office.root("two")
    started.add(one)
    target = started.target
    started.stall_reload()
    started.cancelled.set()
    outcome = started.add(two)

    assert outcome.kind is OutcomeKind.FAILED
    assert "the next pass resumes it" in outcome.detail
    assert started.files.previous() == bundle(one)

    started.cancelled.clear()
    started.target = target
    ended = started.tend()
    assert ended is not None
    assert ended.kind is OutcomeKind.DEPLOYED
    assert started.files.read() == bundle(one, two)


def test_of_two_changes_in_a_row_the_proven_one_comes_back(started: Scene) -> None:
    one, two, three = (started.office.root(name) for name in ("one", "two", "three"))
    started.add(one)
    started.stall_reload()
    started.cancelled.set()
    started.add(two)
    started.cancelled.clear()
    started.break_reload()

    outcome = started.add(three)

    assert outcome.kind is OutcomeKind.ROLLED_BACK
    assert started.files.read() == bundle(one)


def test_a_bundle_waits_for_the_server_without_further_reports(scene: Scene) -> None:
    scene.server.stop()
    root = scene.office.root()
    scene.add(root)
    scene.fail_reload()
    first = scene.deployment.next_attempt
    assert first is not None
    scene.clock = first

    assert scene.tend() is None

    second = scene.deployment.next_attempt
    assert second is not None
    assert second > first
    assert scene.files.read() == bundle(root)


def test_an_unproven_bundle_is_tried_again_less_and_less_often(started: Scene) -> None:
    started.add(started.office.root("one"))
    started.break_reload()
    started.server.loaded.write_bytes(bundle(started.office.root("Other")).to_pem(now=NOW))
    pauses = []
    started.clock += timedelta(minutes=5)
    for _ in range(3):
        outcome = started.tend()
        assert outcome is not None
        assert outcome.kind is OutcomeKind.FAILED
        again = started.deployment.next_attempt
        assert again is not None
        pauses.append(again - started.clock)
        started.clock = again
    assert started.deployment.failures == 3
    assert pauses == sorted(set(pauses))


# --------------------------------------------------------------------------- removing


def test_an_authority_is_removed_and_proven(started: Scene) -> None:
    one, two = started.office.root("one"), started.office.root("two")
    started.add(one, two)

    outcome = started.remove("CN=one")

    assert outcome.kind is OutcomeKind.DEPLOYED
    assert outcome.detail.startswith("removed 'CN=one': every listener requests")
    assert started.files.read() == bundle(two)


def test_after_the_last_the_placeholder_is_asked_for(started: Scene) -> None:
    started.add(started.office.root())

    outcome = started.remove("Users")

    assert outcome.kind is OutcomeKind.DEPLOYED
    assert started.files.read() == Bundle()
    assert "check: note: no client CA is left: the gateway accepts no client certificate" in (
        started.told
    )


def test_a_removal_that_locks_out_known_users_needs_force(started: Scene) -> None:
    one, two = started.office.root("one"), started.office.root("two")
    started.add(one, two)
    started.knows("alice", started.office.user(one))
    started.knows("bob", started.office.user(two, "bob"))
    (started.users / "broken.pem").write_text("nothing")

    with pytest.raises(LockoutError) as caught:
        started.remove("one")
    assert "removing 'CN=one' locks out 1 known client certificate (alice.pem)" in (
        caught.value.message
    )
    assert "--force" in caught.value.fix
    assert started.files.read() == bundle(one, two)

    assert started.remove("one", force=True).kind is OutcomeKind.DEPLOYED
    assert "check: note: locked out: 1 known client certificate (alice.pem)" in started.told
    assert "check: note: no certificate can be read in broken.pem" in started.told


def test_unreadable_known_users_stop_a_removal_unless_forced(
    started: Scene, tmp_path: Path
) -> None:
    started.add(started.office.root())
    started.target = replace(
        started.target,
        client_authentication=ClientAuthentication(known_users=tmp_path / "nowhere"),
    )

    with pytest.raises(StorageError, match="lock out"):
        started.remove("Users")
    assert started.remove("Users", force=True).kind is OutcomeKind.DEPLOYED
    assert any("cannot tell which users" in line for line in started.told)


def test_a_selector_without_match_is_a_usage_error(started: Scene) -> None:
    with pytest.raises(WrongUsageError):
        started.remove("CN=nobody")


# --------------------------------------------------------------------------- judged


def test_a_user_is_checked_against_the_current_bundle(started: Scene, tmp_path: Path) -> None:
    root = started.office.root()
    alice, bob = started.office.user(root), started.office.user(root, "bob")
    started.add(root)
    crl = write_crl(tmp_path / "users.crl", started.office.crl(root, bob))
    started.target = replace(
        started.target, client_authentication=ClientAuthentication(crl_files=(crl,))
    )

    def judged(user: Issued) -> tuple[str, ...]:
        upload = Upload("the certificate file", "user.pem", user.pem)
        return ClientCAs().check_user(started.current, upload).reasons

    assert not judged(alice)
    assert "was revoked" in judged(bob)[0]


# --------------------------------------------------------------------------- watched


def test_a_gateway_without_client_authentication_is_unchanged(scene: Scene) -> None:
    scene.target = replace(scene.target, client_authentication=None)

    assert scene.tend() is None
    assert ClientCAs().overview(scene.current) is None
    assert not scene.files.path.parent.exists()

    scene.server.loaded.write_bytes(Bundle().to_pem(now=NOW))
    scene.add(scene.office.root())  # from then on it is looked after, whatever is configured
    assert ClientCAs().overview(scene.current) is not None


def test_the_file_is_there_from_the_beginning_and_comes_back(scene: Scene) -> None:
    assert scene.tend() is None
    first = scene.files.path.read_bytes()
    scene.tend()
    assert scene.files.path.read_bytes() == first

    scene.files.path.unlink()
    scene.tend()
    assert scene.files.read() == Bundle()


def test_a_damaged_bundle_is_an_outcome(started: Scene) -> None:
    started.files.path.write_text("garbage")

    outcome = started.tend()

    assert outcome is not None
    assert outcome.failed
    assert outcome.code == "state-unwritable"
    assert "is damaged, so the client CAs cannot be read" in outcome.detail


def test_the_end_of_an_authority_is_warned_of_once(
    started: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    root = started.office.root("ends", end=NOW + 30 * DAY)
    started.add(root)
    started.knows("alice", started.office.user(root))
    with caplog.at_level(logging.WARNING):
        started.tend()
        started.tend()
        (record,) = caplog.records
        assert "client CA 'CN=ends' expires in 30 days" in record.getMessage()
        assert "locks out 1 known client certificate (alice.pem)" in record.getMessage()
        caplog.clear()
        started.clock = NOW + 31 * DAY
        started.tend()
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert "expired on 2026-12-23" in record.getMessage()


def test_users_are_looked_at_now_and_then(started: Scene, caplog: pytest.LogCaptureFixture) -> None:
    client_cas = ClientCAs()
    started.tend(client_cas)
    started.knows("bob", started.office.user(started.office.root(), end=NOW + DAY))
    said = []
    again = next_instant(GATEWAY, NOW, timedelta(hours=1))
    for at in (NOW, again - timedelta(seconds=1), again):
        started.clock = at
        caplog.clear()
        started.tend(client_cas)
        said.append("bob.pem" in caplog.text)
    assert said == [False, False, True]
    started.knows("carol", started.office.user(started.office.root(), "carol", end=NOW + DAY))
    started.add(started.office.root())  # by a command beside the daemon
    started.tend(client_cas)
    assert "carol.pem" in caplog.text
    started.knows("dave", started.office.user(started.office.root(), "dave", end=NOW + DAY))
    started.tend(client_cas, Occasion(look_now=True))
    assert "dave.pem" in caplog.text


def test_drift_of_the_requested_client_cas_is_corrected(
    started: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    started.add(started.office.root())
    again = next_instant(GATEWAY, NOW, timedelta(minutes=5))
    started.clock = again - timedelta(seconds=1)
    shaken = started.server.handshakes
    assert started.tend() is None
    assert started.server.handshakes == shaken
    started.clock = again
    assert started.tend() is None
    assert started.deployment.confirmed == started.clock

    started.server.loaded.write_bytes(bundle(started.office.root("Other")).to_pem(now=NOW))
    started.clock += timedelta(minutes=5)
    outcome = started.tend()
    assert outcome is not None
    assert (outcome.kind, outcome.failed) == (OutcomeKind.DEPLOYED, False)
    assert "does not request client certificates of 'CN=Users'" in outcome.detail
    assert "after a reload every listener requests certificates of" in outcome.detail
    assert "drift gateway=boston" in caplog.text

    started.break_reload()
    started.server.loaded.write_bytes(bundle(started.office.root("Other")).to_pem(now=NOW))
    started.clock += timedelta(minutes=5)
    outcome = started.tend()
    assert outcome is not None
    assert (outcome.failed, outcome.code) == (True, "not-served")
    assert "(it was proven before)" in outcome.detail
    assert started.deployment.confirmed is None


def test_a_server_that_is_silent_has_not_drifted(started: Scene) -> None:
    started.add(started.office.root())
    confirmed = started.deployment.confirmed
    started.server.stop()
    started.clock += timedelta(minutes=5)
    assert started.tend() is None
    assert started.deployment.confirmed == confirmed
    assert started.deployment.silence is not None
    assert started.deployment.silence.at == started.clock
    again = started.current.client_cas.next_attempt()
    assert again is not None
    assert started.clock < again <= started.clock + timedelta(minutes=5)


def test_the_overview_lists_client_cas_and_warnings(started: Scene, tmp_path: Path) -> None:
    root, soon = started.office.root(), started.office.root("soon", end=NOW + 7 * DAY)
    started.add(root, soon)

    overview = ClientCAs().overview(started.current)

    assert overview is not None
    assert overview.path == str(started.files.path)
    assert [each.subject for each in overview.authorities] == ["CN=Users", "CN=soon"]
    assert overview.deployment == started.deployment
    (warning,) = overview.warnings
    assert "gatecert client-ca add boston FILE" in warning
    assert "locks out" not in warning

    started.target = replace(
        started.target, client_authentication=ClientAuthentication(known_users=tmp_path / "no")
    )
    overview = ClientCAs().overview(started.current)
    assert overview is not None
    assert "cannot tell which users" in overview.warnings[1]
