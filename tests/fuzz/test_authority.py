"""Any response of an authority: bodies, headers and states at every step of an enrolment.

The client and its HTTPS transport are real down to the connection, which a played authority takes
the place of: so URLs, redirects and bodies are dealt with as they are in the field.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from tests.fakes.acme_server import BASE, DIRECTORY_URL, FakeAuthority, answer
from tests.fakes.acme_stores import UNLIMITED, Accounts, Journal
from tests.fakes.clock import NOW
from tests.fakes.pki import dns
from tests.fakes.root_authority import RootAuthority
from tests.fakes.solvers import FakeSolver
from tests.fuzz.material import (
    HTTP_DATES,
    NUMBERS,
    URLS,
    altered,
    as_text,
    documents,
    encoded,
    instants,
    listed,
    one_of_octets,
    spoilt,
    texts,
)
from tests.fuzz.promise import check_error, check_line, promised, refused_properly
from tests.fuzz.source import Make, Source, boolean, just, one_of, text
from urllib3 import HTTPHeaderDict, HTTPResponse

from gatecert.acme.account import AccountRegistrar
from gatecert.acme.budget import Budget
from gatecert.acme.client import Client
from gatecert.acme.enrolment import Enrolment
from gatecert.acme.renewal_info import fetch
from gatecert.acme.resources import (
    Authorization,
    ChallengeOffer,
    Directory,
    Order,
    ProblemDocument,
    SuggestedWindow,
)
from gatecert.acme.responses import ResponseReader, links
from gatecert.acme.transport import MAX_BODY_BYTES, AcmeTransport
from gatecert.certificate import key
from gatecert.certificate.chain import check_issued
from gatecert.certificate.request import build_request
from gatecert.certificate.summary import summarize
from gatecert.config.schema.authority import AuthoritySettings
from gatecert.deadline import Deadline
from gatecert.errors import (
    AuthorityUnreachableError,
    CertificateError,
    GatecertError,
)
from gatecert.http.fetcher import Response
from gatecert.http.headers import MAX_RETRY_AFTER, retry_after_seconds, server_time
from gatecert.model import (
    Account,
    EnrolmentState,
    GatewayState,
    KeyRequest,
    KeyType,
    Limits,
    RenewalInfo,
    Target,
)
from gatecert.store.codec import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT: Final = RootAuthority()
TARGET: Final = Target("boston", dns("vpn.example.com", "www.example.com"), "vpn.example.com")
SETTINGS: Final = AuthoritySettings(
    name="acme", directory_url=DIRECTORY_URL, terms_of_service_agreed=True
)
KEY: Final = key.generate(KeyType.ECDSA_P256)
REQUEST: Final = KeyRequest(
    "order-1", NOW, KEY, build_request(KEY, TARGET.identifiers, common_name=None)
)
MOST_REQUESTS: Final = 400

PROBLEM: Final = {
    "type": "urn:ietf:params:acme:error:rateLimited",
    "detail": "too many certificates, see https://ca.test/docs",
    "status": 429,
    "instance": "https://ca.test/unpause?token=x",
    "identifier": {"type": "dns", "value": "vpn.example.com"},
    "subproblems": [
        {
            "type": "urn:ietf:params:acme:error:caa",
            "detail": "CAA forbids",
            "identifier": {"type": "dns", "value": "www.example.com"},
        }
    ],
}
KINDS: Final = (
    "accountDoesNotExist", "alreadyReplaced", "badCSR", "badNonce", "badPublicKey", "caa",
    "connection", "dns", "externalAccountRequired", "incorrectResponse", "invalidContact",
    "invalidProfile", "malformed", "orderNotReady", "rateLimited", "rejectedIdentifier",
    "serverInternal", "tls", "unauthorized", "userActionRequired",
)  # fmt: skip
OBJECTS: Final[dict[str, Any]] = {
    "directory": {
        "newNonce": f"{BASE}/new-nonce",
        "newAccount": f"{BASE}/new-account",
        "newOrder": f"{BASE}/new-order",
        "renewalInfo": f"{BASE}/renewal-info",
        "meta": {
            "termsOfService": f"{BASE}/terms",
            "profiles": {"short": "6 days"},
            "caaIdentities": ["ca.test"],
            "externalAccountRequired": False,
        },
    },
    "new-account": {"status": "valid", "orders": f"{BASE}/orders/1"},
    "new-order": {
        "status": "pending",
        "authorizations": [f"{BASE}/authz/1/vpn.example.com", f"{BASE}/authz/1/www.example.com"],
        "finalize": f"{BASE}/finalize/1",
        "certificate": f"{BASE}/certificate/1",
        "expires": "2026-12-01T00:00:00Z",
        "error": PROBLEM,
    },
    "authz": {
        "identifier": {"type": "dns", "value": "vpn.example.com"},
        "status": "pending",
        "expires": "2026-12-01T00:00:00Z",
        "wildcard": False,
        "challenges": [
            {
                "type": "http-01",
                "url": f"{BASE}/challenge/1/vpn.example.com/http-01",
                "status": "pending",
                "token": "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0",
                "error": PROBLEM,
            },
            {"type": "dns-persist-01", "url": f"{BASE}/p", "issuer-domain-names": ["ca.test"]},
        ],
    },
    "challenge": {"type": "http-01", "status": "processing", "url": f"{BASE}/challenge/1"},
    "renewal-info": {
        "suggestedWindow": {"start": "2026-12-01T00:00:00Z", "end": "2026-12-03T00:00:00Z"},
        "explanationURL": "https://ca.test/why",
    },
    "problem": PROBLEM,
}
OBJECTS.update({"order": OBJECTS["new-order"], "finalize": OBJECTS["new-order"]})
STATES: Final = ("pending", "ready", "processing", "valid", "invalid", "expired", "deactivated")
CHAIN: Final = ROOT.issue(x509.load_pem_x509_csr(REQUEST.csr).public_bytes(Encoding.DER))

# --------------------------------------------------------------------------- what is answered


def _any_date(source: Source) -> str:
    at = datetime(1, 1, 1, tzinfo=UTC) + timedelta(seconds=source.integer(0, 315_537_897_599))
    return at.strftime("%a, %d %b %Y %H:%M:%S GMT")


retry_afters: Make[str] = one_of(
    just(*HTTP_DATES),
    just("0", "-1", "1", "120", "1e9", "٣", "+5", " 5 ", "0x10", "9" * 400, "inf"),
    _any_date,
    as_text(spoilt(just(b"Mon, 23 Nov 2026 08:15:00 GMT", b"Mon Nov 23 08:15:00 2026", b"120"))),
    text(40),
)
RELATIONS: Final = ("alternate", "up", "index", "terms-of-service", "")


def link_headers(source: Source) -> str:
    """Several links, nearly right."""
    url = listed(URLS)
    parts = [
        f'<{url(source)}>;rel="{source.choice(RELATIONS)}"' for _ in range(source.integer(0, 4))
    ]
    return ", ".join(parts)


nonces: Make[str] = one_of(
    just("", "bm9uY2U", "bm9uY2U=", "bm9u Y2U", "!", "a", "a" * 60_000), texts
)
HEADERS: Final[dict[str, Make[str]]] = {
    "Retry-After": retry_afters,
    "Date": one_of(just(*HTTP_DATES), retry_afters),
    "Age": one_of(just("nan", "inf", "-1", "1e300", "5"), texts),
    "Link": one_of(link_headers, texts),
    "Location": listed(URLS),
    "Replay-Nonce": nonces,
    "Content-Type": texts,
    "Content-Length": just("0", "-1", "99999999999", "x"),
    "Content-Encoding": just("gzip", "br", "identity", "x"),
}


def as_header(text: str) -> str:
    """Return a text as HTTP transports it: one line of ISO 8859-1."""
    return text.encode("latin-1", "replace").decode("latin-1").replace("\r", "").replace("\n", "")


def header_sets(source: Source) -> dict[str, str]:
    """Some headers, each with something that it should not say."""
    names = source.some(sorted(HEADERS), 4)
    return {name: as_header(HEADERS[name](source)) for name in names}


@cache
def bodies(kind: str) -> Make[bytes]:
    """An answer of one kind, nearly right."""
    if kind == "certificate":
        return one_of_octets(CHAIN, ROOT.pem, CHAIN * 3, CHAIN.replace(b"\n", b"\r\n"))
    original = OBJECTS.get(kind, {})
    right = encoded(altered(original))
    prefix = "urn:ietf:params:acme:error:"
    return one_of(
        right,
        right,
        right,
        encoded(altered(PROBLEM)),
        encoded(documents),
        encoded(lambda source: {**PROBLEM, "type": prefix + source.choice(KINDS)}),
        encoded(lambda source: {**original, "status": source.choice(STATES)}),
    )


@cache
def answers(kind: str) -> Make[Response]:
    """An answer of one kind, with any status and headers."""

    def make(source: Source) -> Response:
        return answer(source.choice(STATUSES), bodies(kind)(source), header_sets(source))

    return make


STATUSES: Final = (200,) * 6 + (201, 204, 301, 307, 400, 403, 404, 409, 429, 500, 503, 599)


@dataclass(frozen=True)
class Twist:
    """An answer that is given instead of the right one.

    Attributes:
        kind: The first part of the path that is asked for.
        skipped: How many right answers of that kind come first.
        merged: Whether the right body stays, and only status and headers are others.
    """

    kind: str
    skipped: int
    merged: bool
    answer: Response


RESOURCES: Final = (
    "directory", "new-nonce", "new-account", "new-order", "order", "authz", "challenge",
    "finalize", "certificate", "renewal-info",
)  # fmt: skip


def twists(source: Source) -> tuple[Twist, ...]:
    """A few answers that are wrong, somewhere in an enrolment."""
    found = []
    for _ in range(source.integer(1, 3)):
        kind = source.choice(RESOURCES)
        skipped = source.integer(0, 2)
        found.append(Twist(kind, skipped, boolean(source), answers(kind)(source)))
    return tuple(found)


# --------------------------------------------------------------------------- who answers


@dataclass
class Connection(BaseAdapter):
    """A replacement of the network below ``requests``."""

    authority: FakeAuthority
    twists: deque[Twist]
    met: dict[str, int] = field(default_factory=dict)
    asked: int = 0

    def send(self, request: requests.PreparedRequest, **_: object) -> requests.Response:  # type: ignore[override] # of how nothing matters
        self.asked += 1
        assert self.asked <= MOST_REQUESTS, "the authority is asked without end"
        url = request.url or ""
        if urlsplit(url).netloc != "ca.test":
            raise requests.ConnectionError("no such host")
        return self._response(request, self._answer(request, url))

    def close(self) -> None:
        """Nothing is open."""

    def _answer(self, request: requests.PreparedRequest, url: str) -> Response:
        kind = url.removeprefix(BASE).split("/")[1]
        self.met[kind] = self.met.get(kind, -1) + 1
        try:
            body = request.body
            right = self.authority.send(
                request.method or "",
                url,
                deadline=Deadline.after(60),
                body=body if isinstance(body, bytes) else None,
            )
        except (LookupError, AttributeError, ValueError, AssertionError):  # what it never gave out
            right = answer(404, b"")
        for twist in self.twists:
            if twist.kind == kind and twist.skipped <= self.met[kind]:
                headers = {**right.headers, **twist.answer.headers}
                body_now = right.body if twist.merged else twist.answer.body
                return answer(twist.answer.status, body_now, headers)
        return right

    @staticmethod
    def _response(request: requests.PreparedRequest, given: Response) -> requests.Response:
        response = requests.Response()
        response.status_code = given.status
        response.headers = CaseInsensitiveDict(given.headers)
        response.url = request.url or ""
        response.request = request
        response.raw = HTTPResponse(
            body=BytesIO(given.body),
            headers=HTTPHeaderDict(),
            status=given.status,
            preload_content=False,
        )
        return response


def transport(authority: FakeAuthority, found: tuple[Twist, ...] = ()) -> AcmeTransport:
    """The real one, above a played connection."""
    return AcmeTransport("acme", adapter=Connection(authority, deque(found)))


class Impatient(Deadline):
    """So many pauses may be made, however long; none takes any time."""

    pauses: dict[int, float] = {}  # noqa: RUF012 - of this process, by deadline

    @property
    def remaining(self) -> float:
        return max(0.0, 300.0 - self.pauses.get(id(self), 0.0))

    def sooner(self, seconds: float) -> Deadline:
        return Deadline.after(min(seconds, 5.0))

    def wait(self, seconds: float) -> None:
        self.pauses[id(self)] = self.pauses.get(id(self), 0.0) + max(seconds, 1.0)


def client_of(authority: FakeAuthority, found: tuple[Twist, ...] = ()) -> Client:
    return Client("acme", DIRECTORY_URL, transport=transport(authority, found), now=lambda: NOW)


# --------------------------------------------------------------------------- the properties


@promised(twists, examples=120, share=2)
def test_an_enrolment_ends_in_a_checked_chain_or_in_an_error(found: tuple[Twist, ...]) -> None:
    authority = FakeAuthority(ROOT)
    client = client_of(authority, found)
    accounts = Accounts()
    accounts.kept["acme"] = Account(KEY, f"{BASE}/account/1", DIRECTORY_URL)
    journal = Journal(TARGET)
    journal.request = REQUEST
    journal.new_request = lambda **_: REQUEST  # type: ignore[method-assign] # a key is slow to make
    solver = FakeSolver()
    deadline = Impatient(0.0)
    budget = Budget(accounts, DIRECTORY_URL, Limits(), "acme", "acme", lambda: NOW)
    Impatient.pauses.clear()
    with refused_properly():
        registrar = AccountRegistrar(SETTINGS, accounts, client)
        account = registrar.ensure_account(deadline, budget)
        registrar.mark_unknown(account)
        account = registrar.ensure_account(deadline, budget)
        told: list[str] = []
        issued = Enrolment(
            settings=SETTINGS,
            client=client,
            account=account,
            solvers={"http-01": solver, "dns-persist-01": solver},
            target=TARGET,
            journal=journal,
            progress=lambda _gateway, _stage, message: told.append(str(message)),
            deadline=deadline,
            now=lambda: NOW,
            budget=budget,
        ).run("")
        assert summarize(issued.certificate, issued.chain).covers(TARGET.identifiers)
        for message in told:
            check_line(message)
    up = sum(event.startswith("present") for event in solver.events)
    assert up == sum(event.startswith("clean up") for event in solver.events)
    for challenge in solver.challenges:
        assert "/" not in challenge.token
        assert "." not in challenge.token


@promised(answers("directory"), share=10)
def test_a_directory(given: Response) -> None:
    client = client_of(FakeAuthority(ROOT), (Twist("directory", 0, merged=False, answer=given),))
    with refused_properly():
        client.directory(Deadline.after(5))
    assert client.clock_ahead is None or abs(client.clock_ahead) < timedelta.max


@promised(answers("renewal-info"), boolean, share=5)
def test_renewal_information(given: Response, again: bool) -> None:  # noqa: FBT001 - drawn
    summary = summarize(*split(CHAIN))
    twist = Twist("renewal-info", 0, merged=False, answer=given)
    client = client_of(FakeAuthority(ROOT), (twist,))
    found = fetch(client, summary, None, deadline=Deadline.after(5), now=lambda: NOW)
    if again:
        found = fetch(client, summary, found, deadline=Deadline.after(5), now=lambda: NOW)
    check_renewal(found)


def check_renewal(found: RenewalInfo) -> None:
    assert NOW + timedelta(minutes=1) <= found.next_fetch <= NOW + timedelta(days=1)
    assert found.explanation_url == "" or found.explanation_url.startswith("https://")
    state = GatewayState(EnrolmentState(renewal=found))
    assert decode(GatewayState, encode(state)) == state


@promised(answers("problem"), share=110)
def test_a_problem(given: Response) -> None:
    reader = ResponseReader("acme", lambda: NOW)
    try:
        reader.checked(given)
    except GatecertError as error:
        check_error(error)
    else:
        assert given.status < 400


def resources(source: Source) -> tuple[str, bytes]:
    """A body of some kind."""
    kind = source.choice(("directory", "new-order", "authz", "renewal-info"))
    return kind, bodies(kind)(source)


@promised(resources, share=140)
def test_a_resource(drawn: tuple[str, bytes]) -> None:
    kind, body = drawn
    readers: dict[str, Callable[[object], object]] = {
        "directory": Directory.read,
        "new-order": lambda value: Order.read(value, url=f"{BASE}/order/1"),
        "authz": lambda value: Authorization.read(value, url=f"{BASE}/authz/1"),
        "renewal-info": SuggestedWindow.read,
    }
    reader = ResponseReader("acme", lambda: NOW)
    try:
        value = reader.read(answer(200, body), readers[kind])
    except AuthorityUnreachableError as error:
        check_error(error)
    else:
        assert value is not None
        assert len(repr(value)) < 8 * MAX_BODY_BYTES


@promised(documents, share=60)
def test_a_challenge_and_a_problem_of_any_shape(document: object) -> None:
    offer = ChallengeOffer.read(document)
    assert offer is None or offer.url
    problem = ProblemDocument.read(document)
    assert problem is None or problem.detail


@promised(retry_afters, one_of(just(""), just(*HTTP_DATES)), share=110)
def test_retry_after_in_both_forms(text: str, date: str) -> None:
    headers = {"Retry-After": text, "Date": date} if date else {"Retry-After": text}
    seconds = retry_after_seconds(headers, NOW)
    assert seconds is None or 0.0 <= seconds <= MAX_RETRY_AFTER


@promised(header_sets, share=100)
def test_headers(given: Mapping[str, str]) -> None:
    for url in links(answer(200, b"", given), "alternate"):
        assert isinstance(url, str)
    when = server_time(CaseInsensitiveDict(given))
    assert when is None or when.tzinfo is not None


@promised(bodies("certificate"), share=50)
def test_a_certificate_chain(fullchain: bytes) -> None:
    with refused_properly():
        checked = check_issued(
            KEY,
            fullchain,
            TARGET.identifiers,
            now=NOW,
            trusted_roots=[ROOT.certificate],
            system_roots=(),
        )
        assert summarize(checked.certificate, checked.chain).covers(TARGET.identifiers)


@promised(instants, instants, just(*NUMBERS), share=3)
def test_renewal_windows_at_the_ends_of_time(start: str, end: str, more: float) -> None:
    document = {"suggestedWindow": {"start": start, "end": end}, "explanationURL": more}
    twist = Twist("renewal-info", 0, merged=False, answer=answer(200, document))
    client = client_of(FakeAuthority(ROOT), (twist,))
    check_renewal(
        fetch(
            client,
            summarize(*split(CHAIN)),
            None,
            deadline=Deadline.after(5),
            now=lambda: NOW,
        )
    )


def split(chain: bytes) -> tuple[bytes, bytes]:
    """Leaf and the rest."""
    end = b"-----END CERTIFICATE-----\n"
    leaf, _, rest = chain.partition(end)
    return leaf + end, rest


def test_a_chain_that_is_right_is_taken() -> None:
    """The properties above are worth something only if what is right passes them."""
    checked = check_issued(
        KEY, CHAIN, TARGET.identifiers, now=NOW, trusted_roots=[ROOT.certificate], system_roots=()
    )
    assert checked.root
    with refused_properly():
        raise CertificateError("refused", fix="do something")
    assert datetime.now(UTC) > datetime(2020, 1, 1, tzinfo=UTC)


def test_an_enrolment_without_a_twist_succeeds() -> None:
    authority = FakeAuthority(ROOT)
    client = client_of(authority)
    account_url = client.new_account(KEY, (), Deadline.after(5))
    journal = Journal(TARGET)
    journal.new_request = lambda **_: REQUEST  # type: ignore[method-assign] # a key is slow to make
    Impatient.pauses.clear()
    Enrolment(
        settings=SETTINGS,
        client=client,
        account=Account(KEY, account_url, DIRECTORY_URL),
        solvers={"http-01": FakeSolver()},
        target=TARGET,
        journal=journal,
        progress=lambda *_: None,
        deadline=Impatient(0.0),
        now=lambda: NOW,
        budget=UNLIMITED,
    ).run("")
    kinds = {request.path.split("/")[1] for request in authority.requests}
    assert kinds >= set(RESOURCES) - {"renewal-info"}
