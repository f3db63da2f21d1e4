"""What the revocation lists of a certificate's authority say now (``revocation.crl``).

Lists are kept on the disk, for all gateways of this host. A look asks the host whether there is a
newer one; where it cannot be reached, the one that is kept counts until its end. A host that did
not answer is left alone for a while, whichever gateway wants to know, so that one that is down
costs one wait and not one for each gateway. Whatever is kept or sent is checked each time, and an
older list never takes the place of a newer one: http proves nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.x509 import Certificate

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
LOOK_SECONDS = 10.0
DOWN_SECONDS = 300.0  # how long a host that did not answer is left alone


class CrlFetcher(Protocol):
    """Fetches a list, as `download` does."""

    def __call__(
        self, url: str, deadline: Deadline, *, etag: str = "", last_modified: str = ""
    ) -> CrlDownload:
        """Fetch a list."""
        ...


@dataclass(frozen=True, slots=True)
class RevocationReport:
    """What the lists say of a certificate.

    Attributes:
        entry: That it was revoked, and why; None where no list says so.
        source: URL of the list that says so, or of the last one that was read.
        ends: When the first of the lists ends.
        problem: Why nothing can be said, one line; empty where it can.
        fix: What to do about that; empty if unknown.
    """

    entry: RevokedEntry | None = None
    source: str = ""
    ends: datetime | None = None
    problem: str = ""
    fix: str = ""


class RevocationLookup(Protocol):
    """Looks a certificate up in its authority's revocation lists."""

    def look_up(
        self,
        certificate: Certificate,
        issuers: Sequence[Certificate],
        cancelled: threading.Event | None = None,
    ) -> RevocationReport | None:
        """What the lists say; None where the certificate names none that can be used."""
        ...


@dataclass(slots=True)
class CrlLookup:
    """Looks certificates up; safe to use from several threads.

    Attributes:
        store: Where lists are kept.
        now: The wall clock, aware UTC.
        fetch: How lists are fetched.
        down: Hosts that did not answer: until when (monotonic clock) they are left alone, and what
            they are said to be meanwhile, and what to do.
    """

    store: ListStore
    now: Callable[[], datetime]
    fetch: CrlFetcher = download
    down: dict[str, tuple[float, str, str]] = field(default_factory=dict)

    def look_up(
        self,
        certificate: Certificate,
        issuers: Sequence[Certificate],
        cancelled: threading.Event | None = None,
    ) -> RevocationReport | None:
        """What the lists say of a certificate.

        Args:
            certificate: The gateway's.
            issuers: Among which its issuer is.
            cancelled: Set when gatecert is stopping.

        Returns:
            None where the certificate names no list that can be used.
        """
        found = distribution_points(certificate)
        if not found:
            return None
        if not can_be_listed(certificate):
            return RevocationReport(
                problem="its serial number is negative, so that no list can name it"
            )
        issuer = _issuer(certificate, issuers)
        if issuer is None:
            return RevocationReport(problem="the issuer's certificate is not known here")
        deadline = Deadline.after(LOOK_SECONDS, cancelled)
        return _Look(self, certificate, issuer, deadline).run(found)

    def current(
        self, url: str, check: Callable[[bytes], VerifiedCrl], deadline: Deadline
    ) -> tuple[VerifiedCrl, str]:
        """The newest good list that can be had, and why there is no newer one; empty where none is.

        Args:
            url: Where it is.
            check: Holds a list to the rules.
            deadline: When to give up.

        Raises:
            AuthorityUnreachableError: There is none.
            CertificateError: What there is does not count.
        """
        kept, known = self._kept(url, check)
        try:
            sent = self._sent(url, kept, deadline)
            if sent.data is None and kept is not None and known is not None:
                self._keep(url, replace(kept, fetched=self.now()))
                return known, ""
            fresh = check(sent.data or b"")
        except (AuthorityUnreachableError, CertificateError) as error:
            if known is None:
                raise
            return known, error.message
        if known is not None and fresh.begins < known.begins:
            return known, f"the host of {url} sent an older list than before"
        stored = StoredList(sent.data or b"", self.now(), sent.etag, sent.last_modified)
        self._keep(url, stored)
        return fresh, ""

    def _sent(self, url: str, kept: StoredList | None, deadline: Deadline) -> CrlDownload:
        host = urlsplit(url).netloc
        until, reason, fix = self.down.get(host, (0.0, "", ""))
        if time.monotonic() < until:
            raise AuthorityUnreachableError(reason, fix=fix)
        try:
            sent = self.fetch(
                url,
                deadline,
                etag=kept.etag if kept is not None else "",
                last_modified=kept.last_modified if kept is not None else "",
            )
        except AuthorityUnreachableError as error:
            if not deadline.interrupted:
                self.down[host] = (time.monotonic() + DOWN_SECONDS, error.message, error.fix)
            raise
        self.down.pop(host, None)
        return sent

    def _kept(
        self, url: str, check: Callable[[bytes], VerifiedCrl]
    ) -> tuple[StoredList | None, VerifiedCrl | None]:
        try:
            kept = self.store.revocation_list(url)
            return (kept, check(kept.data)) if kept is not None else (None, None)
        except (StorageError, CertificateError) as error:
            logger.warning("kept revocation list not used url=%s %s", url, error)
            return None, None

    def _keep(self, url: str, fresh: StoredList) -> None:
        try:
            self.store.save_revocation_list(url, fresh)
        except StorageError as error:
            logger.warning("revocation list not kept url=%s %s", url, error)


@dataclass(slots=True)
class _Look:
    """One look at the lists of one certificate."""

    lists: CrlLookup
    certificate: Certificate
    issuer: Certificate
    deadline: Deadline

    def run(self, found: Sequence[DistributionPoint]) -> RevocationReport:
        """Look into one list after the other until one says so, or all reasons are covered."""
        left = ALL_REASONS
        report = RevocationReport()
        for place in found:
            if not place.reasons & left:
                continue
            try:
                accepted, source, excuse = self._accepted(place)
            except GatecertError as error:
                if not report.problem:
                    report = replace(report, problem=error.message, fix=error.fix)
                continue
            entry = find_revocation(self.certificate, accepted, self._delta(accepted))
            if entry is not None:
                return RevocationReport(entry, source, accepted.ends)
            if accepted.has_ended(self.lists.now()):
                ended = f"the list {source} ended on {instant(accepted.ends or accepted.begins)}"
                why = f"{ended}, and {excuse or 'its host has no newer one'}"
                report = replace(report, problem=report.problem or why)
                continue
            left -= accepted.reasons
            ends = min(filter(None, (report.ends, accepted.ends)), default=None)
            report = replace(report, source=source, ends=ends)
        if not left:
            return replace(report, problem="", fix="")
        return replace(report, problem=report.problem or "the lists do not tell of every reason")

    def _accepted(self, place: DistributionPoint) -> tuple[VerifiedCrl, str, str]:
        """The complete list of a place, its URL, and why it is not newer.

        Raises:
            AuthorityUnreachableError: There is none.
            CertificateError: What there is does not count.
        """
        problem: GatecertError | None = None
        for url in place.urls:
            try:
                accepted, excuse = self.lists.current(url, self._check_for(place), self.deadline)
            except (AuthorityUnreachableError, CertificateError) as error:
                problem = problem or _named(url, error)
                continue
            if accepted.base is None:
                return accepted, url, excuse
            problem = problem or _named(url, CertificateError("there are only changes in it"))
        raise problem or CertificateError("there is no list")

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
        """A delta list that is newer; one that cannot be had leaves what the complete one says."""
        for place in delta_distribution_points(self.certificate, base):
            for url in place.urls:
                try:
                    delta, _ = self.lists.current(url, self._check_for(place), self.deadline)
                except (AuthorityUnreachableError, CertificateError) as error:
                    logger.info("delta list not used url=%s %s", url, error)
                    continue
                if delta_applies(base, delta) and not delta.has_ended(self.lists.now()):
                    return delta
        return None


def _issuer(certificate: Certificate, among: Sequence[Certificate]) -> Certificate | None:
    for each in among:
        if each.subject == certificate.issuer:
            try:
                certificate.verify_directly_issued_by(each)
            except (ValueError, TypeError, InvalidSignature):
                continue
            return each
    return None


def _named(url: str, error: GatecertError) -> GatecertError:
    if isinstance(error, AuthorityUnreachableError):
        return error
    return CertificateError(f"{url}: {error.message}")
