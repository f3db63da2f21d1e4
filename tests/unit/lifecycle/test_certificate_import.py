"""Tests of the whole import: nothing changes unless every check passes."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.custom_office import HOST, Office

from gatecert.certificate.upload import Upload
from gatecert.custom.signing_requests import pending_requests
from gatecert.errors import CertificateError, GatecertError, LockTimeoutError, StorageError
from gatecert.lifecycle.gateway_pass import Occasion
from gatecert.model import InstallPlan, Origin, OutcomeKind

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.model import Outcome

DAY = timedelta(days=1)


def bring(office: Office, certificate: bytes, chain: bytes | None = None) -> Outcome:
    uploads = office.uploads(certificate, chain)
    return office.pipeline.import_certificate(office.target, uploads, wait=0)


def snapshot(directory: Path) -> dict[str, object]:
    """Return every file on the disk but locks."""
    return {
        str(path.relative_to(directory)): path.readlink()
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in sorted(directory.rglob("*"))
        if "lock" not in path.name
    }


def test_a_certificate_is_imported_and_its_csr_removed(office: Office) -> None:
    office.pipeline.prepare(office.target)
    early = office.request().pending
    office.now += timedelta(seconds=1)
    office.request(renew=True)
    certificate = office.sign(office.csr())
    outcome = bring(office, certificate)
    assert (outcome.kind, outcome.failed) == (OutcomeKind.IMPORTED, False)
    assert office.live.public_bytes(Encoding.PEM) == certificate
    assert pending_requests(office.store, "hq") == (early,)
    live = office.store.gateway_directory("hq") / "live"
    assert (live / "root.pem").read_bytes() == office.root.pem
    assert (live / "fullchain.pem").read_bytes() == certificate + office.middle.pem
    assert any("check CN=" in line for line in office.told)
    assert any("does not trust the root" in line for line in office.told)


def test_a_repeated_import_changes_nothing(office: Office) -> None:
    certificate = office.sign(office.csr())
    bring(office, certificate)
    before = snapshot(office.directory)
    outcome = bring(office, certificate)
    assert outcome.kind is OutcomeKind.IDLE
    assert "was imported before" in outcome.detail
    assert snapshot(office.directory) == before


def test_a_repeated_older_import_names_its_successor(office: Office) -> None:
    first = office.sign(office.csr())
    bring(office, first)
    second = office.sign(office.csr(renew=True))
    bring(office, second)
    outcome = bring(office, first)
    assert "has replaced it" in outcome.detail
    assert office.live.public_bytes(Encoding.PEM) == second


def test_a_refused_certificate_is_rolled_back_and_can_be_imported_again(
    office: Office, tmp_path: Path
) -> None:
    good = office.sign(office.csr())
    bring(office, good)
    allowed = tmp_path / "allowed"
    script = tmp_path / "reload"
    live = office.store.gateway_directory("hq") / "live" / "cert.pem"
    (tmp_path / "good").write_bytes(good)
    script.write_text(f"#!/bin/sh\ntest -e {allowed} || cmp -s {live} {tmp_path}/good\n")
    script.chmod(0o755)
    office.target = replace(office.target, install=InstallPlan(reload=(str(script),)))
    second = office.sign(office.csr())
    outcome = bring(office, second)
    assert outcome.failed
    assert outcome.code == "reload-failed"
    assert office.live.public_bytes(Encoding.PEM) == good
    allowed.touch()
    again = bring(office, second)
    assert again.kind is OutcomeKind.DEPLOYED
    assert office.live.public_bytes(Encoding.PEM) == second


def test_an_older_certificate_is_deployed_if_the_gateway_refuses_the_newer(
    office: Office, tmp_path: Path
) -> None:
    good = office.sign(office.csr())
    bring(office, good)
    script = tmp_path / "reload"
    live = office.store.gateway_directory("hq") / "live" / "cert.pem"
    script.write_text(f"#!/bin/sh\ncmp -s {live} {tmp_path}/good\n")
    script.chmod(0o755)
    (tmp_path / "good").write_bytes(good)
    office.target = replace(office.target, install=InstallPlan(reload=(str(script),)))
    assert bring(office, office.sign(office.csr(renew=True))).failed
    outcome = bring(office, good)
    assert (outcome.kind, outcome.failed) == (OutcomeKind.IMPORTED, False)
    assert office.live.public_bytes(Encoding.PEM) == good
    office.now += timedelta(days=1)
    assert office.pipeline.attend(office.target).kind is OutcomeKind.IDLE
    assert bring(office, good).kind is OutcomeKind.IDLE


def test_an_import_does_not_wait_unless_asked(office: Office) -> None:
    certificate = office.sign(office.csr())
    with (
        office.store.lock_gateway("hq", "a test", wait=0),
        pytest.raises(LockTimeoutError, match="a test"),
    ):
        bring(office, certificate)


def test_an_unwritable_state_changes_nothing(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = office.sign(office.csr())
    before = snapshot(office.directory)

    def full() -> None:
        raise StorageError("the disk is full")

    monkeypatch.setattr(office.store, "check_writable", full)
    with pytest.raises(StorageError):
        bring(office, certificate)
    assert snapshot(office.directory) == before


def test_a_gateway_without_a_certificate_reports_what_it_waits_for(office: Office) -> None:
    office.pipeline.prepare(office.target)
    office.pipeline.attend(office.target)
    outcome = office.pipeline.attend(office.target)
    assert "gatecert csr hq, have the CSR signed, then gatecert import hq" in outcome.detail


def test_an_excluded_region_accepts_imports(office: Office) -> None:
    office.target = replace(office.target, region="cn")
    assert bring(office, office.sign(office.csr())).kind is OutcomeKind.IMPORTED
    assert office.pipeline.attend(office.target).kind is OutcomeKind.IDLE


def test_each_expiry_warning_is_given_once(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    bring(office, office.sign(office.csr(), days=40))
    said = []
    caplog.set_level(logging.WARNING)
    for _ in range(45 * 4):
        caplog.clear()
        office.pipeline.attend(office.target, Occasion(look_now=True))
        said += [record.message for record in caplog.records if "ends" in record.message]
        office.now += DAY / 4
    assert len(said) == 6
    assert "ends in 30 days" in said[0]
    assert "ended on" in said[-1]
    assert all("gatecert csr hq --renew" in line for line in said)


# --------------------------------------------------------------------- whatever is handed in


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> tuple[Office, list[bytes]]:
    """Provide a gateway with a live certificate, a pending CSR, and parts of uploads."""
    office = Office(tmp_path_factory.mktemp("import") / "state")
    bring(office, office.sign(office.csr()))
    csr = office.csr()
    fitting = office.sign(csr)
    other = office.pki.issue(HOST, office.middle, names=(HOST,))
    pieces = [
        fitting,
        office.middle.pem,
        office.root.pem,
        office.sign(csr, days=-1),
        office.sign(csr, names=("other.example",)),
        other.pem,
        other.key_pem,
        other.der,
        office.pki.root("Company Root", key_name="impostor").pem,
        office.pki.authority("Company Issuing", office.pki.root("Elsewhere"), key_name="i").pem,
        csr.public_bytes(Encoding.PEM),
        b"\n",
        b"subject=CN = x\n",
        b"-----BEGIN CERTIFICATE-----\n",
        b"",
    ]
    return office, pieces


def _damaged(piece: bytes, at: int, octet: int) -> bytes:
    if not piece:
        return piece
    at %= len(piece)
    return piece[:at] + bytes([octet]) + piece[at + 1 :]


UPLOAD = st.lists(
    st.tuples(st.integers(0, 14), st.none() | st.tuples(st.integers(0, 4000), st.integers(0, 255))),
    max_size=4,
)


@settings(
    deadline=None,
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(certificate=UPLOAD, chain=UPLOAD, noise=st.binary(max_size=60))
def test_only_valid_input_changes_live(
    material: tuple[Office, list[bytes]],
    certificate: list[tuple[int, tuple[int, int] | None]],
    chain: list[tuple[int, tuple[int, int] | None]],
    noise: bytes,
) -> None:
    office, pieces = material

    def built(parts: list[tuple[int, tuple[int, int] | None]]) -> bytes:
        return b"".join(
            _damaged(pieces[number], *damage) if damage else pieces[number]
            for number, damage in parts
        )

    uploads = [
        Upload("the certificate file", "", built(certificate)),
        Upload("the chain file", "", built(chain) or noise),
    ]
    before, live = snapshot(office.directory), office.live
    try:
        outcome = office.pipeline.import_certificate(office.target, uploads, wait=0)
    except CertificateError as error:
        refused = error
    else:
        assert not outcome.failed
        if office.live != live:
            _assert_valid(office, pieces[0])
        return
    assert snapshot(office.directory) == before
    assert refused.fix
    assert "\n" not in str(refused)


def _assert_valid(office: Office, fitting: bytes) -> None:
    assert office.live.public_bytes(Encoding.PEM) == fitting
    live = office.store.gateway_directory("hq") / "live"
    served = x509.load_pem_x509_certificates((live / "fullchain.pem").read_bytes())
    assert [each.public_bytes(Encoding.PEM) for each in served] == [fitting, office.middle.pem]
    (newest, *_) = office.store.versions("hq")
    assert newest.origin is Origin.IMPORTED


@settings(deadline=None, max_examples=60)
@given(contents=st.binary(max_size=300))
def test_noise_changes_nothing(material: tuple[Office, list[bytes]], contents: bytes) -> None:
    office, _ = material
    before = snapshot(office.directory)
    for files in ([contents, office.chain], [office.chain, contents], [contents, contents]):
        uploads = [Upload("the certificate file", "", each) for each in files]
        with pytest.raises(GatecertError):
            office.pipeline.import_certificate(office.target, uploads, wait=0)
    assert snapshot(office.directory) == before
