"""An authority that counts what reaches it, as Let's Encrypt counts it, by the true time.

The ACME client above it is the real one: which account and order it uses, what it resumes, gives
up or counts against its budget. What is played is the signing, the wire and the authority.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.fakes.pki import unsigned
from tests.survival.years.world import DAY, HOUR, Killed, Trouble, World

from gatecert.acme.client import Client
from gatecert.acme.issuer import RENEWAL_INFO_SECONDS, Issuer
from gatecert.acme.renewal_info import fetch
from gatecert.acme.resources import (
    INVALID,
    PENDING,
    PROCESSING,
    READY,
    VALID,
    Authorization,
    ChallengeOffer,
    Download,
    Order,
    ProblemDocument,
)
from gatecert.config.schema.authority import AuthoritySettings
from gatecert.deadline import Deadline
from gatecert.errors import (
    AccountMissingError,
    ACMEError,
    AuthorityUnreachableError,
    DeadlineExceededError,
    RateLimitedError,
)
from gatecert.http.fetcher import Response
from gatecert.model import Identifier, RenewalInfo

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from gatecert.challenge.solver import Solver
    from gatecert.model import Account, CertificateSummary
    from gatecert.store.protocol import IssuerStore, Lease

NAME = "played"
BASE = "https://played.example"
DIRECTORY_URL = f"{BASE}/directory"
BACKDATED = HOUR
ORDER_LIFE = 7 * DAY
PROOF_LIFE = 7 * HOUR

SHORT_LIFE = timedelta(minutes=10)

_KEY = ec.generate_private_key(ec.SECP256R1())
_ISSUER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Played Root")])
_OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
_OTHER_ISSUER = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Unknown Root")])
_IDENTIFIER = x509.AuthorityKeyIdentifier.from_issuer_public_key(_KEY.public_key())


def root_pem(*, unknown: bool = False) -> bytes:
    """The root that everything is signed by, or the one that nobody expects."""
    key, name = (_OTHER_KEY, _OTHER_ISSUER) if unknown else (_KEY, _ISSUER)
    key_usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    subject = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        unsigned(
            name,
            name,
            key.public_key(),
            begin=datetime(2000, 1, 1, tzinfo=UTC),
            end=datetime(2100, 1, 1, tzinfo=UTC),
            serial=1,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage, critical=True)
        .add_extension(subject, critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


ROOT, UNKNOWN_ROOT = root_pem(), root_pem(unknown=True)


@dataclass
class Limit:
    """At most so many in any period; Let's Encrypt's own figures (facts of November 2026)."""

    what: str
    count: int
    period: timedelta
    instants: deque[datetime] = field(default_factory=deque)
    most: int = 0

    def is_spent(self, now: datetime) -> bool:
        """Return True if one more request would exceed the limit now."""
        while self.instants and self.instants[0] <= now - self.period:
            self.instants.popleft()
        return len(self.instants) >= self.count

    def note(self, now: datetime) -> str:
        """Return the limit that one more request exceeds, or an empty string."""
        self.is_spent(now)
        self.instants.append(now)
        self.most = max(self.most, len(self.instants))
        if len(self.instants) <= self.count:
            return ""
        return f"{len(self.instants)} {self.what} within {self.period}, {self.count} are allowed"


@dataclass
class Placed:
    """An order.

    Attributes:
        answered: Names for which a response was said to be in place.
        looks: For how many more looks it is being processed.
    """

    url: str
    names: tuple[Identifier, ...]
    replaces: str
    at: datetime
    status: str = PENDING
    answered: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    certificate: bytes = b""
    root: bytes = b""
    looks: int = 0

    def conclude(self) -> None:
        """One name that is refused is enough; for the rest, every one has to be proven."""
        if self.status == PENDING and self.refused:
            self.status = INVALID
        elif self.status == PENDING and len(self.answered) == len(self.names):
            self.status = READY


@dataclass
class Authority:
    """Issues certificates of one lifetime, unless something is wrong.

    Attributes:
        windows: What renewal information says: ``right``, ``late`` or ``none``.
        errs: The same while it is wrong: ``past``, ``backwards`` or ``late``.
        asks_again: Its Retry-After for renewal information.
        refuses: Whether no validation ever succeeds.
        broken: What was exceeded.
        revoked: CertIDs whose windows are in the past.
        wasted_at: When it last issued one that nobody can use.
    """

    world: World
    lifetime: timedelta
    windows: str = "right"
    errs: str = "past"
    asks_again: timedelta = 6 * HOUR
    refuses: bool = False
    broken: list[str] = field(default_factory=list)
    revoked: set[str] = field(default_factory=set)
    issued: int = 0
    placed: int = 0
    requests: int = 0
    silent_until: datetime | None = None
    wasted_at: datetime | None = None
    lives: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        weekly = max(5, round(4 * (7 * DAY / self.lifetime) + 0.5))
        self.accounts = Limit("new accounts", 10, 3 * HOUR)
        self.orders = Limit("orders", 300, 3 * HOUR)
        self.validations: dict[str, Limit] = {}
        self.duplicates = Limit("certificates for the same names", weekly, 7 * DAY)
        # No limit of an authority's, but of good sense: replacements are exempt from the others.
        self.replacements = Limit("certificates, replacements included", 6, DAY)
        self._account = ""
        self._open: dict[str, Placed] = {}
        self._proven: dict[str, datetime] = {}

    # ------------------------------------------------------------------ the wire

    def reach(self, local: Callable[[], datetime]) -> Callable[[], None]:
        """A request arrives, or does not; call what this returns when its answer leaves."""
        world, chance = self.world, self.world.chance
        self.requests += 1
        if world.doomed is not None:
            if not world.doomed:
                world.doomed = None
                raise Killed
            world.doomed -= 1
        world.take(timedelta(seconds=chance.uniform(0.02, 0.5)))
        if world.is_wrong(Trouble.AUTHORITY, Trouble.NETWORK):
            world.take(timedelta(seconds=chance.uniform(0, 30)))
            raise AuthorityUnreachableError("no answer")
        if self.silent_until is not None and world.time < self.silent_until:
            world.disturb()
            wait = self.silent_until - world.time
            raise RateLimitedError("rateLimited", "slow down", retry_after=local() + wait)
        self._perhaps_fail(local)
        return partial(self._perhaps_fail, local)

    def _perhaps_fail(self, local: Callable[[], datetime]) -> None:
        world, chance = self.world, self.world.chance
        if not world.is_wrong(Trouble.FLAKY) or chance.random() < 0.85:
            return
        match chance.randrange(4):
            case 0:
                raise AuthorityUnreachableError("hung up")
            case 1:
                raise ACMEError("serverInternal", "sorry", status=400)
            case 2:
                world.take(timedelta(minutes=5))
                raise DeadlineExceededError("took too long")
            case _:
                pause = timedelta(seconds=chance.uniform(1, 3600))
                self.silent_until = world.time + pause
                raise RateLimitedError("rateLimited", "slow down", retry_after=local() + pause)

    def count(self, limit: Limit) -> None:
        """One more of what is limited."""
        exceeded = limit.note(self.world.time)
        if exceeded:
            self.broken.append(f"{self.world.time:%Y-%m-%d %H:%M:%S} {exceeded}")

    @property
    def is_exhausted(self) -> bool:
        """Return True if no certificate is available after too many unusable ones."""
        now = self.world.time
        recently = self.wasted_at is not None and now < self.wasted_at + self.duplicates.period
        return recently and self.duplicates.is_spent(now)

    def most(self) -> dict[str, tuple[int, int]]:
        """The most of each limited thing that came together, and how much is allowed."""
        limits = (self.accounts, self.orders, self.duplicates, self.replacements)
        names = Limit("failed validations of a name", 5, HOUR)
        names.most = max((limit.most for limit in self.validations.values()), default=0)
        return {limit.what: (limit.most, limit.count) for limit in (*limits, names)}

    # ------------------------------------------------------------------ accounts and orders

    def find_account(self) -> str:
        if not self._account:
            raise AccountMissingError("accountDoesNotExist", "who?")
        return self._account

    def new_account(self) -> str:
        if not self._account:
            self.count(self.accounts)
            self._account = f"{BASE}/account/1"
        return self._account

    def new_order(self, names: Sequence[Identifier], replaces: str) -> Placed:
        """Place an order; like Boulder, return an open order for the same names."""
        now = self.world.time
        for order in self._open.values():
            order.conclude()
            same = order.names == tuple(names) and order.replaces == replaces
            if same and order.status in {PENDING, READY} and now < order.at + ORDER_LIFE:
                return order
        self.placed += 1
        if not replaces:
            self.count(self.orders)
        order = Placed(f"{BASE}/order/{self.placed}", tuple(names), replaces, now)
        if all(self._is_proven(name) for name in names):
            order.status = READY
        self._open[order.url] = order
        for url in [url for url, each in self._open.items() if each.at + 2 * ORDER_LIFE < now]:
            del self._open[url]
        return order

    def order(self, url: str) -> Placed:
        order = self._open.get(url)
        if order is None or self.world.time >= order.at + ORDER_LIFE:
            raise ACMEError("malformed", "no such order", status=404)
        order.conclude()
        if order.status == PROCESSING:
            order.looks -= 1
            if order.looks < 0:
                self._issue(order)
        return order

    def authorization(self, url: str) -> Authorization:
        """The only one that an order has for a name."""
        order_url, _, name = url.rpartition("/authorization/")
        order = self.order(order_url)
        identifier = next(each for each in order.names if each.value == name)
        error = None
        if name in order.refused:
            status = INVALID
            error = ProblemDocument("connection", f"{name}: nobody there")
        else:
            proven = name in order.answered or self._is_proven(identifier)
            status = VALID if proven else PENDING
        offer = ChallengeOffer("http-01", f"{url}/challenge", status, "a" * 43, error)
        return Authorization(url, identifier, status, (offer,))

    def answer(self, url: str) -> None:
        """A response is in place; the authority looks at once."""
        order_url, _, rest = url.rpartition("/authorization/")
        order, name = self.order(order_url), rest.removesuffix("/challenge")
        order.answered.add(name)
        troubles = (Trouble.UNVALIDATED, Trouble.ELSEWHERE, Trouble.DNS)
        if self.refuses or self.world.is_wrong(*troubles):
            order.refused.add(name)
            self.count(
                self.validations.setdefault(name, Limit(f"failed validations of {name}", 5, HOUR))
            )
        else:
            self._proven[name] = self.world.time

    def _is_proven(self, identifier: Identifier) -> bool:
        at = self._proven.get(identifier.value)
        return at is not None and self.world.time < at + PROOF_LIFE

    # ------------------------------------------------------------------ certificates

    def finalize(self, url: str, csr: bytes) -> Placed:
        order = self.order(url)
        if order.status != READY:
            raise ACMEError("orderNotReady", f"it is {order.status}", status=403)
        order.certificate = csr
        if self.world.chance.random() < 0.2:
            order.status, order.looks = PROCESSING, self.world.chance.randrange(4)
        else:
            self._issue(order)
        return order

    def _issue(self, order: Placed) -> None:
        csr = x509.load_pem_x509_csr(order.certificate)
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        begin = self.world.time.replace(microsecond=0) - BACKDATED
        end = begin + self.lifetime
        short = self.world.is_wrong(Trouble.SHORT_LIVED)
        if short:
            end = begin + BACKDATED + SHORT_LIFE
        unknown = self.world.is_wrong(Trouble.UNTRUSTED)
        if short or unknown:
            self.wasted_at = self.world.time
            self.world.disturb()
        self.issued += 1
        serial = (1 << 80) + self.issued
        order.certificate = (
            unsigned(
                x509.Name([]),
                _OTHER_ISSUER if unknown else _ISSUER,
                csr.public_key(),
                begin=begin,
                end=end,
                serial=serial,
            )
            .add_extension(names.value, critical=True)
            .add_extension(_IDENTIFIER, critical=False)
            .sign(_OTHER_KEY if unknown else _KEY, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )
        order.root = UNKNOWN_ROOT if unknown else ROOT
        order.status = VALID
        if not short:  # a gateway that has nothing better needs one every few minutes
            self.count(self.replacements)
        if not order.replaces:
            self.count(self.duplicates)

    def window(self, start: datetime, end: datetime, *, revoked: bool) -> Mapping[str, Any]:
        """Return the renewal information of a certificate."""
        world = self.world
        lifetime = end - start
        begin = end - lifetime / 3
        kind = self.windows
        if world.is_wrong(Trouble.WINDOWS):
            kind = self.errs
        if revoked or kind == "past":
            begin, finish = start - DAY, start
        elif kind == "backwards":
            begin, finish = begin + DAY, begin
        elif kind == "late":
            begin, finish = end + DAY, end + 9 * DAY
        else:
            finish = begin + lifetime / 45
        window = {"start": begin.isoformat(), "end": finish.isoformat()}
        return {"suggestedWindow": window}


class PlayedClient(Client):
    """A process's way to the authority; what is signed in earnest goes there directly."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(NAME, DIRECTORY_URL, transport=self, now=authority.world.now)
        self._authority = authority

    def send(
        self, method: str, url: str, *, deadline: Deadline, body: bytes | None = None
    ) -> Response:
        """Serve unsigned requests: the directory and renewal information."""
        assert (method, body) == ("GET", None)
        leave = self._reach(deadline)
        authority = self._authority
        headers: dict[str, str] = {}
        if url == DIRECTORY_URL:
            value = {name: f"{BASE}/{name}" for name in ("newNonce", "newAccount", "newOrder")}
            if authority.windows != "none":
                value["renewalInfo"] = f"{BASE}/renewalInfo"
            leave()
            return Response(200, headers, json.dumps(value).encode(), url)
        identifier = url.rpartition("/")[2]
        start, end = authority.lives[identifier]
        value = dict(authority.window(start, end, revoked=identifier in authority.revoked))
        headers["Retry-After"] = str(int(authority.asks_again.total_seconds()))
        leave()
        return Response(200, headers, json.dumps(value).encode(), url)

    def _change(self, deadline: Deadline, lease: Lease | None) -> Callable[[], None]:
        """Reach the CA with a request that nothing may send without the lease."""
        assert lease is not None
        lease.check()
        return self._reach(deadline)

    def _reach(self, deadline: Deadline) -> Callable[[], None]:
        assert not deadline.interrupted
        if deadline.passed:
            raise DeadlineExceededError("no time left")
        leave = self._authority.reach(self._authority.world.now)
        world = self._authority.world
        self._server_time = (world.time, world.monotonic())
        return leave

    def _note_time(self, answer: Response) -> None:
        """Done when it was reached, to the microsecond."""

    def find_account(self, private_key: bytes, deadline: Deadline) -> str:
        assert private_key
        leave = self._reach(deadline)
        url = self._authority.find_account()
        leave()
        return url

    def new_account(
        self,
        private_key: bytes,
        contact: Sequence[str],
        deadline: Deadline,
        *,
        binding: Mapping[str, Any] | None = None,
    ) -> str:
        assert private_key
        assert not contact
        assert binding is None
        leave = self._reach(deadline)
        url = self._authority.new_account()
        leave()
        return url

    def new_order(
        self,
        account: Account,
        identifiers: Sequence[Identifier],
        deadline: Deadline,
        *,
        profile: str = "",
        replaces: str = "",
        lease: Lease | None = None,
    ) -> Order:
        assert account.url
        assert not profile
        leave = self._change(deadline, lease)
        order = _shown(self._authority.new_order(identifiers, replaces))
        leave()
        return order

    def order(self, account: Account, url: str, deadline: Deadline) -> Order:
        assert account.url
        leave = self._reach(deadline)
        order = _shown(self._authority.order(url))
        leave()
        return order

    def authorization(self, account: Account, url: str, deadline: Deadline) -> Authorization:
        assert account.url
        leave = self._reach(deadline)
        authorization = self._authority.authorization(url)
        leave()
        return authorization

    def key_authorization(self, account: Account, token: str) -> str:
        assert account.url
        return f"{token}.thumbprint"

    def respond_to_challenge(
        self, account: Account, url: str, deadline: Deadline, lease: Lease | None = None
    ) -> float | None:
        assert account.url
        leave = self._change(deadline, lease)
        self._authority.answer(url)
        leave()
        return None

    def finalize(
        self,
        account: Account,
        order: Order,
        csr: bytes,
        deadline: Deadline,
        lease: Lease | None = None,
    ) -> Order:
        assert account.url
        leave = self._change(deadline, lease)
        finalized = _shown(self._authority.finalize(order.url, csr))
        leave()
        return finalized

    def download(self, account: Account, url: str, deadline: Deadline) -> Download:
        assert account.url
        leave = self._reach(deadline)
        order = self._authority.order(url.removesuffix("/certificate"))
        leave()
        return Download(order.certificate + order.root)


def _shown(order: Placed) -> Order:
    problem = ProblemDocument("connection", "nobody there") if order.status == INVALID else None
    return Order(
        url=order.url,
        status=order.status,
        authorizations=tuple(f"{order.url}/authorization/{each}" for each in order.names),
        finalize=f"{order.url}/finalize",
        certificate=f"{order.url}/certificate" if order.status == VALID else "",
        error=problem,
    )


class PlayedIssuer(Issuer):
    """The real issuer, whose choice of instants comes from the seed."""

    def __init__(
        self,
        authority: Authority,
        roots: Path | None,
        store: IssuerStore,
        solvers: Mapping[str, Solver],
    ) -> None:
        settings = AuthoritySettings(
            name=NAME,
            directory_url=DIRECTORY_URL,
            terms_of_service_agreed=True,
            trusted_roots=roots,
        )
        self._authority = authority
        self._played = PlayedClient(authority)
        super().__init__(settings, store, solvers, client=self._played)

    def renewal_info(
        self,
        summary: CertificateSummary,
        *,
        now: Callable[[], datetime],
        previous: RenewalInfo | None = None,
        cancelled: threading.Event | None = None,
    ) -> RenewalInfo:
        deadline = Deadline.after(RENEWAL_INFO_SECONDS, cancelled)
        chance = self._authority.world.chance
        self._authority.lives[summary.certificate_id] = (summary.not_before, summary.not_after)
        return fetch(
            self._played, summary, previous, deadline=deadline, now=now, random=chance.random
        )
