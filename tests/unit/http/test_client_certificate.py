"""The files of a client certificate; tests/unit/acme/test_transport.py presents it to servers."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

import pytest
from tests.fakes.pki import Pki

from gatecert.errors import CertificateError
from gatecert.http.client_certificate import ClientCertificate

if TYPE_CHECKING:
    from pathlib import Path

ISSUED = Pki().issue("gateway")


@pytest.fixture
def files(tmp_path: Path) -> ClientCertificate:
    found = ClientCertificate(tmp_path / "client.pem", tmp_path / "client.key")
    found.certificate.write_bytes(ISSUED.pem)
    found.key.write_bytes(ISSUED.key_pem)
    found.key.chmod(0o600)
    return found


def test_a_key_that_others_may_change_is_not_used(files: ClientCertificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    files.load_into(context)
    files.key.chmod(0o660)
    with pytest.raises(CertificateError, match="is writable by group") as caught:
        files.load_into(context)
    assert caught.value.fix == f"run chmod go-w {files.key}"


@pytest.mark.parametrize("which", ["certificate", "key"])
def test_the_stamp_changes_with_each_file(
    files: ClientCertificate, tmp_path: Path, which: str
) -> None:
    path: Path = getattr(files, which)
    stamps = [files.stamp()]
    new = tmp_path / "new"
    new.write_bytes(path.read_bytes())
    new.replace(path)  # the same octets in another file, as tools that renew do
    stamps.append(files.stamp())
    os.utime(path, ns=(0, 0))
    stamps.append(files.stamp())
    path.unlink()
    stamps.append(files.stamp())
    assert len(set(stamps)) == 4
    assert files.stamp() == stamps[-1]
