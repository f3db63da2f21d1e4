"""Things to store: real keys, requests and chains, and any state."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Final

from hypothesis import strategies as st
from tests.fakes.pki import Issued, Pki, dns

from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.model import (
    AuthorityFailure,
    ChallengeFailure,
    EnrolmentState,
    HostState,
    IssuedChain,
    KeyRequest,
    Origin,
    Outcome,
    OutcomeKind,
    PendingOrder,
    RenewalInfo,
    RevocationReason,
    RevocationState,
)

CHAINS: Final = 3
NAMES: Final = dns("vpn.example.com", "www.example.com")
_PKI = Pki()


@cache
def issued(number: int = 0, *, pair: bool = False) -> IssuedChain:
    """A chain with its key; of each number another one."""
    chain = _chain(f"leaf {number}")
    return replace(chain, second=_chain(f"second leaf {number}")) if pair else chain


def _chain(name: str) -> IssuedChain:
    root = _PKI.root()
    issuer = _issuer(root)
    leaf = _PKI.issue(name, issuer)
    return IssuedChain(
        leaf.key_pem,
        leaf.pem,
        issuer.pem,
        Origin.AUTHORITY,
        root=root.pem,
        authority="letsencrypt",
        order_url=f"https://ca.example/order/{name.replace(' ', '-')}",
        notes=("a note",),
    )


@cache
def _issuer(root: Issued) -> Issued:
    return _PKI.authority("Issuer", root)


@cache
def private_key(number: int) -> bytes:
    """A key (PEM); of each number another one."""
    return key.to_pem(_PKI.key(f"key {number}"))


@cache
def _csr(number: int) -> bytes:
    return build_request(private_key(number), NAMES, common_name=None)


def key_request(request_id: str, created: datetime, number: int = 0) -> KeyRequest:
    """A request of the key with that number."""
    return KeyRequest(request_id, created, private_key(number), _csr(number))


_texts = st.text(st.characters(exclude_categories=["C"]), max_size=10)  # text is cleaned
_instants = st.datetimes(
    datetime(2026, 1, 1),  # noqa: DTZ001 - hypothesis wants bounds without a zone
    datetime(2028, 1, 1),  # noqa: DTZ001 - the same
    timezones=st.just(UTC),
)
_orders = st.builds(
    PendingOrder, _texts, _texts, _texts, _texts, st.just(NAMES), _instants, replaces=_texts
)

enrolments = st.builds(
    EnrolmentState,
    failures=st.integers(0, 9),
    failed_at=st.none() | _instants,
    next_attempt=st.none() | _instants,
    order=st.none() | _orders,
    second_order=st.none() | _orders,
    renewal=st.none() | st.builds(RenewalInfo, _texts, _instants, renew_at=st.none() | _instants),
    challenge_failures=st.lists(
        st.builds(ChallengeFailure, _texts, _texts, _instants, _texts), max_size=2
    ).map(tuple),
    troubles=st.lists(
        st.builds(
            AuthorityFailure, _texts, _instants, left_until=st.none() | _instants, fix=_texts
        ),
        max_size=2,
    ).map(tuple),
    revocation=st.none()
    | st.builds(
        RevocationState,
        _texts,
        _instants,
        revoked=st.none() | _instants,
        reason=st.sampled_from(RevocationReason),
    ),
    accepted_roots=st.lists(_texts, max_size=2).map(tuple),
)

hosts = st.builds(
    HostState,
    next_look=st.none() | _instants,
    outcome=st.none()
    | st.builds(Outcome, _texts, _instants, st.sampled_from(OutcomeKind), _texts, code=_texts),
)
