"""The rules of the proxy: which requests get a fault, how often, and the requests so far."""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.faults.proxy.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

# Where Pebble keeps what RFC 8555 and RFC 9773 speak of; the longest prefix counts.
ENDPOINTS = {
    "/dir": "directory",
    "/nonce-plz": "new-nonce",
    "/sign-me-up": "new-account",
    "/my-account/": "account",
    "/order-plz": "new-order",
    "/my-order/": "order",
    "/authZ/": "authorization",
    "/chalZ/": "challenge",
    "/finalize-order/": "finalize",
    "/certZ/": "certificate",
    "/draft-ietf-acme-ari-": "renewal-info",
    "/revoke-cert": "revoke",
    "/rollover-account-key": "key-change",
}
ANY = "any"


def endpoint(path: str) -> str:
    """Return the purpose of a path in the RFC's terms; the path itself if unknown."""
    found = [prefix for prefix in ENDPOINTS if path.startswith(prefix)]
    return ENDPOINTS[max(found, key=len)] if found else path


@dataclass(slots=True)
class Rule:
    """One fault, and the requests that it is for.

    Attributes:
        where: An endpoint of ``ENDPOINTS``, or ``any``.
        times: How many requests it strikes before it is spent; None for all.
        after: Number of matching requests to let through first.
        seconds: Its duration from the first matching request; None for no limit.
    """

    where: str
    fault: Fault
    times: int | None = None
    after: int = 0
    seconds: float | None = None
    seen: int = 0
    first_seen: float | None = None

    def strikes(self, where: str) -> bool:
        """Return True if the rule is for this request, and count the request."""
        if self.where not in {ANY, where}:
            return False
        now = time.monotonic()
        self.first_seen = now if self.first_seen is None else self.first_seen
        self.seen += 1
        if self.seen <= self.after:
            return False
        if self.seconds is not None and now > self.first_seen + self.seconds:
            return False
        return self.times is None or self.seen <= self.after + self.times


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that reached the proxy.

    Attributes:
        at: When it came, on ``time.monotonic()``.
        where: Its endpoint.
        fault: What was done to it, empty where nothing was.
        secure: Whether it came over HTTPS.
        payload: What a JWS carried; None without one.
    """

    at: float
    method: str
    path: str
    where: str
    fault: str = ""
    secure: bool = True
    payload: Any = None


@dataclass
class Rules:
    """The rules in force, and a journal of all requests; safe to use from any thread."""

    _rules: list[Rule] = field(default_factory=list)
    _journal: list[Entry] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, where: str, fault: Fault, **when: Any) -> Rule:  # noqa: ANN401 - a Rule's fields
        """From now on, strike these requests."""
        if where != ANY and where not in ENDPOINTS.values():
            raise ValueError(f"{where!r} is none of: any, {', '.join(ENDPOINTS.values())}")
        return self.append(Rule(where, fault, **when))

    def append(self, rule: Rule) -> Rule:
        """From now on, go by this rule as well."""
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Pass everything through again; the journal stays."""
        with self._lock:
            self._rules.clear()

    def judge(
        self, method: str, path: str, body: bytes, *, secure: bool
    ) -> tuple[Fault | None, Entry]:
        """The fault that a request is struck with, the earliest rule's, and its entry."""
        where = endpoint(path)
        with self._lock:
            # Each rule counts what it is for, also where an earlier one has struck already.
            struck = [rule for rule in self._rules if rule.strikes(where)]
            fault = struck[0].fault if struck else None
            name = type(fault).__name__ if fault is not None else ""
            entry = Entry(time.monotonic(), method, path, where, name, secure, payload_of(body))
            self._journal.append(entry)
        return fault, entry

    def journal(self, where: str | None = None) -> Sequence[Entry]:
        """Every request so far, or those to one endpoint."""
        with self._lock:
            return [entry for entry in self._journal if where in {None, entry.where}]

    def asked(self, where: str) -> int:
        """Return the number of requests to an endpoint."""
        return len(self.journal(where))


def payload_of(body: bytes) -> Any:  # noqa: ANN401 - any JSON
    """Return the unverified payload of a flattened JWS (RFC 7515 section 7.2.2), or None."""
    try:
        encoded = json.loads(body)["payload"]
        return json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)) or "null")
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
