"""An ACME authority in memory that stands in for the network, and can be told to misbehave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fakes.acme_server import DIRECTORY_URL, FakeAuthority
from tests.fakes.clock import NOW
from tests.fakes.pki import dns
from tests.fakes.root_authority import RootAuthority

from gatecert.acme.client import Client
from gatecert.config.schema.authority import AuthoritySettings
from gatecert.deadline import Deadline
from gatecert.model import (
    Account,
    Target,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def root() -> RootAuthority:
    return RootAuthority()


@pytest.fixture
def authority(root: RootAuthority) -> FakeAuthority:
    return FakeAuthority(root)


@pytest.fixture
def directory_seconds() -> float:
    """The lifetime of a cached directory; a parameter of tests that change it meanwhile."""
    return 3600.0


@pytest.fixture
def client(authority: FakeAuthority, directory_seconds: float) -> Client:
    return Client(
        "acme",
        DIRECTORY_URL,
        transport=authority,
        now=lambda: NOW,
        directory_seconds=directory_seconds,
    )


@pytest.fixture
def deadline() -> Deadline:
    return Deadline.after(30)


@pytest.fixture
def target() -> Target:
    return Target("boston", dns("vpn.example.com", "www.example.com"), "vpn.example.com")


@pytest.fixture
def settings() -> AuthoritySettings:
    return AuthoritySettings(name="acme", directory_url=DIRECTORY_URL, terms_of_service_agreed=True)


@pytest.fixture(scope="session")
def account_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture
def account(client: Client, account_key: bytes, deadline: Deadline) -> Account:
    url = client.new_account(account_key, (), deadline)
    return Account(account_key, url, DIRECTORY_URL)


@pytest.fixture
def hmac_file(tmp_path: Path) -> Path:
    path = tmp_path / "hmac"
    path.write_text("c2VjcmV0LXNlY3JldC1zZWNyZXQ\n")
    return path
