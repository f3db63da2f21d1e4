from __future__ import annotations

import logging
import os
import ssl
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.fakes.clock import DAY, NOW

from gatecert.certificate import trust

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from tests.fakes.pki import Good, Pki

SECOND = timedelta(seconds=1)


def test_bundle_and_directory_are_read_without_repetition(
    tmp_path: Path, pki: Pki, good: Good
) -> None:
    other = pki.root("Other")
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(b"# Root\n" + good.root.pem)
    directory = tmp_path / "certs"
    directory.mkdir()
    (directory / "0123abcd.0").write_bytes(good.root.pem)
    (directory / "89abcdef.1").write_bytes(other.pem)
    (directory / "unhashed.pem").write_bytes(good.leaf.pem)
    found = trust.read_roots([bundle], directory)
    assert found == (good.root.certificate, other.certificate)


def test_an_update_of_the_trust_store_is_detected(tmp_path: Path, pki: Pki, good: Good) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(good.root.pem)
    first = trust.read_roots([bundle], None)
    assert trust.read_roots([bundle], None) is first
    bundle.write_bytes(good.root.pem + pki.root("Added").pem)
    assert len(trust.read_roots([bundle], None)) == 2


def test_unreadable_files_are_left_out(tmp_path: Path, good: Good) -> None:
    bundle = tmp_path / "bundle.pem"
    damaged = good.leaf.pem.replace(b"MII", b"MIM", 1)
    no_base64 = b"-----BEGIN CERTIFICATE-----\nAAAAA\n-----END CERTIFICATE-----\n"
    bundle.write_bytes(damaged + no_base64 + good.root.pem)
    assert trust.read_roots([bundle], None) == (good.root.certificate,)


def test_a_missing_trust_store_is_empty_and_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert trust.read_roots([tmp_path / "missing"], tmp_path / "no directory") == ()
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert trust.read_roots([], None) == ()


def test_the_locations_are_those_of_openssl(
    tmp_path: Path, good: Good, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ssl.get_default_verify_paths()
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(good.root.pem)
    monkeypatch.setenv(names.openssl_cafile_env, os.fspath(bundle))
    monkeypatch.setenv(names.openssl_capath_env, os.fspath(tmp_path))
    assert trust.load_trusted_roots() == (good.root.certificate,)
    monkeypatch.setenv(names.openssl_cafile_env, os.fspath(tmp_path / "missing"))
    monkeypatch.setenv(names.openssl_capath_env, os.fspath(tmp_path / "missing"))
    assert trust.load_trusted_roots() == ()


def test_a_certificate_may_begin_before_the_ca_that_issued_it(pki: Pki) -> None:
    """step-ca backdates by a minute; its own certificates may be younger."""
    root = pki.root(begin=NOW - 5 * SECOND)
    intermediate = pki.authority("Issuing", root, begin=NOW - 2 * SECOND)
    leaf = pki.issue(issuer=intermediate, begin=NOW - 60 * SECOND)

    found = trust.trust_of(leaf.pem, intermediate.pem, (root.certificate,), now=NOW)

    assert found.trusted


def test_a_chain_that_begins_tomorrow_is_not_trusted_today(pki: Pki) -> None:
    root = pki.root()
    intermediate = pki.authority("Issuing", root, begin=NOW + DAY)
    leaf = pki.issue(issuer=intermediate)

    found = trust.trust_of(leaf.pem, intermediate.pem, (root.certificate,), now=NOW)

    assert not found.trusted
