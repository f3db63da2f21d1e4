"""Finding the root of a chain."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID
from tests.fakes.doctor_facts import NOW
from tests.fakes.pki import unsigned

from gatecert.doctor.roots import find_root

Key = ec.EllipticCurvePrivateKey


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def sign(
    subject: str, issuer: str, key: Key, signer: Key, *, identified: bool = True
) -> x509.Certificate:
    builder = unsigned(
        name(subject),
        name(issuer),
        key.public_key(),
        begin=NOW - timedelta(days=1),
        end=NOW + timedelta(days=1),
    )
    if identified:
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        ).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    return builder.sign(signer, SHA256())


@pytest.fixture(scope="module")
def keys() -> list[Key]:
    return [ec.generate_private_key(ec.SECP256R1()) for _ in range(4)]


@pytest.fixture(scope="module")
def chain(keys: list[Key]) -> list[x509.Certificate]:
    leaf, middle, root, _ = keys
    return [sign("leaf", "middle", leaf, middle), sign("middle", "root", middle, root)]


@pytest.fixture(scope="module")
def root(keys: list[Key]) -> x509.Certificate:
    return sign("root", "root", keys[2], keys[2])


def test_trusted_root_is_found(chain: list[x509.Certificate], root: x509.Certificate) -> None:
    found = find_root(chain, [], [root])
    assert (found.name, found.certificate, found.trusted) == ("CN=root", root, True)
    assert found.fingerprint == root.fingerprint(SHA256()).hex()


def test_stored_root_is_returned(chain: list[x509.Certificate], root: x509.Certificate) -> None:
    found = find_root(chain, [root], [])
    assert (found.certificate, found.trusted) == (root, False)


def test_trusted_root_within_the_chain_comes_first(
    chain: list[x509.Certificate], keys: list[Key], root: x509.Certificate
) -> None:
    trusted = sign("middle", "middle", keys[1], keys[1])
    found = find_root(chain, [root], [trusted])
    assert (found.certificate, found.trusted) == (trusted, True)


def test_root_in_the_chain_or_the_trust_store(
    chain: list[x509.Certificate], root: x509.Certificate
) -> None:
    assert find_root([*chain, root], [], [root]).trusted
    assert find_root(chain, [], [chain[1]]).certificate == chain[1]


@pytest.mark.parametrize("identified", [True, False])
def test_root_needs_more_than_the_same_name(
    chain: list[x509.Certificate], keys: list[Key], *, identified: bool
) -> None:
    namesake = sign("root", "root", keys[3], keys[3], identified=identified)
    found = find_root(chain, [namesake], [namesake])
    assert (found.name, found.certificate, found.fingerprint) == ("CN=root", None, "")
