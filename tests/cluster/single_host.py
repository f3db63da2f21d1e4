"""A host with plain files, as it was before it joined a fleet."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.fakes.pki import Pki, dns

from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.model import (
    Account,
    CountedRequest,
    EnrolmentState,
    Expenses,
    GatewayState,
    HostState,
    IssuedChain,
    KeyRequest,
    KeyType,
    Limits,
    Origin,
    PendingOrder,
    RequestKind,
)
from gatecert.store.file_store import FileStore

from .configured_host import GATEWAY

if TYPE_CHECKING:
    from pathlib import Path

CA, URL = "letsencrypt", "https://ca.example/directory"
ACCOUNT_URL = "https://ca.example/account/1"
NOW = datetime.now(UTC).replace(microsecond=0)
ORDER = CountedRequest(RequestKind.ORDER, NOW, account=ACCOUNT_URL)
CERTIFICATE = CountedRequest(RequestKind.CERTIFICATE, NOW, names=("vpn.example.com",))
PKI = Pki()


def private_key() -> bytes:
    """Return a new key, PEM."""
    return key.generate(KeyType.ECDSA_P256)


def account() -> Account:
    """Return an account with a new key."""
    return Account(private_key(), ACCOUNT_URL, URL, ("mailto:ops@example.com",))


def key_request(name: str) -> KeyRequest:
    """Return the key request of an order."""
    made = private_key()
    return KeyRequest(
        name, NOW, made, build_request(made, dns("vpn.example.com"), common_name=None)
    )


def chain() -> IssuedChain:
    """Return a new certificate of a CA."""
    root = PKI.root()
    leaf = PKI.issue(GATEWAY, root)
    return IssuedChain(leaf.key_pem, leaf.pem, root.pem, Origin.AUTHORITY, root=root.pem)


def pending(request: KeyRequest) -> PendingOrder:
    """Return an order that was placed with a key request."""
    url = "https://ca.example/order/2"
    return PendingOrder(CA, URL, url, request.id, dns("vpn.example.com"), NOW)


class SingleHost:
    """The files of a host that has enrolled, and has an order open for the renewal.

    Args:
        directory: The state directory.
    """

    def __init__(self, directory: Path) -> None:
        self.files = FileStore(directory)
        self.account, self.next_key = account(), private_key()
        self.chain, self.request = chain(), key_request("order-2")
        self.enrolment = EnrolmentState(failures=3, order=pending(self.request))
        self.files.save_account(CA, self.account)
        self.files.save_next_key(CA, self.next_key)
        self.files.count_requests(URL, Expenses(NOW, (ORDER, CERTIFICATE)), Limits())
        version = self.files.add_version(GATEWAY, self.chain, now=NOW)
        live = self.files.gateway_directory(GATEWAY) / "live"
        live.symlink_to(f"versions/{version.id}")
        self.files.add_request(GATEWAY, self.request)
        self.files.save_state(GATEWAY, GatewayState(self.enrolment, HostState(next_look=NOW)))
