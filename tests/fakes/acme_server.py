"""An ACME authority in memory that stands in for the network and can be told to misbehave."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from acme.jws import JWS
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from josepy.b64 import b64decode, b64encode
from josepy.jwk import JWK
from requests.structures import CaseInsensitiveDict

from gatecert.acme.protocol import stopping_error
from gatecert.http.fetcher import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.fakes.root_authority import RootAuthority

    from gatecert.deadline import Deadline


BASE = "https://ca.test"


DIRECTORY_URL = f"{BASE}/directory"


PROBLEM = "urn:ietf:params:acme:error:"


TERMS = f"{BASE}/terms"


def answer(
    status: int = 200, body: object = None, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer; a body that is not bytes is made JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status, CaseInsensitiveDict(headers or {}), content, f"{BASE}/somewhere")


def problem(kind: str, detail: str = "because", status: int = 400, **headers: str) -> Response:
    return answer(
        status,
        {"type": PROBLEM + kind, "detail": detail},
        {name.replace("_", "-"): value for name, value in headers.items()},
    )


@dataclass
class Request:
    """A request to the CA."""

    method: str
    path: str
    header: dict[str, Any] = field(default_factory=dict)
    payload: dict[str, Any] | None = None
    body: bytes = b""


class FakeAuthority:
    """Answers as RFC 8555 wants it, unless something else is queued for a path.

    Attributes:
        queued: Answers or errors to give first, by the first part of the path.
        meta: The directory's ``meta``.
        refused: Problems with which names fail their validation.
        proven: Names that need no challenge.
        looks: How many looks an order stays pending after its challenges were answered.
        slow_looks: How many looks it stays processing after its finalisation.
        challenge_headers: What comes along when a challenge was answered.
        issue: Makes a chain of a CSR (DER).
        first_root: Who issues what is downloaded first; then ``issue``'s is the alternate.
        at_once: Whether finalisation is answered with a certificate.
        offers: Challenge types that are offered, with what is added to each; an error comes only
            once it was answered.
        deactivated: URLs of accounts that were given up.
        contact: What it says an account's contacts are.
        revoked: Reason codes by certificate (DER).
        stays_pending: Whether an order stays pending although an authorization is invalid.
        errors: For how many looks at authorizations the errors of ``offers`` are shown.
        instead: Names that authorizations are for in place of those that were ordered.
        retry_after: What comes along with an order.
        relative: Whether the Location of an order is a relative URL.
        leaves_out: Fields that the answer to a finalisation lacks.
        alternates: HTTP status of alternate chains.
    """

    def __init__(self, root: RootAuthority) -> None:
        self.root = root
        self.requests: list[Request] = []
        self.queued: defaultdict[str, deque[Response | Exception]] = defaultdict(deque)
        self.meta: dict[str, Any] = {"termsOfService": TERMS, "profiles": {"short": "6 days"}}
        self.renewal_info = True
        self.refused: dict[str, dict[str, str]] = {}
        self.proven: set[str] = set()
        self.looks = 0
        self.slow_looks = 0
        self.rejected_nonces = 0
        self.challenge_headers: dict[str, str] = {}
        self.offers: dict[str, dict[str, Any]] = {"shiny-99": {}, "http-01": {}, "dns-01": {}}
        self.accounts: dict[str, str] = {}
        self.deactivated: set[str] = set()
        self.contact: list[str] = []
        self.revoked: dict[bytes, int | None] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.issue: Callable[[bytes], bytes] = root.issue
        self.first_root: RootAuthority | None = None
        self.at_once = False
        self.stays_pending = False
        self.errors = 1_000_000
        self.instead: dict[str, str] = {}
        self.retry_after = ""
        self.relative = False
        self.leaves_out: set[str] = set()
        self.alternates = 200
        self._numbers = itertools.count(1)
        self._nonces: set[str] = set()
        self._lock = threading.Lock()

    # ------------------------------------------------------------------ the wire

    def send(
        self, method: str, url: str, *, deadline: Deadline, body: bytes | None = None
    ) -> Response:
        if deadline.interrupted:
            raise stopping_error()
        with self._lock:
            request = Request(method, url.removeprefix(BASE))
            if body is not None:
                message = json.loads(body)
                request.header = json.loads(b64decode(message["protected"]))
                request.payload = json.loads(b64decode(message["payload"]) or b"null")
                request.body = body
                assert request.header["url"] == url
            self.requests.append(request)
            response = self._answer(request)
            headers = CaseInsensitiveDict(response.headers)
            if method != "GET":
                headers.setdefault("Replay-Nonce", self._make_nonce())
            return replace(response, headers=headers, url=url)

    def _answer(self, request: Request) -> Response:
        kind = request.path.split("/")[1]
        if request.method == "POST":
            nonce = request.header["nonce"]
            if nonce not in self._nonces or self.rejected_nonces > 0:
                self.rejected_nonces -= 1
                return problem("badNonce")
            self._nonces.remove(nonce)
        if self.queued[kind]:
            queued = self.queued[kind].popleft()
            if isinstance(queued, Exception):
                raise queued
            return queued
        if request.method == "POST" and kind not in {"new-account", "revoke-cert"}:
            refusal = self._refusal_of_account(request)
            if refusal is not None:
                return refusal
        handler = getattr(self, "_" + kind.replace("-", "_"))
        response: Response = handler(request)
        return response

    def _refusal_of_account(self, request: Request) -> Response | None:
        """Return why a request does not come from a known valid account."""
        url = request.header.get("kid")
        key = next((key for key, each in self.accounts.items() if each == url), None)
        if key is None:
            return problem("accountDoesNotExist")
        if not JWS.json_loads(request.body).verify(JWK.from_json(json.loads(key))):
            return problem("malformed", "JWS verification error")
        if url in self.deactivated:
            return problem("unauthorized", "Account has been deactivated", 403)
        return None

    def _make_nonce(self) -> str:
        nonce = b64encode(f"nonce-{next(self._numbers):06}".encode()).decode()
        self._nonces.add(nonce)
        return nonce

    def sent(self, kind: str) -> list[Request]:
        return [each for each in self.requests if each.path.split("/")[1] == kind]

    # ------------------------------------------------------------------ resources

    def directory(self) -> Response:
        """Return the answer to a request for the directory."""
        return self._directory(Request("GET", "/directory"))

    def _directory(self, _: Request) -> Response:
        paths = {
            "newNonce": "new-nonce",
            "newAccount": "new-account",
            "newOrder": "new-order",
            "revokeCert": "revoke-cert",
            "keyChange": "key-change",
        }
        urls = {name: f"{BASE}/{path}" for name, path in paths.items()}
        if self.renewal_info:
            urls["renewalInfo"] = f"{BASE}/renewal-info/"
        return answer(200, {**urls, "meta": self.meta, "surprise": {"new": 1}})

    def _new_nonce(self, _: Request) -> Response:
        return answer(200, b"")

    def _new_account(self, request: Request) -> Response:
        payload = request.payload or {}
        thumbprint = json.dumps(request.header["jwk"], sort_keys=True)
        known = self.accounts.get(thumbprint)
        if known in self.deactivated:
            return problem("unauthorized", "an account exists but is deactivated", 403)
        if known is None and payload.get("onlyReturnExisting"):
            return problem("accountDoesNotExist")
        url = self.accounts.setdefault(thumbprint, f"{BASE}/account/{next(self._numbers)}")
        return answer(200 if known else 201, {"status": "valid"}, {"Location": url})

    def _account(self, request: Request) -> Response:
        status = (request.payload or {}).get("status", "valid")
        if status == "deactivated":
            self.deactivated.add(request.header["kid"])
        return answer(200, {"status": status, "contact": self.contact})

    def _key_change(self, request: Request) -> Response:
        inner = JWS.json_loads(json.dumps(request.payload))
        header = inner.signature.combined
        payload = json.loads(inner.payload)
        new_key = json.dumps(header.jwk.to_json(), sort_keys=True)
        old_key = json.dumps(payload["oldKey"], sort_keys=True)
        assert inner.verify(header.jwk)
        assert header.url == f"{BASE}/key-change"
        assert header.nonce is None
        assert payload["account"] == request.header["kid"] == self.accounts[old_key]
        if new_key in self.accounts:
            return problem("malformed", "the key is in use", 409)
        self.accounts[new_key] = self.accounts.pop(old_key)
        return answer(200, {"status": "valid"})

    def _revoke_cert(self, request: Request) -> Response:
        der = b64decode((request.payload or {})["certificate"])
        certificate = x509.load_der_x509_certificate(der)
        key = JWK.load(
            certificate.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        if "jwk" in request.header:
            if request.header["jwk"] != key.to_json():
                return problem("unauthorized", "another key", 403)
        elif refusal := self._refusal_of_account(request):
            return refusal
        if der in self.revoked:
            return problem("alreadyRevoked")
        self.revoked[der] = (request.payload or {}).get("reason")
        return answer(200, b"")

    def _new_order(self, request: Request) -> Response:
        number = str(next(self._numbers))
        names = [each["value"] for each in (request.payload or {})["identifiers"]]
        self.orders[number] = {
            "names": names,
            "status": "pending",
            "valid": {name for name in names if name in self.proven},
            "answered": set(),
            "looks": self.looks,
            "slow": self.slow_looks,
        }
        self._advance(number)
        location = {"Location": f"{'' if self.relative else BASE}/order/{number}"}
        return answer(201, self._order_object(number), location)

    def _advance(self, number: str) -> None:
        order = self.orders[number]
        names = set(order["names"])
        if order["status"] != "pending":
            return
        if names & set(self.refused) & order["answered"]:
            order["status"] = "pending" if self.stays_pending else "invalid"
        elif order["valid"] | order["answered"] == names:
            order["valid"] = names
            order["status"] = "ready"

    def _order_object(self, number: str) -> dict[str, Any]:
        order = self.orders[number]
        urls = [f"{BASE}/authz/{number}/{name}" for name in order["names"]]
        found = {
            "status": order["status"],
            "authorizations": urls,
            "finalize": f"{BASE}/finalize/{number}",
            "novelty": [],
        }
        if order["status"] == "valid":
            found["certificate"] = f"{BASE}/certificate/{number}"
        return found

    def _order(self, request: Request) -> Response:
        number = request.path.split("/")[2]
        if number not in self.orders:
            return answer(404, b"")
        order = self.orders[number]
        if order["status"] == "pending" and order["answered"]:
            order["looks"] -= 1
            if order["looks"] < 0:
                self._advance(number)
        elif order["status"] == "processing":
            order["slow"] -= 1
            if order["slow"] < 0:
                order["status"] = "valid"
        wait = {"Retry-After": self.retry_after} if self.retry_after else {}
        return answer(200, self._order_object(number), wait)

    def _authz(self, request: Request) -> Response:
        _, _, number, name = request.path.split("/")
        order = self.orders[number]
        refused = name in self.refused and name in order["answered"]
        status = "invalid" if refused else "valid" if name in order["valid"] else "pending"
        base_name = self.instead.get(name, name).removeprefix("*.")
        if order["answered"]:
            self.errors -= 1
        challenges = [
            {
                "type": kind,
                "url": f"{BASE}/challenge/{number}/{name}/{kind}",
                "status": "processing" if name in order["answered"] else "pending",
                "token": hashlib.sha256(f"{number}{name}{kind}".encode()).hexdigest(),
                **({"error": self.refused[name]} if refused else {}),
                **(
                    extra
                    if "error" not in extra or (name in order["answered"] and self.errors >= 0)
                    else {}
                ),
            }
            for kind, extra in self.offers.items()
        ]
        return answer(
            200,
            {
                "identifier": {"type": "dns", "value": base_name},
                "status": status,
                "challenges": challenges,
                **({"wildcard": True} if name != base_name else {}),
            },
        )

    def _challenge(self, request: Request) -> Response:
        _, _, number, name, _ = request.path.split("/")
        assert request.payload == {}
        self.orders[number]["answered"].add(name)
        return answer(200, {"status": "processing"}, self.challenge_headers)

    def _finalize(self, request: Request) -> Response:
        number = request.path.split("/")[2]
        order = self.orders[number]
        order["csr"] = b64decode((request.payload or {})["csr"])
        order["status"] = "valid" if self.at_once else "processing"
        said = self._order_object(number)
        kept = {name: value for name, value in said.items() if name not in self.leaves_out}
        return answer(200, kept, {"Retry-After": "600"})

    def _certificate(self, request: Request) -> Response:
        csr = self.orders[request.path.split("/")[2]]["csr"]
        if request.path.endswith("/alternate") and self.alternates != 200:
            return answer(self.alternates, b"")
        if self.first_root is None or request.path.endswith("/alternate"):
            return answer(200, self.issue(csr))
        link = {"Link": f'<{BASE}{request.path}/alternate>;rel="alternate"'}
        return answer(200, self.first_root.issue(csr), link)

    def _renewal_info(self, _: Request) -> Response:
        window = {"start": "2026-12-01T00:00:00Z", "end": "2026-12-03T00:00:00Z"}
        return answer(200, {"suggestedWindow": window}, {"Retry-After": "21600"})
