from __future__ import annotations

from collections.abc import Callable

import pytest

from gatecert.store import pem_files

Make = Callable[..., bytes]


def test_certificates(make_pem: Make) -> None:
    one = make_pem("CERTIFICATE")
    assert pem_files.has_certificates(one)
    assert pem_files.has_certificates(b"subject=a-b\n" + one + b"issuer=c-d\n" + one)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0" * 100,
        b"-----BEGIN CERTIFICATE-----\nMIIB",
        b"-----BEGIN CERTIFICATE-----\nMI\0\0\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
    ],
)
def test_no_certificates(damage: bytes, make_pem: Make) -> None:
    assert not pem_files.has_certificates(damage)
    assert not pem_files.has_certificates(
        make_pem("CERTIFICATE") + b"-----BEGIN CERTIFICATE-----\nMI"
    )


@pytest.mark.parametrize("label", ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"])
def test_private_keys(label: str, make_pem: Make) -> None:
    assert pem_files.has_private_key(make_pem(label))
    assert not pem_files.has_private_key(make_pem(label)[:-20])
    assert not pem_files.has_private_key(make_pem("PUBLIC KEY"))


@pytest.mark.parametrize("label", ["CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"])
def test_requests(label: str, make_pem: Make) -> None:
    assert pem_files.has_request(make_pem(label))
    assert not pem_files.has_request(make_pem("CERTIFICATE"))


def test_joined_texts_end_with_one_newline() -> None:
    assert pem_files.joined(b"a", b"", b"\nb\n\n", b" \n") == b"a\nb\n"
