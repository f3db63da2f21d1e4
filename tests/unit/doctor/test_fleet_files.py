"""The files by which a host logs in to its fleet's database, and seals its keys."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from tests.fakes.clock import DAY, NOW
from tests.fakes.fleet_files import FleetFiles

from gatecert.config.include import read
from gatecert.config.load import validate
from gatecert.doctor.configuration_problems import configuration_problems

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

NOBODY = 65534


@pytest.fixture
def written(tmp_path: Path) -> FleetFiles:
    return FleetFiles(tmp_path / "etc")


def problems(written: FleetFiles, now: datetime = NOW) -> list[str]:
    document = read(written.configuration())
    found = configuration_problems(document, validate(document), now).unworkable
    return [f"{problem.key}: {problem.what}" for problem in found]


def test_files_that_fit_have_no_problem(written: FleetFiles) -> None:
    assert problems(written) == []


def test_a_login_that_has_ended_is_refused(written: FleetFiles) -> None:
    (line,) = problems(written, NOW + 90 * DAY)
    assert line.startswith("fleet.database.certificate: ended at 2027-02-21 08:15:00 UTC; replace")


def test_a_login_of_the_future_points_at_the_clock(written: FleetFiles) -> None:
    (line,) = problems(written, NOW - 2 * DAY)
    assert "is not valid before 2026-11-22 08:15:00 UTC; set the clock if it is wrong" in line


def test_a_key_of_another_certificate_is_refused(written: FleetFiles) -> None:
    written.write("gw-a-key.pem", written.pki.issue("gw-b").key_pem)
    (line,) = problems(written)
    assert line.startswith("fleet.database.certificate: the key ")
    assert "does not belong to the certificate" in line


def test_a_key_with_a_passphrase_is_refused(written: FleetFiles) -> None:
    key = written.pki.issue("gw-a").private_key
    encrypted = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
    )
    written.write("gw-a-key.pem", encrypted)
    (line,) = problems(written)
    assert "is encrypted; remove the passphrase" in line


def test_a_damaged_certificate_is_refused(written: FleetFiles) -> None:
    pem = (written.directory / "gw-a.pem").read_bytes()
    written.write("gw-a.pem", pem.replace(b"MII", b"MIJ", 1))
    (line,) = problems(written)
    assert "are not a certificate and a key that can be used" in line


def test_a_certificate_without_a_name_needs_a_role(written: FleetFiles) -> None:
    written.log_in_by(written.pki.issue("gw-a", subject=x509.Name([])))
    (line,) = problems(written)
    assert line.endswith("has no common name; write the role of this host as user")
    written.section["database"]["user"] = "gw-a"
    assert problems(written) == []


def test_a_sealing_key_that_is_none_is_refused_without_its_content(written: FleetFiles) -> None:
    written.write("seal-2025", b"S3cr3t")
    (line,) = problems(written)
    told = f"{written.directory / 'seal-2025'} is not a Fernet key (32 bytes in base64url)"
    assert line.startswith(f"fleet.sealing_keys[1]: {told}")
    command = line.partition("make one: ")[2]
    made = subprocess.run(["sh", "-c", command], check=True, capture_output=True)
    written.write("seal-2025", made.stdout)
    assert problems(written) == []
    assert "S3cr3t" not in line


def test_a_key_that_its_group_may_read_is_refused_as_libpq_refuses_it(written: FleetFiles) -> None:
    state, key = written.directory / "state", written.directory / "gw-a-key.pem"
    state.mkdir()
    key.chmod(0o640)
    if os.geteuid() == 0:
        assert problems(written) == []  # of root's keys, a group may be allowed to read them
        for path in (state, key):
            os.chown(path, NOBODY, NOBODY)
    (line,) = problems(written)
    assert line.startswith("fleet.database.key: may be read by its group")
    assert line.endswith("run chmod g= on it, or chown root")


def test_credentials_that_only_the_daemon_sees_are_left_to_it(
    written: FleetFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = tmp_path / "credentials"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(hidden))  # not there: not readable
    written.section["sealing_keys"] = ["credential:seal-2026"]
    assert problems(written) == []
