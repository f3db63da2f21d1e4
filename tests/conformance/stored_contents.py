"""Everything in a store as one value: as a model knows it, and as a store shows it.

A value has an entry for each thing that can be asked for, such as ``("token", kind, token)``; what
is not there has none. Ids that a store chooses are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from gatecert.model import EnrolmentState, HostState

if TYPE_CHECKING:
    from datetime import datetime

    from gatecert.model import IssuedChain, KeyRequest, PublishedRecord, TextRecord, Version
    from gatecert.store.protocol import HostStore

Contents: TypeAlias = dict[tuple[str, ...], Any]

GATEWAYS: Final = ("boston", "hq")
AUTHORITIES: Final = ("letsencrypt", "private")
TOKENS: Final = (("http-01", "AA-_09"), ("http-01", "b"), ("tls-alpn-01", "AA-_09"))
_NOTHING: Final = (None, (), EnrolmentState(), HostState())


def shown_by(store: HostStore) -> Contents:
    """Ask a store for everything but counted requests."""
    shown: Contents = {("records",): tuple(shown_record(each) for each in store.records())}
    for gateway in GATEWAYS:
        state, versions = store.state(gateway), store.versions(gateway)
        shown["enrolment", gateway] = state.enrolment
        shown["host", gateway] = state.host
        shown["versions", gateway] = tuple(_shown_version(store, each) for each in versions)
        shown["requests", gateway] = tuple(map(shown_request, store.requests(gateway)))
    for authority in AUTHORITIES:
        shown["account", authority] = store.account(authority)
        shown["next key", authority] = store.next_key(authority)
    for kind, token in TOKENS:
        shown["token", kind, token] = store.token(kind, token)
    return without_nothing(shown)


def without_nothing(contents: Contents) -> Contents:
    """Leave out entries that say that there is nothing."""
    return {key: value for key, value in contents.items() if value not in _NOTHING}


def shown_version(gateway: str, issued: IssuedChain, created: datetime) -> tuple[object, ...]:
    """A version as the store shows it once it is added."""
    second = issued.second
    return (
        (gateway, created, issued.origin, issued.authority, issued.order_url),
        (issued.private_key, issued.certificate, issued.chain, issued.root),
        (second.private_key, second.certificate, second.chain, second.root) if second else (),
    )


def _shown_version(store: HostStore, version: Version) -> tuple[object, ...]:
    first = store.private_key(version), version.certificate, version.chain
    second: tuple[bytes, ...] = ()
    if version.second_certificate:
        second_key = store.private_key(version, second=True)
        root = store.stored_root(version, second=True)
        second = (second_key, version.second_certificate, version.second_chain, root)
    about = (version.created, version.origin, version.authority, version.order_url)
    return ((version.gateway, *about), (*first, store.stored_root(version)), second)


def shown_request(request: KeyRequest) -> tuple[object, ...]:
    """A key request without what only hosts of a fleet know of it."""
    return (request.id, request.created, request.private_key, request.csr)


def shown_record(published: PublishedRecord) -> tuple[TextRecord, datetime, bool]:
    """A published record without its id."""
    return (published.record, published.at, published.abandoned)
