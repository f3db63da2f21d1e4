"""The parts that an application is built of."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import HOUR
from tests.fakes.fleet_files import FleetFiles
from tests.fakes.measurements import Measured
from tests.fakes.pki import Pki

from gatecert.app import Watching, build, utc_now
from gatecert.config.load import load
from gatecert.deploy.live import LiveDirectory
from gatecert.errors import DatabaseError, SealingKeyMissingError
from gatecert.measurement import Measurement
from gatecert.model import CountedRequest, Expenses, IssuedChain, Limits, Origin, RequestKind
from gatecert.store.postgres.fleet_store import FleetStore

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.app import Application

DIRECTORY = "https://acme.example/"
WRITTEN = f"""
state_directory: STATE
authorities: {{le: {{directory_url: {DIRECTORY}}}, spare: {{directory_url: https://ca.example/}}}}
gateways: {{hq: {{hostname: hq.example.com}}}}
"""


@pytest.fixture
def measured() -> Measured:
    return Measured()


@pytest.fixture
def application(tmp_path: Path, measured: Measured) -> Application:
    path = tmp_path / "config.yaml"
    path.write_text(WRITTEN.replace("STATE", str(tmp_path / "state")), "utf-8")
    return build(load(path), lambda *_: None, threading.Event(), watching=Watching(measured))


def test_budgets_of_all_cas_are_measured_without_a_request(
    application: Application, measured: Measured
) -> None:
    """Requests are impossible: unit tests have their sockets off."""
    request = CountedRequest(RequestKind.CERTIFICATE, utc_now(), names=("hq.example.com",))
    counted = Expenses(request.at, (request,) * 5)
    assert application.store.count_requests(DIRECTORY, counted, Limits()) is None
    application.measure_budgets()
    left = measured.values(Measurement.BUDGET_REMAINING, limit="duplicates", authority="le")
    assert left == [0]
    left = measured.values(Measurement.BUDGET_REMAINING, limit="duplicates", authority="spare")
    assert left == [5]
    assert len(measured.values(Measurement.ORDERS)) == 4


def test_a_fleet_is_a_store_that_connects_when_it_is_needed(tmp_path: Path) -> None:
    configuration = load(FleetFiles(tmp_path).configuration())
    store = build(configuration, lambda *_: None, threading.Event()).store
    assert isinstance(store, FleetStore)
    assert (store.place.cluster, store.place.host) == ("hq", "gw-a")
    assert store.database.session is None


def test_hosts_share_only_the_gateways_that_are_enrolled(tmp_path: Path) -> None:
    files = FleetFiles(tmp_path)
    files.section["database"]["hosts"] = ["127.0.0.1:1"]
    store = build(load(files.configuration()), lambda *_: None, threading.Event()).store
    assert store.copy_version("vpn", now=utc_now()) is None  # with mode: custom
    with pytest.raises(DatabaseError):
        store.copy_version("enrolled", now=utc_now())


def test_a_sealing_key_that_is_gone_is_named(tmp_path: Path) -> None:
    files = FleetFiles(tmp_path)
    configuration = load(files.configuration())
    (tmp_path / "seal-2026").unlink()
    with pytest.raises(SealingKeyMissingError, match="sealing key 1"):
        build(configuration, lambda *_: None, threading.Event())


def test_a_certificate_of_a_day_may_be_renewed_more_often(
    application: Application, measured: Measured
) -> None:
    now, pki, name = utc_now(), Pki(), "hq.example.com"
    made = pki.issue(name, pki.root(), names=(name,), begin=now - HOUR, end=now + 23 * HOUR)
    issued = IssuedChain(made.key_pem, made.pem, b"", Origin.AUTHORITY, authority="le")
    version = application.store.add_version("hq", issued, now=now)
    LiveDirectory(application.store.gateway_directory("hq")).swap(version)
    request = CountedRequest(RequestKind.CERTIFICATE, now, names=(name,))
    counted = Expenses(request.at, (request,) * 7)
    assert application.store.count_requests(DIRECTORY, counted, Limits()) is None
    application.measure_budgets()
    left = measured.values(Measurement.BUDGET_REMAINING, limit="duplicates", authority="le")
    assert left == [5]  # 21 of 28 are left here, and 5 to any other certificate


def test_nothing_is_measured_unless_asked_for(application: Application) -> None:
    silent = build(application.configuration, lambda *_: None, threading.Event())
    silent.measure_budgets()
    assert "authorities" not in vars(silent)
