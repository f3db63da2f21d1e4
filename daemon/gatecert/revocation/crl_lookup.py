"""Look-up of a certificate in its issuer's CRLs (``revocation.crl``).

CRLs are cached on the disk for all gateways of this host. A look-up asks the CRL's host for a newer
one; if the host is unreachable, the cached CRL counts until nextUpdate. An unreachable host is not
asked again for a while, by any gateway, so that it costs one timeout and not one per gateway. Every
CRL, cached or downloaded, is verified each time, and an older one never replaces a newer one: http
proves nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from cryptography.x509 import Certificate

from gatecert.certificate.rules import is_signed_by
from gatecert.deadline import Deadline
from gatecert.errors import (
    AuthorityUnreachableError,
    CertificateError,
    GatecertError,
    StorageError,
)
from gatecert.model import StoredList
from gatecert.revocation.crl import (
    ALL_REASONS,
    DistributionPoint,
    RevokedEntry,
    VerifiedCrl,
    can_be_listed,
    delta_applies,
    delta_distribution_points,
    distribution_points,
    find_revocation,
    parse_crl,
    verify_crl,
)
from gatecert.revocation.crl_download import CrlDownload, download
from gatecert.store.protocol import ListStore
from gatecert.time_format import instant

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

CLOCK_SKEW = timedelta(minutes=5)
LOOKUP_SECONDS = 10.0
UNREACHABLE_SECONDS = 300.0  # how long an unreachable host is not asked again


class CrlFetcher(Protocol):
    """Downloads a CRL; see `download`."""

    def __call__(
        self, url: str, deadline: Deadline, *, etag: str = "", last_modified: str = ""
    ) -> CrlDownload:
        """Download a CRL."""
        ...


@dataclass(frozen=True, slots=True)
class RevocationReport:
    """The result of a look-up.

    Attributes:
        entry: The certificate's entry; None if it is in no CRL.
        source: URL of the CRL with the entry, or of the last one read.
        ends: The earliest nextUpdate of the CRLs.
        problem: Why the revocation is unknown, one line; empty if it is known.
        fix: What to do about that; empty if unknown.
    """

    entry: RevokedEntry | None = None
    source: str = ""
    ends: datetime | None = None
    problem: str = ""
    fix: str = ""


class RevocationLookup(Protocol):
    """Looks a certificate up in its issuer's CRLs."""

    def look_up(
        self,
        certificate: Certificate,
        issuers: Sequence[Certificate],
        cancelled: threading.Event | None = None,
    ) -> RevocationReport | None:
        """Look a certificate up; return None if it names no usable CRL."""
        ...


@dataclass(slots=True)
class CrlLookup:
    """Looks certificates up; safe to use from several threads.

    Attributes:
        store: Caches CRLs.
        now: The wall clock, aware UTC.
        fetch: Downloads CRLs.
        unreachable: Per unreachable host: the time (monotonic clock) until which it is not asked
            again, the error and its fix.
    """

    store: ListStore
    now: Callable[[], datetime]
    fetch: CrlFetcher = download
    unreachable: dict[str, tuple[float, str, str]] = field(default_factory=dict)

    def look_up(
        self,
        certificate: Certificate,
        issuers: Sequence[Certificate],
        cancelled: threading.Event | None = None,
    ) -> RevocationReport | None:
        """Look a certificate up.

        Args:
            certificate: The gateway's certificate.
            issuers: Candidates for its issuer.
            cancelled: Set when gatecert is stopping.

        Returns:
            None if the certificate names no usable CRL.
        """
        found = distribution_points(certificate)
        if not found:
            return None
        if not can_be_listed(certificate):
            return RevocationReport(problem="its serial number is negative, so no CRL can list it")
        issuer = next((each for each in issuers if is_signed_by(certificate, each)), None)
        if issuer is None:
            return RevocationReport(problem="the issuer's certificate is missing")
        deadline = Deadline.after(LOOKUP_SECONDS, cancelled)
        return _Lookup(self, certificate, issuer, deadline).run(found)

    def current(
        self, url: str, check: Callable[[bytes], VerifiedCrl], deadline: Deadline
    ) -> tuple[VerifiedCrl, str]:
        """Return the newest valid CRL, and why there is no newer one; empty if it is current.

        Args:
            url: The CRL's URL.
            check: Verifies a CRL.
            deadline: When to give up.

        Raises:
            AuthorityUnreachableError: There is none.
            CertificateError: The downloaded CRL is not valid, and none is cached.
        """
        stored, cached = self._cached(url, check)
        try:
            response = self._download(url, stored, deadline)
            if response.data is None and stored is not None and cached is not None:
                self._save(url, replace(stored, fetched=self.now()))
                return cached, ""
            fresh = check(response.data or b"")
        except (AuthorityUnreachableError, CertificateError) as error:
            if cached is None:
                raise
            return cached, error.message
        if cached is not None and fresh.begins < cached.begins:
            return cached, f"the host of {url} sent an older CRL than before"
        self._save(
            url, StoredList(response.data or b"", self.now(), response.etag, response.last_modified)
        )
        return fresh, ""

    def _download(self, url: str, stored: StoredList | None, deadline: Deadline) -> CrlDownload:
        host = urlsplit(url).netloc
        until, reason, fix = self.unreachable.get(host, (0.0, "", ""))
        if time.monotonic() < until:
            raise AuthorityUnreachableError(reason, fix=fix)
        try:
            response = self.fetch(
                url,
                deadline,
                etag=stored.etag if stored is not None else "",
                last_modified=stored.last_modified if stored is not None else "",
            )
        except AuthorityUnreachableError as error:
            if not deadline.interrupted:
                until = time.monotonic() + UNREACHABLE_SECONDS
                self.unreachable[host] = (until, error.message, error.fix)
            raise
        self.unreachable.pop(host, None)
        return response

    def _cached(
        self, url: str, check: Callable[[bytes], VerifiedCrl]
    ) -> tuple[StoredList | None, VerifiedCrl | None]:
        try:
            stored = self.store.revocation_list(url)
            return (stored, check(stored.data)) if stored is not None else (None, None)
        except (StorageError, CertificateError) as error:
            logger.warning("cached CRL not used url=%s %s", url, error)
            return None, None

    def _save(self, url: str, fresh: StoredList) -> None:
        try:
            self.store.save_revocation_list(url, fresh)
        except StorageError as error:
            logger.warning("CRL not cached url=%s %s", url, error)


@dataclass(slots=True)
class _Lookup:
    """One look-up of one certificate."""

    lists: CrlLookup
    certificate: Certificate
    issuer: Certificate
    deadline: Deadline

    def run(self, found: Sequence[DistributionPoint]) -> RevocationReport:
        """Read CRLs until one lists the certificate, or all reasons are covered."""
        left = ALL_REASONS
        report = RevocationReport()
        for place in found:
            if not place.reasons & left:
                continue
            try:
                crl, source, excuse = self._verified(place)
            except GatecertError as error:
                if not report.problem:
                    report = replace(report, problem=error.message, fix=error.fix)
                continue
            entry = find_revocation(self.certificate, crl, self._delta(crl))
            if entry is not None:
                return RevocationReport(entry, source, crl.ends)
            if crl.has_ended(self.lists.now()):
                ended = f"the CRL {source} expired on {instant(crl.ends or crl.begins)}"
                why = f"{ended}, and {excuse or 'its host has no newer one'}"
                report = replace(report, problem=report.problem or why)
                continue
            left -= crl.reasons
            ends = min(filter(None, (report.ends, crl.ends)), default=None)
            report = replace(report, source=source, ends=ends)
        if not left:
            return replace(report, problem="", fix="")
        return replace(
            report, problem=report.problem or "the CRLs do not cover every revocation reason"
        )

    def _verified(self, place: DistributionPoint) -> tuple[VerifiedCrl, str, str]:
        """Return the complete CRL of a distribution point, its URL, and why it is not newer.

        Raises:
            AuthorityUnreachableError: There is none.
            CertificateError: It is not valid.
        """
        problem: GatecertError | None = None
        for url in place.urls:
            try:
                crl, excuse = self.lists.current(url, self._check_for(place), self.deadline)
            except (AuthorityUnreachableError, CertificateError) as error:
                problem = problem or _named(url, error)
                continue
            if crl.base is None:
                return crl, url, excuse
            problem = problem or _named(url, CertificateError("it is only a delta CRL"))
        raise problem or CertificateError("there is no CRL")

    def _check_for(self, place: DistributionPoint) -> Callable[[bytes], VerifiedCrl]:
        return lambda data: verify_crl(
            parse_crl(data),
            self.certificate,
            self.issuer,
            place,
            now=self.lists.now(),
            clock_skew=CLOCK_SKEW,
        )

    def _delta(self, base: VerifiedCrl) -> VerifiedCrl | None:
        """Return a newer delta CRL; None leaves the result of the complete CRL."""
        for place in delta_distribution_points(self.certificate, base):
            for url in place.urls:
                try:
                    delta, _ = self.lists.current(url, self._check_for(place), self.deadline)
                except (AuthorityUnreachableError, CertificateError) as error:
                    logger.info("delta CRL not used url=%s %s", url, error)
                    continue
                if delta_applies(base, delta) and not delta.has_ended(self.lists.now()):
                    return delta
        return None


def _named(url: str, error: GatecertError) -> GatecertError:
    if isinstance(error, AuthorityUnreachableError):
        return error
    return CertificateError(f"{url}: {error.message}")
