"""A gateway and its store in memory: as quick as a dictionary, and as durable."""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fakes.acme_stores import Usage
from tests.fakes.record_journal import Journal
from tests.survival.years.authority import root_pem

from gatecert.certificate.pem import load_roots
from gatecert.deploy.certificate_deployer import CertificateDeployer
from gatecert.deploy.deployment_record import DeploymentRecord
from gatecert.deploy.inventory import Inventory, take_inventory
from gatecert.deploy.live import LiveDirectory
from gatecert.deploy.parsed_versions import StoredCertificate
from gatecert.errors import NotServedError, ReloadError, StorageError
from gatecert.model import Deployment, EnrolmentState, GatewayState, UsageChange, Version
from gatecert.store.codec import encode
from gatecert.store.counting_rules import MIN_KEPT_REQUESTS, without_stale
from gatecert.store.lock import LockLease
from gatecert.store.usage_index import UsageIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime, timedelta
    from threading import Event

    from gatecert.deadline import Deadline
    from gatecert.deploy.deployer import DeployTools
    from gatecert.model import (
        Account,
        Expenses,
        InstallPlan,
        IssuedChain,
        KeyRequest,
        LimitReached,
        Limits,
        StoredList,
        Target,
        Wait,
    )
    from gatecert.model.fleet import Urgency
    from gatecert.store.protocol import Lease

PRUNED_AT_ONCE = 100  # requests
NOWHERE = Path("/nonexistent")
ROOTS = load_roots(root_pem())


class MemoryStore(Usage, Journal):
    """A `gatecert.store.protocol.HostStore` of one gateway, whose disk may be full.

    Attributes:
        full: Whether nothing can be written.
    """

    def __init__(self) -> None:
        super().__init__()
        self.full = False
        self._state = GatewayState()
        self._versions: tuple[Version, ...] = ()
        self._keys: dict[str, bytes] = {}
        self._requests: dict[str, KeyRequest] = {}
        self._accounts: dict[str, Account] = {}
        self._tokens: dict[tuple[str, str], str] = {}
        self._next_keys: dict[str, bytes] = {}
        self._lists: dict[str, StoredList] = {}
        self._number = 0

    def lose_state(self) -> None:
        """As if ``state.json`` was found damaged."""
        self._state = GatewayState()

    def check_writable(self) -> None:
        if self.full:
            raise StorageError("disk full")

    def size(self) -> int:
        """Bytes that ``state.json`` would take."""
        return len(encode(self._state))

    def count(self) -> int:
        """Count the stored files; each counted request is one."""
        requests = sum(len(each) for each in self._usage.values())
        some = (self._versions, self._requests, self._tokens, self._accounts, self._lists)
        return requests + sum(len(each) for each in some)

    def gateway_directory(self, gateway: str) -> Path:
        return NOWHERE / gateway

    def version_directory(self, version: Version) -> Path:
        return self.gateway_directory(version.gateway) / version.id

    def state(self, _gateway: str) -> GatewayState:
        return self._state

    def save_state(self, _gateway: str, state: GatewayState) -> None:
        self.check_writable()
        self._state = state

    def add_version(
        self, gateway: str, issued: IssuedChain, *, now: datetime, key_group: str | None = None
    ) -> Version:
        assert key_group is None
        self.check_writable()
        self._number += 1
        version_id = f"{self._number:06d}-{now:%Y%m%dT%H%M%SZ}"
        version = Version(
            id=version_id,
            gateway=gateway,
            certificate=issued.certificate,
            chain=issued.chain,
            origin=issued.origin,
            authority=issued.authority,
            order_url=issued.order_url,
            created=now,
        )
        self.put_version(version, issued.private_key)
        return version

    def put_version(self, version: Version, private_key: bytes) -> None:
        """Keep a version as it is."""
        self._versions = (version, *self._versions)
        self._keys[version.id] = private_key

    def versions(self, _gateway: str) -> tuple[Version, ...]:
        return self._versions

    def private_key(self, version: Version, *, second: bool = False) -> bytes:
        assert not second
        return self._keys[version.id]

    def stored_root(self, _version: Version, *, second: bool = False) -> bytes:
        assert not second
        return b""

    def remove_version(self, version: Version) -> None:
        self.check_writable()
        self._versions = tuple(each for each in self._versions if each.id != version.id)
        del self._keys[version.id]

    def add_request(self, _gateway: str, request: KeyRequest) -> None:
        self.check_writable()
        self._requests[request.id] = request

    def open_order(
        self,
        gateway: str,
        intent: KeyRequest,
        directory_url: str,
        expenses: Expenses,
        within: Limits,
        *,
        lease: Lease,
    ) -> LimitReached | None:
        lease.check()
        self.add_request(gateway, intent)
        reached = self.count_requests(directory_url, expenses, within)
        if reached is not None:
            self.remove_request(gateway, intent.id)
        return reached

    def requests(self, _gateway: str) -> tuple[KeyRequest, ...]:
        return tuple(self._requests.values())

    def remove_request(self, _gateway: str, request_id: str) -> None:
        self.check_writable()
        self._requests.pop(request_id, None)

    def account(self, authority: str) -> Account | None:
        return self._accounts.get(authority)

    def save_account(self, authority: str, account: Account) -> None:
        self._accounts[authority] = account

    def next_key(self, authority: str) -> bytes | None:
        return self._next_keys.get(authority)

    def save_next_key(self, authority: str, private_key: bytes) -> None:
        self._next_keys[authority] = private_key

    def remove_next_key(self, authority: str) -> None:
        self._next_keys.pop(authority, None)

    def retire_account(self, authority: str) -> None:
        self._accounts.pop(authority, None)

    def pause_orders(self, directory_url: str, pause: timedelta) -> None:
        """Tell nobody: there is no other host."""

    def schedule(self, gateway: str, urgency: Urgency, due: datetime | None) -> None:
        """Tell nobody: there is no other host."""

    def revocation_list(self, url: str) -> StoredList | None:
        return self._lists.get(url)

    def save_revocation_list(self, url: str, fresh: StoredList) -> None:
        self.check_writable()
        self._lists[url] = fresh

    def count_requests(
        self, directory_url: str, expenses: Expenses, within: Limits
    ) -> LimitReached | None:
        self.check_writable()
        reached = super().count_requests(directory_url, expenses, within)
        index = self._usage[directory_url]
        if len(index) > MIN_KEPT_REQUESTS + PRUNED_AT_ONCE:
            kept = without_stale(index.requests, within, expenses.now)
            self._usage[directory_url] = UsageIndex([UsageChange(counted=kept)])
        return reached

    def put_token(self, kind: str, token: str, key_authorization: str) -> None:
        self._tokens[kind, token] = key_authorization

    def token(self, kind: str, token: str) -> str | None:
        return self._tokens.get((kind, token))

    def remove_token(self, kind: str, token: str) -> None:
        self._tokens.pop((kind, token), None)

    def wait_for_hosts(self, kind: str, token: str, deadline: Deadline) -> tuple[str, ...]:
        del kind, token, deadline
        return ()

    def abandoned_tokens(self, _: str) -> tuple[str, ...]:
        return ()

    def daemon_pid(self) -> int | None:
        return None

    @contextmanager
    def lock_gateway(
        self,
        _gateway: str,
        purpose: str,
        *,
        wait: float,
        tell: Callable[[Wait], None] | None = None,
        cancelled: Event | None = None,
    ) -> Iterator[None]:
        assert purpose
        assert wait >= 0
        del tell, cancelled  # a gateway in memory is never locked by another
        self.check_writable()
        yield

    def copy_version(self, *_args: object, **_keys: object) -> None:
        return None

    def report_deployment(self, *_args: object) -> None: ...

    def roll_out(self, *_args: object) -> None:
        return None

    def check_enrolment(self, _gateway: str) -> None: ...

    def reserve_order(self, *_args: object) -> None: ...

    def reserved_lease(self, *_args: object) -> None:
        return None

    def lease(self, _gateway: str) -> AbstractContextManager[LockLease]:
        return nullcontext(LockLease())


class Live(LiveDirectory):
    """``live`` in memory."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(NOWHERE)
        self._store = store
        self._current: str | None = None

    def current(self) -> str | None:
        return self._current

    def install(self, plan: InstallPlan, version: Version, private_key: bytes) -> bool:
        assert private_key
        assert not plan.copy_to
        return self.swap(version)

    def swap(self, version: Version) -> bool:
        if version.id == self._current:
            return False
        self._store.check_writable()
        self._current = version.id
        return True


class Record(DeploymentRecord):
    """``deployment.json`` in memory."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(NOWHERE)
        self._store = store
        self._kept: Deployment | None = None

    @property
    def value(self) -> Deployment | None:
        return self._kept

    def save(self, deployment: Deployment) -> None:
        self._store.check_writable()
        self._kept = deployment


@dataclass
class Gateway:
    """The server: it serves what ``live`` led to at its last successful reload.

    Attributes:
        stubborn: Whether reloads fail.
        unprovable: Whether handshakes show nothing of what is served.
    """

    store: MemoryStore
    stubborn: bool = False
    unprovable: bool = False
    served: StoredCertificate | None = None

    def __post_init__(self) -> None:
        self.live = Live(self.store)
        self.record = Record(self.store)
        self._held: dict[str, tuple[StoredCertificate, ...]] = {}
        self._versions: object = None

    def inventory(self, target: Target, now: datetime) -> Inventory:
        """As it really is, but nothing is read twice."""
        versions, live = self.store.versions(target.name), self.live.current()
        if self._versions is not versions:
            self._versions = versions
            self._held = {
                each.id: self._held.get(each.id) or self._read(target, each, now)
                for each in versions
            }
        stored = tuple(one for each in versions for one in self._held[each.id])
        enrolment = self.store.state(target.name).enrolment
        found = Inventory(stored, None, target, versions).with_enrolment(enrolment)
        return replace(found, live=found.find(live or ""))

    def _read(
        self, target: Target, version: Version, now: datetime
    ) -> tuple[StoredCertificate, ...]:
        alone = MemoryStore()
        alone.put_version(version, self.store.private_key(version))
        empty = EnrolmentState()
        found = take_inventory(alone, target, None, enrolment=empty, roots=ROOTS, now=now)
        return found.stored

    def reload(self, target: Target, now: datetime) -> None:
        if self.stubborn:
            raise ReloadError("the reload command failed", ran=True)
        self.served = self.inventory(target, now).live
        if self.unprovable:
            raise NotServedError("the listener speaks no TLS")


class PlayedDeployer(CertificateDeployer):
    """The real deployment onto a played gateway."""

    def __init__(
        self, tools: DeployTools, target: Target, enrolment: EnrolmentState, *, gateway: Gateway
    ) -> None:
        self._gateway = gateway
        super().__init__(tools, target, enrolment, record=gateway.record, live=gateway.live)

    def take_inventory(self, enrolment: EnrolmentState) -> Inventory:
        self.inventory = self._gateway.inventory(self.target, self.tools.now())
        stored = self.tools.store.state(self.target.name).enrolment
        assert enrolment.revocation == stored.revocation
        return self.inventory

    def bring_up(self, content: StoredCertificate, timeout: timedelta) -> bool:
        assert content.version.id == self.current_id()
        assert timeout
        self._gateway.reload(self.target, self.tools.now())
        return True
