"""The checker of histories: what has to be true after any sequence of faults.

It looks at what nobody of the accused wrote alone: the CA's log, the files of all hosts, the rows
that survived, and what clients were served all the time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """A version in the files of a host.

    Attributes:
        fingerprint: SHA-256 of the certificate, hexadecimal.
        key: The public key, DER.
    """

    generation: int
    fingerprint: str
    key: bytes

    @classmethod
    def of(cls, generation: int, certificate: bytes) -> KeptVersion:
        """Return the version of a certificate, PEM."""
        leaf = x509.load_pem_x509_certificate(certificate)
        key = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return cls(generation, leaf.fingerprint(SHA256()).hex(), key)


@dataclass(frozen=True, slots=True)
class History:
    """The evidence at the end, when every host is back and sees the database.

    Attributes:
        orders: The number that the CA has opened.
        certificates: The number that the CA has issued.
        due: How often a certificate was due.
        expenses: The orders that the rows count: the id and the time of each request.
        limit: On the orders.
        journals: The orders that hosts have counted in their own files, by id.
        newest: Generation and fingerprint of the newest version in the rows.
        kept: The versions in the files of each host.
        served: The fingerprints that clients of each host got, one after the other.
        handshakes: Their number, of all clients.
        failures: Of handshakes, by host.
    """

    orders: int
    certificates: int
    due: int
    expenses: frozenset[tuple[str, str]]
    limit: int
    journals: frozenset[str]
    newest: tuple[int, str]
    kept: Mapping[str, Sequence[KeptVersion]]
    served: Mapping[str, Sequence[str]]
    handshakes: int
    failures: Mapping[str, Sequence[str]]

    @property
    def summary(self) -> str:
        """The numbers in one line."""
        return (
            f"{self.orders} orders of {len(self.expenses)} counted, {self.certificates} "
            f"certificates, generation {self.newest[0]}, {self.handshakes} handshakes"
        )


def violations(history: History) -> list[str]:
    """Return what should not have happened, one line each; nothing if all is well."""
    return [*_issuance(history), *_expenses(history), *_versions(history), *_service(history)]


def _issuance(history: History) -> Iterator[str]:
    if history.certificates > history.due:
        yield f"{history.certificates} certificates issued, but {history.due} due"
    for what, values in (
        ("generation", _by((each.generation, each.fingerprint) for each in _all_kept(history))),
        ("key", _by((each.key.hex()[-8:], each.fingerprint) for each in _all_kept(history))),
    ):
        for name, fingerprints in values.items():
            if len(fingerprints) > 1:
                yield f"{len(fingerprints)} certificates for {what} {name}"


def _expenses(history: History) -> Iterator[str]:
    if history.orders > len(history.expenses):
        yield f"{history.orders} orders, but {len(history.expenses)} counted"
    counted = {identifier for identifier, _ in history.expenses}
    if len(counted) > history.limit:
        yield f"{len(counted)} orders counted, but {history.limit} allowed"
    for lost in sorted(history.journals - counted):
        yield f"order {lost} is in the files of its host, but not in the rows"


def _versions(history: History) -> Iterator[str]:
    for host, versions in history.kept.items():
        for version in versions:
            if version.generation > history.newest[0]:
                yield f"generation {version.generation} of {host} has no row"
        found = {each.fingerprint for each in versions if each.generation == history.newest[0]}
        if found != {history.newest[1]}:
            yield f"{host} does not have generation {history.newest[0]} of the rows"


def _service(history: History) -> Iterator[str]:
    generations = {each.fingerprint: each.generation for each in _all_kept(history)}
    for host, fingerprints in history.served.items():
        served = [generations.get(fingerprint, 0) for fingerprint in fingerprints]
        if sorted(served) != served:
            yield f"{host} went back to an earlier generation: {served}"
        if not served or fingerprints[-1] != history.newest[1]:
            yield f"{host} does not serve the newest version"
    for host, failures in history.failures.items():
        for failure in failures:
            yield f"a client of {host} was not served: {failure}"


def _all_kept(history: History) -> Iterator[KeptVersion]:
    for versions in history.kept.values():
        yield from versions


def _by(pairs: Iterable[tuple[object, str]]) -> dict[object, set[str]]:
    grouped: dict[object, set[str]] = defaultdict(set)
    for key, value in pairs:
        grouped[key].add(value)
    return grouped
