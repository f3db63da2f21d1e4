"""TLS contexts from files of operators, good and bad."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)
from tests.fakes.pki import Pki

from gatecert.errors import CertificateError
from gatecert.http.server_context import server_context

if TYPE_CHECKING:
    from pathlib import Path

PKI = Pki()
LEAF = PKI.issue("listener")
OTHER = PKI.issue("other")
ENCRYPTED = LEAF.private_key.private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
)


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "cert.pem").write_bytes(LEAF.pem)
    (tmp_path / "key.pem").write_bytes(LEAF.key_pem)
    return tmp_path / "cert.pem", tmp_path / "key.pem"


def refusal(certificate: Path, key: Path, authorities: str = "") -> CertificateError:
    with pytest.raises(CertificateError) as caught:
        server_context(str(certificate), str(key), authorities)
    assert caught.value.fix
    return caught.value


def test_a_good_pair(paths: tuple[Path, Path]) -> None:
    context = server_context(str(paths[0]), str(paths[1]))
    assert context.verify_mode is ssl.CERT_NONE
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("required", "mode"), [(True, ssl.CERT_REQUIRED), (False, ssl.CERT_OPTIONAL)]
)
def test_client_certificates(
    paths: tuple[Path, Path],
    tmp_path: Path,
    required: bool,  # noqa: FBT001
    mode: ssl.VerifyMode,
) -> None:
    (tmp_path / "ca.pem").write_bytes(PKI.root().pem)
    context = server_context(
        str(paths[0]),
        str(paths[1]),
        str(tmp_path / "ca.pem"),
        require_client=required,
        minimum_version="TLS13",
    )
    assert context.verify_mode is mode
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (OTHER.key_pem, "does not belong to the certificate"),
        (ENCRYPTED, "is encrypted"),
        (b"", "are not a certificate and a key that can be used"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "are not a"),
        (LEAF.pem, "are not a certificate and a key that can be used"),
    ],
)
def test_a_key_that_cannot_be_used(paths: tuple[Path, Path], content: bytes, told: str) -> None:
    paths[1].write_bytes(content)
    error = refusal(*paths)
    assert told in error.message
    assert str(paths[1]) in error.message
    assert "\n" not in str(error)


def test_files_that_are_missing_or_none(paths: tuple[Path, Path], tmp_path: Path) -> None:
    assert f"there is no file {tmp_path / 'a'}" in refusal(tmp_path / "a", paths[1]).message
    assert f"there is no file {tmp_path / 'b'}" in refusal(paths[0], tmp_path / "b").message
    os.mkfifo(tmp_path / "pipe")
    assert "not a regular file" in refusal(tmp_path / "pipe", paths[1]).message
    assert "it is a directory" in refusal(paths[0], tmp_path).message


@pytest.mark.parametrize("content", [b"", b"nothing", LEAF.key_pem])
def test_client_authorities_that_are_none(
    paths: tuple[Path, Path], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "ca.pem").write_bytes(content)
    assert "contains no PEM certificate" in refusal(*paths, str(tmp_path / "ca.pem")).message
    assert "there is no file" in refusal(*paths, str(tmp_path / "none.pem")).message
