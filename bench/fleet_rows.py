"""The rows of a large fleet: names that were renewed once, on the real schema.

Certificates are as large as those of Let's Encrypt, and keys are sealed. Many gateways have the
same ones, by which the server saves nothing: it does not compare them.
"""

from __future__ import annotations

import json
import random
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from tests.fakes.pki import Pki

from gatecert.model import CountedRequest, EnrolmentState, RenewalInfo, RequestKind
from gatecert.model.fleet import Priority
from gatecert.store.codec import encode
from gatecert.store.counting_rules import LIMITED
from gatecert.store.request_groups import groups_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from psycopg import Connection
    from tests.fakes.pki import Issued

CLUSTER: Final = "hq"
HOSTS: Final = ("gw-a", "gw-b")
LIFETIME: Final = timedelta(days=90)
RENEWED_AFTER: Final = timedelta(days=60)
WEEK: Final = timedelta(days=7)  # of the longest limit
AUTHORITY: Final = "https://acme-v02.api.letsencrypt.org"
DIRECTORY_URL: Final = f"{AUTHORITY}/directory"
ACCOUNT: Final = f"{AUTHORITY}/acme/acct/1234567890"
DETAILS: Final = json.dumps(
    {"authority": "letsencrypt", "order_url": f"{ACCOUNT}/123456789012", "notes": []}
)

DIFFERENT: Final = 500  # certificates
EXTENSION: Final = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")  # RFC 6962 section 3.3
EXTENSION_SIZE: Final = 440  # bytes; with it a certificate has the size of one of Let's Encrypt

Row = tuple[object, ...]


@dataclass
class FleetRows:
    """All rows of a cluster in which nothing is due.

    Attributes:
        count: The number of gateways.
        now: When they are as they are.
    """

    count: int
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    _random: random.Random = field(default_factory=lambda: random.Random(1), init=False)  # noqa: S311 - the same fleet in every run

    def insert(self, owner: Connection) -> None:
        """Insert them.

        Args:
            owner: The owner's connection, with the search path of the schema. The cluster and its
                hosts exist.
        """
        gateways = list(self._gateways())
        pki = Pki()
        root = pki.root("Bench root", key_kind="4096")
        issuer = pki.authority("Bench CA", root)
        above = [(sha256(each.pem).digest(), each.pem.decode("ascii")) for each in (issuer, root)]
        versions = list(self._versions(pki, issuer, [digest for digest, _ in above]))
        _copy(owner, "authority (directory_url)", [(DIRECTORY_URL,)])
        _copy(
            owner,
            "gateway (cluster, name, generation, priority, not_after, ending_from, due, enrolment)",
            gateways,
        )
        _copy(owner, "issuer (digest, pem)", above)
        _copy(
            owner,
            "version (cluster, gateway, generation, not_after, host, details, fingerprint, "
            "certificate, chain, root, sealed_key)",
            (
                (CLUSTER, row[1], 2, row[4], HOSTS[0], DETAILS, *self._random.choice(versions))
                for row in gateways
            ),
        )
        _copy(
            owner,
            "intent (cluster, gateway, generation, request, directory_url, host, closed)",
            (
                (CLUSTER, row[1], 2, _request_id(), DIRECTORY_URL, HOSTS[0], self.now)
                for row in gateways
            ),
        )
        _copy(
            owner,
            "deployment (cluster, gateway, host, generation, outcome)",
            ((CLUSTER, row[1], host, 2, "proven") for row in gateways for host in HOSTS),
        )
        _copy(
            owner,
            "expense (directory_url, kind, counted_by, value, id, at, names, cluster, host)",
            self._expenses(gateways),
        )
        owner.execute("VACUUM ANALYZE")

    def _gateways(self) -> Iterator[Row]:
        for number in range(self.count):
            begin = self.now - RENEWED_AFTER * self._random.random()
            renewal = RenewalInfo(
                secrets.token_urlsafe(40),
                next_fetch=self.now + timedelta(hours=6),
                renew_at=begin + RENEWED_AFTER,
            )
            yield (
                CLUSTER,
                f"site{number:06}/vpn",
                2,
                int(Priority.RENEWAL),
                begin + LIFETIME,
                begin + LIFETIME * 9 / 10,
                begin + RENEWED_AFTER + timedelta(days=1),
                encode(EnrolmentState(renewal=renewal), indent=None).decode(),
            )

    def _versions(self, pki: Pki, issuer: Issued, above: Sequence[bytes]) -> Iterator[Row]:
        seal = Fernet(Fernet.generate_key())
        for number in range(DIFFERENT):
            extension = x509.UnrecognizedExtension(EXTENSION, secrets.token_bytes(EXTENSION_SIZE))
            name = f"site{number:06}.ddns.example"
            issued = pki.issue(name, issuer, names=[name], extensions=[(extension, False)])
            fingerprint = issued.certificate.fingerprint(hashes.SHA256()).hex()
            pem, sealed = issued.pem.decode("ascii"), seal.encrypt(issued.key_pem)
            yield (fingerprint, pem, *above, sealed)

    def _expenses(self, gateways: Sequence[Row]) -> Iterator[Row]:
        """Yield what the renewals of a week have counted."""
        for row in gateways[: int(self.count * (WEEK / RENEWED_AFTER))]:
            at = self.now - WEEK * self._random.random()
            names = (f"{str(row[1]).partition('/')[0]}.ddns.example",)
            for kind in (RequestKind.ORDER, RequestKind.REPLACEMENT):
                request = CountedRequest(kind, at, names=names, account=ACCOUNT, id=_request_id())
                for by in {each.by for each in LIMITED.values() if each.kind is kind}:
                    for value in groups_of(request, by):
                        group = (DIRECTORY_URL, kind, by, value)
                        yield (*group, request.id, at, list(names), CLUSTER, HOSTS[0])


def _request_id() -> str:
    return f"order-{secrets.token_hex(8)}"


def _copy(owner: Connection, columns: str, rows: Iterable[Row]) -> None:
    with owner.cursor() as cursor, cursor.copy(f"COPY {columns} FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row(row)
