"""Carrying out of a plan, on real files."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from tests.fakes.client_directories import (
    ACCOUNT_URL,
    LETS_ENCRYPT,
    SHOP,
    Office,
    acme_sh_account,
    acme_sh_certificate,
)
from tests.fakes.clock import DAY

from gatecert.adoption.acme_sh import read_state
from gatecert.adoption.carry_out import Result, Results, carry_out, write_secrets
from gatecert.adoption.existing import read_existing
from gatecert.adoption.found import FoundChallenge, FoundProvider
from gatecert.adoption.gateway_plan import Rights
from gatecert.adoption.plan import Plan, make_plan
from gatecert.app import Application, build, utc_now
from gatecert.config.extension import extend
from gatecert.deploy.adopted_files import read_adopted_files
from gatecert.errors import StorageError
from gatecert.model import Account, Action
from gatecert.store import durable

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.adoption.found import FoundState
    from gatecert.model import Stage


class Scene:
    """A client's directory, and a gatecert that adopts it."""

    def __init__(self, directory: Path, office: Office) -> None:
        self.client = directory / "client"
        self.configuration = directory / "config.yaml"
        self.state = directory / "state"
        self.office = office
        acme_sh_account(self.client, office.issue("account"))
        self.issue(SHOP)

    def issue(self, name: str, *, days: int = 90, crl: str = "") -> None:
        now = utc_now()
        points = x509.CRLDistributionPoints(
            [x509.DistributionPoint([x509.UniformResourceIdentifier(crl)], None, None, None)]
        )
        extensions = [(points, False)] if crl else []
        leaf = self.office.issue(name, begin=now - DAY, end=now + days * DAY, extensions=extensions)
        chain = self.office.fullchain(leaf)
        acme_sh_certificate(self.client, name, leaf, chain, settings="Le_Webroot='no'")

    def plan(self, found: FoundState | None = None) -> Plan:
        existing = replace(read_existing(self.configuration), state_directory=self.state)
        return make_plan(
            found or read_state(self.client),
            existing,
            now=utc_now(),
            roots=(),
            rights=Rights(runs_as_root=True),
        )

    def adopt(self) -> tuple[Results, Application]:
        plan = self.plan()
        extension = extend(self.configuration, plan.additions)
        application = build(
            extension.configuration.model_copy(update={"state_directory": self.state}),
            quiet,
            threading.Event(),
        )
        results = carry_out(plan, application, extension, owner=None, wait=1.0)
        return results, application


def quiet(gateway: str, stage: Stage, message: object) -> None:
    """Report nothing."""


@pytest.fixture
def scene(tmp_path: Path, office: Office) -> Scene:
    return Scene(tmp_path, office)


def test_account_certificate_and_configuration_are_written(scene: Scene) -> None:
    results, application = scene.adopt()

    (gateway,), (account,) = results.gateways, results.accounts
    assert (gateway.result, gateway.served) == (Result.ADOPTED, None)
    assert account.result is Result.ADOPTED
    stored = application.store.account("letsencrypt")
    assert stored is not None
    assert (stored.url, stored.directory_url) == (ACCOUNT_URL, LETS_ENCRYPT)
    live = scene.state / "gateways" / SHOP / "live"
    fullchain = scene.client / f"{SHOP}_ecc" / "fullchain.cer"
    assert (live / "fullchain.pem").read_bytes().split() == fullchain.read_bytes().split()
    key = scene.client / f"{SHOP}_ecc" / f"{SHOP}.key"
    assert (live / "privkey.pem").read_bytes() == key.read_bytes()
    assert f"hostname: {SHOP}" in scene.configuration.read_text("utf-8")
    adopted = read_adopted_files(scene.state / "gateways" / SHOP)
    assert adopted is not None
    assert adopted.client == "acme.sh"


def test_nothing_is_due_afterwards_but_a_renewal_in_time(scene: Scene) -> None:
    _, application = scene.adopt()

    current = application.open(application.targets[SHOP])

    at, due = current.next_wake()
    assert due.action is Action.ENROL
    assert due.at > utc_now() + 30 * DAY
    assert at <= due.at


def test_the_next_pass_looks_whether_it_is_revoked(scene: Scene) -> None:
    scene.issue(SHOP, crl="http://crl.example.com/1.crl")

    _, application = scene.adopt()

    current = application.open(application.targets[SHOP])
    revocation = current.state.enrolment.revocation
    assert revocation is not None
    assert revocation.next_look <= utc_now()
    at, _ = current.next_wake()
    assert at <= utc_now()


def test_a_second_time_changes_nothing(scene: Scene) -> None:
    scene.adopt()
    before = scene.configuration.read_bytes()

    results, _ = scene.adopt()

    assert [each.result for each in results.gateways] == [Result.THERE]
    assert [each.result for each in results.accounts] == [Result.THERE]
    assert scene.configuration.read_bytes() == before


def test_what_a_crash_interrupted_is_completed(scene: Scene) -> None:
    scene.adopt()
    scene.configuration.unlink()  # it is written last

    results, _ = scene.adopt()

    assert [each.result for each in results.gateways] == [Result.THERE]
    assert scene.configuration.exists()
    assert len(list((scene.state / "gateways" / SHOP / "versions").iterdir())) == 1


def test_a_newer_certificate_replaces_an_older_one_and_never_the_other_way(scene: Scene) -> None:
    scene.adopt()
    scene.issue(SHOP, days=100)
    newer, _ = scene.adopt()
    scene.issue(SHOP, days=80)

    older, application = scene.adopt()

    assert [each.result for each in newer.gateways] == [Result.ADOPTED]
    assert [each.result for each in older.gateways] == [Result.KEPT]
    live = application.open(application.targets[SHOP]).live
    assert live is not None
    assert live.summary.not_after > utc_now() + 99 * DAY


def test_another_account_with_the_ca_stays(scene: Scene) -> None:
    scene.adopt()
    store = build_store(scene)
    ours = Account(scene.office.issue("ours").key_pem, "https://x/1", LETS_ENCRYPT)
    store.store.save_account("letsencrypt", ours)

    results, _ = scene.adopt()

    assert [each.result for each in results.accounts] == [Result.KEPT]
    assert store.store.account("letsencrypt") == ours


def build_store(scene: Scene) -> Application:
    configuration = extend(scene.configuration, scene.plan().additions).configuration
    configuration = configuration.model_copy(update={"state_directory": scene.state})
    return build(configuration, quiet, threading.Event())


def test_a_failed_write_leaves_the_configuration_unwritten(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str, path: Path, /) -> None:
        del name
        if path.name == "live" or path.name.startswith(".live"):
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(durable, "on_step", fail)
        with pytest.raises(StorageError, match="disk full"):
            scene.adopt()
    assert not scene.configuration.exists()

    results, _ = scene.adopt()

    assert scene.configuration.exists()
    assert [each.result for each in results.gateways] == [Result.ADOPTED]


def test_secrets_are_written_for_the_daemon_alone(scene: Scene) -> None:
    state = read_state(scene.client)
    provider = FoundProvider("gandi", secrets={"auth_token": "t0ken"})
    challenge = FoundChallenge("dns_gandi_livedns", "dns-01", provider=provider)
    state = replace(
        state, certificates=tuple(replace(each, challenge=challenge) for each in state.certificates)
    )

    write_secrets(scene.plan(state), None)

    path = scene.configuration.parent / "gandi-auth_token"
    assert path.read_text("utf-8") == "t0ken\n"
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.stat().st_mtime_ns
    write_secrets(scene.plan(state), None)
    assert path.stat().st_mtime_ns == before


def test_two_keys_for_the_same_names_become_one_version(scene: Scene) -> None:
    now = utc_now()
    rsa = scene.office.issue(SHOP, key_kind="2048", begin=now - DAY, end=now + 90 * DAY)
    chain = scene.office.fullchain(rsa)
    acme_sh_certificate(scene.client, SHOP, rsa, chain, settings="Le_Webroot='no'", ecc=False)

    results, application = scene.adopt()

    (gateway,) = results.gateways
    assert gateway.result is Result.ADOPTED
    live = scene.state / "gateways" / SHOP / "live"
    assert (live / "second-privkey.pem").is_file()
    _, due = application.open(application.targets[SHOP]).next_wake()
    assert due.at > now + 30 * DAY
    again, _ = scene.adopt()
    assert [each.result for each in again.gateways] == [Result.THERE]
